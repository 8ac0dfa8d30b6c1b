-- What was paid for AI that reports no usage, in millionths of a US dollar: an integer, so that a rollup of it can be replayed.
ALTER TABLE calls ADD COLUMN IF NOT EXISTS spend_microusd UInt64 CODEC(T64, LZ4) AFTER video_ms;

ALTER TABLE corrections ADD COLUMN IF NOT EXISTS spend_microusd UInt64;

ALTER TABLE coefficients ADD COLUMN IF NOT EXISTS wh_per_usd Float64;

ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS spend_microusd Int64 AFTER video_ms;

ALTER TABLE closed_usage ADD COLUMN IF NOT EXISTS spend_microusd Int64;

ALTER TABLE restated_usage ADD COLUMN IF NOT EXISTS spend_microusd Int64;

ALTER TABLE usage_hourly_mv MODIFY QUERY
SELECT
    org_id, project_id, team, service, environment, provider, request_model, response_model,
    place, operation, service_tier, usage_quality,
    toStartOfHour(toDateTime(start_time, 'UTC')) AS hour,
    coef_id,
    sum(toInt64(sign)) AS calls,
    sum(sign * toInt64(calls.adjusted_calls_milli)) AS adjusted_calls_milli,
    sum(sign * toInt64(calls.input_tokens)) AS input_tokens,
    sum(sign * toInt64(calls.cache_read_tokens)) AS cache_read_tokens,
    sum(sign * toInt64(calls.cache_write_tokens)) AS cache_write_tokens,
    sum(sign * toInt64(calls.output_tokens)) AS output_tokens,
    sum(sign * toInt64(calls.reasoning_tokens)) AS reasoning_tokens,
    sum(sign * greatest(toInt64(calls.input_tokens) - calls.cache_read_tokens - calls.cache_write_tokens, 0)) AS uncached_tokens,
    sum(sign * greatest(toInt64(calls.input_tokens) - calls.cache_read_tokens - calls.cache_write_tokens - 8000, 0)) AS input_tokens_over_8k,
    sum(sign * greatest(toInt64(calls.input_tokens) - calls.cache_read_tokens - calls.cache_write_tokens - 32000, 0)) AS input_tokens_over_32k,
    sum(sign * greatest(toInt64(calls.input_tokens) - calls.cache_read_tokens - calls.cache_write_tokens - 128000, 0)) AS input_tokens_over_128k,
    sum(sign * toInt64(calls.measured_energy_mj)) AS measured_energy_mj,
    sum(sign * toInt64(calls.images)) AS images,
    sum(sign * toInt64(calls.audio_ms)) AS audio_ms,
    sum(sign * toInt64(calls.video_ms)) AS video_ms,
    sum(sign * toInt64(calls.spend_microusd)) AS spend_microusd,
    sum(sign * toInt64(calls.generation_us)) AS generation_us,
    sum(sign * toInt64(calls.generation_us_high)) AS generation_us_high,
    sum(sign * toInt64(intDiv(duration_us, 1000))) AS duration_ms,
    sum(sign * toFloat64(calls.energy_wh)) AS energy_wh,
    sum(sign * toFloat64(calls.co2e_g)) AS co2e_g,
    sum(sign * toFloat64(calls.water_ml)) AS water_ml
FROM calls
WHERE counted
GROUP BY ALL

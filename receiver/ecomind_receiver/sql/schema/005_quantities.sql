-- What is made or read beside text, and how long the model worked: the second for methods that count time, whose smallest and
-- largest model may take different times. Both are integers, so that a rollup of them can be replayed.
ALTER TABLE calls
    ADD COLUMN IF NOT EXISTS images UInt32 CODEC(T64, LZ4) AFTER measured_energy_mj,
    ADD COLUMN IF NOT EXISTS audio_ms UInt32 CODEC(T64, LZ4) AFTER images,
    ADD COLUMN IF NOT EXISTS video_ms UInt32 CODEC(T64, LZ4) AFTER audio_ms,
    ADD COLUMN IF NOT EXISTS generation_us UInt64 CODEC(T64, LZ4) AFTER coef_id,        -- 0 unless the method counts time
    ADD COLUMN IF NOT EXISTS generation_us_high UInt64 CODEC(T64, LZ4) AFTER generation_us;

ALTER TABLE corrections
    ADD COLUMN IF NOT EXISTS images UInt32,
    ADD COLUMN IF NOT EXISTS audio_ms UInt32,
    ADD COLUMN IF NOT EXISTS video_ms UInt32,
    ADD COLUMN IF NOT EXISTS generation_us UInt64,
    ADD COLUMN IF NOT EXISTS generation_us_high UInt64;

ALTER TABLE coefficients
    ADD COLUMN IF NOT EXISTS grid_year UInt16,                                -- of the grid's figure; 0: of no single year
    ADD COLUMN IF NOT EXISTS wh_per_image Float64,
    ADD COLUMN IF NOT EXISTS wh_per_audio_second Float64,
    ADD COLUMN IF NOT EXISTS wh_per_video_second Float64,
    ADD COLUMN IF NOT EXISTS seconds_to_first_token Float64,                  -- of generation, for methods that count time
    ADD COLUMN IF NOT EXISTS seconds_per_output_token Float64,
    ADD COLUMN IF NOT EXISTS wh_per_second Float64,
    ADD COLUMN IF NOT EXISTS co2e_g_per_second_embodied Float64,
    ADD COLUMN IF NOT EXISTS seconds_per_output_token_high Nullable(Float64), -- largest value, where the plain one is the smallest
    ADD COLUMN IF NOT EXISTS wh_per_output_token_high Nullable(Float64),
    ADD COLUMN IF NOT EXISTS wh_per_second_high Nullable(Float64),
    ADD COLUMN IF NOT EXISTS co2e_g_per_second_embodied_high Nullable(Float64),
    ADD COLUMN IF NOT EXISTS pue_high Nullable(Float64),
    ADD COLUMN IF NOT EXISTS water_l_per_kwh_onsite_high Nullable(Float64);

ALTER TABLE usage_hourly
    ADD COLUMN IF NOT EXISTS images Int64 AFTER measured_energy_mj,
    ADD COLUMN IF NOT EXISTS audio_ms Int64 AFTER images,
    ADD COLUMN IF NOT EXISTS video_ms Int64 AFTER audio_ms,
    ADD COLUMN IF NOT EXISTS generation_us Int64 AFTER video_ms,
    ADD COLUMN IF NOT EXISTS generation_us_high Int64 AFTER generation_us;

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
    sum(sign * toInt64(calls.generation_us)) AS generation_us,
    sum(sign * toInt64(calls.generation_us_high)) AS generation_us_high,
    sum(sign * toInt64(intDiv(duration_us, 1000))) AS duration_ms,
    sum(sign * toFloat64(calls.energy_wh)) AS energy_wh,
    sum(sign * toFloat64(calls.co2e_g)) AS co2e_g,
    sum(sign * toFloat64(calls.water_ml)) AS water_ml
FROM calls
WHERE counted
GROUP BY ALL

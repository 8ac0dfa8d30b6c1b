-- What counting needs: which counts were reported, what a sampled call stands for, which signal it came from, and how far an
-- estimate may lie off. The corrections of a window are written down before they are made, so that a crash between the
-- table and its rollup is made good by making them again under the same token. A call that lacks what the span above it may
-- know keeps that span's id, for the case that they were stored apart.
ALTER TABLE calls
    ADD COLUMN IF NOT EXISTS signal LowCardinality(String) DEFAULT 'span' AFTER scope,   -- span | log
    ADD COLUMN IF NOT EXISTS parent_span_id UInt64 CODEC(LZ4) AFTER span_id,   -- 0 unless the call lacks something or was lent it
    ADD COLUMN IF NOT EXISTS lent_reasoning UInt32 CODEC(T64, LZ4) AFTER reasoning_tokens,   -- of a container: what its calls used
    ADD COLUMN IF NOT EXISTS usage_states UInt16 AFTER usage_quality,   -- two bits a count: input, output, cache read, cache
                                                                       -- write, reasoning; 0 reported, 1 partial, 2 estimated
    ADD COLUMN IF NOT EXISTS adjusted_calls_milli UInt64 DEFAULT 1000 CODEC(T64, LZ4) AFTER usage_states;   -- 1,000 unless sampled

ALTER TABLE coefficients ADD COLUMN IF NOT EXISTS band_usage Float64 DEFAULT 1 AFTER water_l_per_kwh_offsite;   -- part of band_energy

ALTER TABLE usage_hourly ADD COLUMN IF NOT EXISTS adjusted_calls_milli Int64 AFTER calls;

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
    sum(sign * toInt64(intDiv(duration_us, 1000))) AS duration_ms,
    sum(sign * toFloat64(calls.energy_wh)) AS energy_wh,
    sum(sign * toFloat64(calls.co2e_g)) AS co2e_g,
    sum(sign * toFloat64(calls.water_ml)) AS water_ml
FROM calls
WHERE counted
GROUP BY ALL;

DROP VIEW IF EXISTS calls_footprint;
{% include 'schema/002_calls_footprint.sql' %}
;

CREATE TABLE IF NOT EXISTS corrections
ENGINE = MergeTree
ORDER BY window_end
TTL window_end + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1
AS SELECT toDateTime(0, 'UTC') AS window_end, * FROM calls WHERE 0

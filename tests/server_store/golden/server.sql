CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, sha256 String, applied_at DateTime('UTC')) ENGINE = MergeTree ORDER BY number;
CREATE TABLE IF NOT EXISTS calls
(
    org_id               LowCardinality(String),
    project_id           LowCardinality(String),
    team                 LowCardinality(String),
    service              LowCardinality(String),
    environment          LowCardinality(String),
    provider             LowCardinality(String),
    request_model        LowCardinality(String),
    response_model       LowCardinality(String),
    place                LowCardinality(String),
    operation            LowCardinality(String),
    service_tier         LowCardinality(String),
    scope                LowCardinality(String),
    start_time           DateTime64(6, 'UTC') CODEC(Delta(8), LZ4),
    duration_us          UInt64 CODEC(T64, LZ4),
    time_to_first_us     UInt64 CODEC(T64, LZ4),
    trace_hash           UInt64 CODEC(NONE),
    span_id              UInt64 CODEC(NONE),
    response_hash        UInt64 CODEC(LZ4),
    user_hash            UInt64 CODEC(LZ4),
    session_hash         UInt64 CODEC(LZ4),
    input_tokens         UInt32 CODEC(T64, LZ4),
    cache_read_tokens    UInt32 CODEC(T64, LZ4),
    cache_write_tokens   UInt32 CODEC(T64, LZ4),
    output_tokens        UInt32 CODEC(T64, LZ4),
    reasoning_tokens     UInt32 CODEC(T64, LZ4),
    measured_energy_mj   UInt64 CODEC(T64, LZ4),
    usage_quality        LowCardinality(String),
    counted              UInt8,
    reason               LowCardinality(String),
    sign                 Int8,
    coef_id              UInt64 CODEC(LZ4),
    energy_wh            Float32 CODEC(LZ4),
    co2e_g               Float32 CODEC(LZ4),
    water_ml             Float32 CODEC(LZ4),
    received_at          DateTime('UTC') CODEC(Delta(4), LZ4),
    segment_id           UInt64 CODEC(LZ4),
    retention_class      LowCardinality(String),
    INDEX ix_trace trace_hash TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX ix_received received_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY (toDate(start_time, 'UTC'), retention_class)
ORDER BY (org_id, project_id, toStartOfHour(start_time), request_model, start_time)
TTL toDateTime(start_time, 'UTC') + INTERVAL 90 DAY
SETTINGS ttl_only_drop_parts = 1,

         min_parts_to_merge_at_once = 100, min_partition_age_to_force_merge_seconds = 3600,
         non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE TABLE IF NOT EXISTS coefficients
(
    coef_id                    UInt64,
    method                     LowCardinality(String),
    factor_set                 LowCardinality(String),
    provider                   LowCardinality(String),
    model                      LowCardinality(String),
    model_match                LowCardinality(String),
    model_tier                 LowCardinality(String),
    zone                       LowCardinality(String),
    zone_match                 LowCardinality(String),
    grid_tier                  LowCardinality(String),
    wh_per_call                Float64,
    wh_per_input_token         Float64,
    wh_per_input_token_over_32k Float64,
    wh_per_cache_read_token    Float64,
    wh_per_cache_write_token   Float64,
    wh_per_output_token        Float64,
    wh_per_reasoning_token     Float64,
    wh_per_measured_mj         Float64,
    pue                        Float64,
    co2e_g_per_kwh_location    Float64,
    co2e_g_per_kwh_market      Nullable(Float64),
    co2e_g_per_kwh_embodied    Float64,
    water_l_per_kwh_onsite     Float64,
    water_l_per_kwh_offsite    Float64,
    band_energy                Float64,
    band_grid                  Float64,
    band_water                 Float64
)
ENGINE = MergeTree
ORDER BY coef_id
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE TABLE IF NOT EXISTS usage_hourly
(
    org_id               LowCardinality(String),
    project_id           LowCardinality(String),
    team                 LowCardinality(String),
    service              LowCardinality(String),
    environment          LowCardinality(String),
    provider             LowCardinality(String),
    request_model        LowCardinality(String),
    response_model       LowCardinality(String),
    place                LowCardinality(String),
    operation            LowCardinality(String),
    service_tier         LowCardinality(String),
    usage_quality        LowCardinality(String),
    hour                 DateTime('UTC'),
    coef_id              UInt64,
    calls                Int64,
    input_tokens         Int64,
    cache_read_tokens    Int64,
    cache_write_tokens   Int64,
    output_tokens        Int64,
    reasoning_tokens     Int64,
    uncached_tokens      Int64,
    input_tokens_over_8k   Int64,
    input_tokens_over_32k  Int64,
    input_tokens_over_128k Int64,
    measured_energy_mj   Int64,
    duration_ms          Int64,
    energy_wh            Float64,
    co2e_g               Float64,
    water_ml             Float64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(hour, 'UTC')
ORDER BY (org_id, project_id, hour, team, service, environment, provider, request_model, response_model,
          place, operation, service_tier, usage_quality, coef_id)
TTL hour + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE MATERIALIZED VIEW IF NOT EXISTS usage_hourly_mv TO usage_hourly AS
SELECT
    org_id, project_id, team, service, environment, provider, request_model, response_model,
    place, operation, service_tier, usage_quality,
    toStartOfHour(toDateTime(start_time, 'UTC')) AS hour,
    coef_id,
    sum(toInt64(sign)) AS calls,
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
CREATE TABLE IF NOT EXISTS span_outcomes
(
    received_at  DateTime('UTC'),
    segment_id   UInt64,
    org_id       LowCardinality(String),
    project_id   LowCardinality(String),
    outcome      LowCardinality(String),
    spans        UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at, 'UTC')
ORDER BY (org_id, received_at)
TTL received_at + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE TABLE IF NOT EXISTS recent_spans
(
    received_at  DateTime('UTC'),
    segment_id   UInt64,
    org_id       LowCardinality(String),
    trace_id     FixedString(16),
    span_id      FixedString(8),
    service      LowCardinality(String),
    scope        LowCardinality(String),
    model        LowCardinality(String),
    outcome      LowCardinality(String),
    reason       LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY received_at
TTL received_at + INTERVAL 1 DAY
SETTINGS non_replicated_deduplication_window = 172800;
CREATE TABLE IF NOT EXISTS reconciled
(
    window_end   DateTime('UTC'),
    corrections  UInt64
)
ENGINE = MergeTree
ORDER BY window_end
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
CREATE VIEW IF NOT EXISTS calls_footprint AS
SELECT
    * EXCEPT (uncached_tokens, input_tokens_over_32k),
    it_wh * pue / band_energy AS energy_wh_low,
    it_wh * pue AS energy_wh_mid,
    it_wh * pue * band_energy AS energy_wh_high,
    it_wh * pue * co2e_g_per_kwh_location / 1000 / (band_energy * band_grid) AS co2e_g_location_low,
    it_wh * pue * co2e_g_per_kwh_location / 1000 AS co2e_g_location_mid,
    it_wh * pue * co2e_g_per_kwh_location / 1000 * (band_energy * band_grid) AS co2e_g_location_high,
    it_wh * pue * co2e_g_per_kwh_market / 1000 / (band_energy * band_grid) AS co2e_g_market_low,
    it_wh * pue * co2e_g_per_kwh_market / 1000 AS co2e_g_market_mid,
    it_wh * pue * co2e_g_per_kwh_market / 1000 * (band_energy * band_grid) AS co2e_g_market_high,
    it_wh * pue * co2e_g_per_kwh_embodied / 1000 / band_energy AS co2e_g_embodied_low,
    it_wh * pue * co2e_g_per_kwh_embodied / 1000 AS co2e_g_embodied_mid,
    it_wh * pue * co2e_g_per_kwh_embodied / 1000 * band_energy AS co2e_g_embodied_high,
    it_wh * water_l_per_kwh_onsite / (band_energy * band_water) AS water_ml_onsite_low,
    it_wh * water_l_per_kwh_onsite AS water_ml_onsite_mid,
    it_wh * water_l_per_kwh_onsite * (band_energy * band_water) AS water_ml_onsite_high,
    it_wh * pue * water_l_per_kwh_offsite / (band_energy * band_water) AS water_ml_offsite_low,
    it_wh * pue * water_l_per_kwh_offsite AS water_ml_offsite_mid,
    it_wh * pue * water_l_per_kwh_offsite * (band_energy * band_water) AS water_ml_offsite_high
FROM
(
    SELECT *, counted * (wh_per_call * 1
 + wh_per_input_token * uncached_tokens
 + wh_per_input_token_over_32k * input_tokens_over_32k
 + wh_per_cache_read_token * cache_read_tokens
 + wh_per_cache_write_token * cache_write_tokens
 + wh_per_output_token * output_tokens
 + wh_per_reasoning_token * reasoning_tokens
 + wh_per_measured_mj * measured_energy_mj) AS it_wh
    FROM
    (
        SELECT * EXCEPT (energy_wh, co2e_g, water_ml),
               greatest(toInt64(input_tokens) - cache_read_tokens - cache_write_tokens, 0) AS uncached_tokens,
               greatest(uncached_tokens - 32000, 0) AS input_tokens_over_32k
        FROM calls
    ) AS c
    LEFT ANY JOIN (SELECT * EXCEPT (provider) FROM coefficients) AS k USING (coef_id)
);
ALTER TABLE recent_spans ADD COLUMN IF NOT EXISTS project_id LowCardinality(String) AFTER org_id;
ALTER TABLE calls
    ADD COLUMN IF NOT EXISTS signal LowCardinality(String) DEFAULT 'span' AFTER scope,
    ADD COLUMN IF NOT EXISTS parent_span_id UInt64 CODEC(LZ4) AFTER span_id,
    ADD COLUMN IF NOT EXISTS lent_reasoning UInt32 CODEC(T64, LZ4) AFTER reasoning_tokens,
    ADD COLUMN IF NOT EXISTS usage_states UInt16 AFTER usage_quality,

    ADD COLUMN IF NOT EXISTS adjusted_calls_milli UInt64 DEFAULT 1000 CODEC(T64, LZ4) AFTER usage_states;
ALTER TABLE coefficients ADD COLUMN IF NOT EXISTS band_usage Float64 DEFAULT 1 AFTER water_l_per_kwh_offsite;
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
CREATE VIEW IF NOT EXISTS calls_footprint AS
SELECT
    * EXCEPT (uncached_tokens, input_tokens_over_32k),
    it_wh * pue / band_energy AS energy_wh_low,
    it_wh * pue AS energy_wh_mid,
    it_wh * pue * band_energy AS energy_wh_high,
    it_wh * pue * co2e_g_per_kwh_location / 1000 / (band_energy * band_grid) AS co2e_g_location_low,
    it_wh * pue * co2e_g_per_kwh_location / 1000 AS co2e_g_location_mid,
    it_wh * pue * co2e_g_per_kwh_location / 1000 * (band_energy * band_grid) AS co2e_g_location_high,
    it_wh * pue * co2e_g_per_kwh_market / 1000 / (band_energy * band_grid) AS co2e_g_market_low,
    it_wh * pue * co2e_g_per_kwh_market / 1000 AS co2e_g_market_mid,
    it_wh * pue * co2e_g_per_kwh_market / 1000 * (band_energy * band_grid) AS co2e_g_market_high,
    it_wh * pue * co2e_g_per_kwh_embodied / 1000 / band_energy AS co2e_g_embodied_low,
    it_wh * pue * co2e_g_per_kwh_embodied / 1000 AS co2e_g_embodied_mid,
    it_wh * pue * co2e_g_per_kwh_embodied / 1000 * band_energy AS co2e_g_embodied_high,
    it_wh * water_l_per_kwh_onsite / (band_energy * band_water) AS water_ml_onsite_low,
    it_wh * water_l_per_kwh_onsite AS water_ml_onsite_mid,
    it_wh * water_l_per_kwh_onsite * (band_energy * band_water) AS water_ml_onsite_high,
    it_wh * pue * water_l_per_kwh_offsite / (band_energy * band_water) AS water_ml_offsite_low,
    it_wh * pue * water_l_per_kwh_offsite AS water_ml_offsite_mid,
    it_wh * pue * water_l_per_kwh_offsite * (band_energy * band_water) AS water_ml_offsite_high
FROM
(
    SELECT *, counted * (wh_per_call * 1
 + wh_per_input_token * uncached_tokens
 + wh_per_input_token_over_32k * input_tokens_over_32k
 + wh_per_cache_read_token * cache_read_tokens
 + wh_per_cache_write_token * cache_write_tokens
 + wh_per_output_token * output_tokens
 + wh_per_reasoning_token * reasoning_tokens
 + wh_per_measured_mj * measured_energy_mj) AS it_wh
    FROM
    (
        SELECT * EXCEPT (energy_wh, co2e_g, water_ml),
               greatest(toInt64(input_tokens) - cache_read_tokens - cache_write_tokens, 0) AS uncached_tokens,
               greatest(uncached_tokens - 32000, 0) AS input_tokens_over_32k
        FROM calls
    ) AS c
    LEFT ANY JOIN (SELECT * EXCEPT (provider) FROM coefficients) AS k USING (coef_id)
);
CREATE TABLE IF NOT EXISTS corrections
ENGINE = MergeTree
ORDER BY window_end
TTL window_end + INTERVAL 7 DAY
SETTINGS non_replicated_deduplication_window = 172800, fsync_after_insert = 1, fsync_part_directory = 1
AS SELECT toDateTime(0, 'UTC') AS window_end, * FROM calls WHERE 0;
ALTER TABLE calls
    ADD COLUMN IF NOT EXISTS images UInt32 CODEC(T64, LZ4) AFTER measured_energy_mj,
    ADD COLUMN IF NOT EXISTS audio_ms UInt32 CODEC(T64, LZ4) AFTER images,
    ADD COLUMN IF NOT EXISTS video_ms UInt32 CODEC(T64, LZ4) AFTER audio_ms,
    ADD COLUMN IF NOT EXISTS generation_us UInt64 CODEC(T64, LZ4) AFTER coef_id,
    ADD COLUMN IF NOT EXISTS generation_us_high UInt64 CODEC(T64, LZ4) AFTER generation_us;
ALTER TABLE corrections
    ADD COLUMN IF NOT EXISTS images UInt32,
    ADD COLUMN IF NOT EXISTS audio_ms UInt32,
    ADD COLUMN IF NOT EXISTS video_ms UInt32,
    ADD COLUMN IF NOT EXISTS generation_us UInt64,
    ADD COLUMN IF NOT EXISTS generation_us_high UInt64;
ALTER TABLE coefficients
    ADD COLUMN IF NOT EXISTS grid_year UInt16,
    ADD COLUMN IF NOT EXISTS wh_per_image Float64,
    ADD COLUMN IF NOT EXISTS wh_per_audio_second Float64,
    ADD COLUMN IF NOT EXISTS wh_per_video_second Float64,
    ADD COLUMN IF NOT EXISTS seconds_to_first_token Float64,
    ADD COLUMN IF NOT EXISTS seconds_per_output_token Float64,
    ADD COLUMN IF NOT EXISTS wh_per_second Float64,
    ADD COLUMN IF NOT EXISTS co2e_g_per_second_embodied Float64,
    ADD COLUMN IF NOT EXISTS seconds_per_output_token_high Nullable(Float64),
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
GROUP BY ALL;
CREATE TABLE IF NOT EXISTS closed_usage
(
    org_id               LowCardinality(String),
    day                  Date,
    generation           UInt32,
    project_id           LowCardinality(String),
    team                 LowCardinality(String),
    service              LowCardinality(String),
    environment          LowCardinality(String),
    provider             LowCardinality(String),
    request_model        LowCardinality(String),
    response_model       LowCardinality(String),
    place                LowCardinality(String),
    operation            LowCardinality(String),
    service_tier         LowCardinality(String),
    usage_quality        LowCardinality(String),
    hour                 DateTime('UTC'),
    coef_id              UInt64,
    calls                Int64,
    adjusted_calls_milli Int64,
    input_tokens         Int64,
    cache_read_tokens    Int64,
    cache_write_tokens   Int64,
    output_tokens        Int64,
    reasoning_tokens     Int64,
    uncached_tokens      Int64,
    input_tokens_over_8k   Int64,
    input_tokens_over_32k  Int64,
    input_tokens_over_128k Int64,
    measured_energy_mj   Int64,
    images               Int64,
    audio_ms             Int64,
    video_ms             Int64,
    generation_us        Int64,
    generation_us_high   Int64,
    duration_ms          Int64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (org_id, day, hour, provider, request_model, response_model, place, service_tier, usage_quality, coef_id)
TTL day + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE TABLE IF NOT EXISTS day_closes
(
    org_id      LowCardinality(String),
    project_id  LowCardinality(String),
    day         Date,
    generation  UInt32,
    closed_at   DateTime('UTC'),
    rows        UInt64,
    calls       Int64,
    root        String
)
ENGINE = MergeTree
ORDER BY (org_id, day, generation)
TTL day + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE TABLE IF NOT EXISTS closed_days (day Date, closed_at DateTime('UTC'))
ENGINE = MergeTree
ORDER BY day
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;
CREATE TABLE IF NOT EXISTS restated_usage
(
    org_id               LowCardinality(String),
    restatement_id       String CODEC(ZSTD),
    day                  Date,
    project_id           LowCardinality(String),
    team                 LowCardinality(String),
    service              LowCardinality(String),
    environment          LowCardinality(String),
    provider             LowCardinality(String),
    request_model        LowCardinality(String),
    response_model       LowCardinality(String),
    place                LowCardinality(String),
    operation            LowCardinality(String),
    service_tier         LowCardinality(String),
    usage_quality        LowCardinality(String),
    hour                 DateTime('UTC'),
    coef_id              UInt64,
    calls                Int64,
    adjusted_calls_milli Int64,
    input_tokens         Int64,
    cache_read_tokens    Int64,
    cache_write_tokens   Int64,
    output_tokens        Int64,
    reasoning_tokens     Int64,
    uncached_tokens      Int64,
    input_tokens_over_8k   Int64,
    input_tokens_over_32k  Int64,
    input_tokens_over_128k Int64,
    measured_energy_mj   Int64,
    images               Int64,
    audio_ms             Int64,
    video_ms             Int64,
    generation_us        Int64,
    generation_us_high   Int64,
    duration_ms          Int64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (org_id, restatement_id, day, hour)
TTL day + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE TABLE IF NOT EXISTS restatements
(
    restatement_id  String,
    org_id          LowCardinality(String),
    project_id      LowCardinality(String),
    from_day        Date,
    to_day          Date,
    factor_set      String,
    factor_set_sha256 String,
    method          String,
    basis           LowCardinality(String),
    reason          String,
    requested_by    String,
    created_at      DateTime('UTC'),
    rows            UInt64,
    calls           Int64,
    closes_root     String,
    difference      String
)
ENGINE = MergeTree
ORDER BY (org_id, created_at)
TTL created_at + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
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
GROUP BY ALL;
CREATE TABLE IF NOT EXISTS kafka_plans
(
    topic_id      String,
    topic         LowCardinality(String),
    partition     UInt32,
    first_offset  UInt64,
    last_offset   UInt64,
    planned_ns    Int64,
    newest_ns     Int64,
    plan          String CODEC(ZSTD(3)) TTL toDateTime(intDiv(planned_ns, 1000000000), 'UTC') + INTERVAL 3 DAY
)
ENGINE = MergeTree
ORDER BY (topic_id, partition, first_offset)
TTL toDateTime(intDiv(planned_ns, 1000000000), 'UTC') + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 172800,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;
CREATE TABLE IF NOT EXISTS receivers
(
    receiver      String,
    stored_until  DateTime64(6, 'UTC'),
    has_left      UInt8,
    seen_at       DateTime64(6, 'UTC')
)
ENGINE = ReplacingMergeTree(seen_at)
ORDER BY receiver;
ALTER TABLE calls MODIFY SETTING min_bytes_for_wide_part = 104857600;
DROP VIEW IF EXISTS calls_footprint;
CREATE VIEW calls_footprint AS
SELECT
    * EXCEPT (uncached_tokens, input_tokens_over_32k, seconds, seconds_high),
    it_wh * pue / band_energy AS energy_wh_low,
    (it_wh * pue + it_wh_high * ifNull(pue_high, pue)) / 2 AS energy_wh_mid,
    it_wh_high * ifNull(pue_high, pue) * band_energy AS energy_wh_high,
    it_wh * pue * co2e_g_per_kwh_location / 1000 / (band_energy * band_grid) AS co2e_g_location_low,
    (it_wh * pue * co2e_g_per_kwh_location / 1000 + it_wh_high * ifNull(pue_high, pue) * co2e_g_per_kwh_location / 1000) / 2 AS co2e_g_location_mid,
    it_wh_high * ifNull(pue_high, pue) * co2e_g_per_kwh_location / 1000 * (band_energy * band_grid) AS co2e_g_location_high,
    it_wh * pue * co2e_g_per_kwh_market / 1000 / (band_energy * band_grid) AS co2e_g_market_low,
    (it_wh * pue * co2e_g_per_kwh_market / 1000 + it_wh_high * ifNull(pue_high, pue) * co2e_g_per_kwh_market / 1000) / 2 AS co2e_g_market_mid,
    it_wh_high * ifNull(pue_high, pue) * co2e_g_per_kwh_market / 1000 * (band_energy * band_grid) AS co2e_g_market_high,
    (it_wh * pue * co2e_g_per_kwh_embodied / 1000 + co2e_g_per_second_embodied * seconds) / band_energy AS co2e_g_embodied_low,
    ((it_wh * pue * co2e_g_per_kwh_embodied / 1000 + co2e_g_per_second_embodied * seconds) + (it_wh_high * ifNull(pue_high, pue) * co2e_g_per_kwh_embodied / 1000 + ifNull(co2e_g_per_second_embodied_high, co2e_g_per_second_embodied) * seconds_high)) / 2 AS co2e_g_embodied_mid,
    (it_wh_high * ifNull(pue_high, pue) * co2e_g_per_kwh_embodied / 1000 + ifNull(co2e_g_per_second_embodied_high, co2e_g_per_second_embodied) * seconds_high) * band_energy AS co2e_g_embodied_high,
    it_wh * water_l_per_kwh_onsite / (band_energy * band_water) AS water_ml_onsite_low,
    (it_wh * water_l_per_kwh_onsite + it_wh_high * ifNull(water_l_per_kwh_onsite_high, water_l_per_kwh_onsite)) / 2 AS water_ml_onsite_mid,
    it_wh_high * ifNull(water_l_per_kwh_onsite_high, water_l_per_kwh_onsite) * (band_energy * band_water) AS water_ml_onsite_high,
    it_wh * pue * water_l_per_kwh_offsite / (band_energy * band_water) AS water_ml_offsite_low,
    (it_wh * pue * water_l_per_kwh_offsite + it_wh_high * ifNull(pue_high, pue) * water_l_per_kwh_offsite) / 2 AS water_ml_offsite_mid,
    it_wh_high * ifNull(pue_high, pue) * water_l_per_kwh_offsite * (band_energy * band_water) AS water_ml_offsite_high
FROM
(
    SELECT *, counted * (wh_per_call * 1
 + wh_per_input_token * uncached_tokens
 + wh_per_input_token_over_32k * input_tokens_over_32k
 + wh_per_cache_read_token * cache_read_tokens
 + wh_per_cache_write_token * cache_write_tokens
 + wh_per_output_token * output_tokens
 + wh_per_reasoning_token * reasoning_tokens
 + wh_per_measured_mj * measured_energy_mj
 + wh_per_image * images
 + wh_per_audio_second * audio_ms / 1000
 + wh_per_video_second * video_ms / 1000
 + wh_per_usd * spend_microusd / 1000000
 + wh_per_second * seconds) AS it_wh, counted * (wh_per_call * 1
 + wh_per_input_token * uncached_tokens
 + wh_per_input_token_over_32k * input_tokens_over_32k
 + wh_per_cache_read_token * cache_read_tokens
 + wh_per_cache_write_token * cache_write_tokens
 + ifNull(wh_per_output_token_high, wh_per_output_token) * output_tokens
 + wh_per_reasoning_token * reasoning_tokens
 + wh_per_measured_mj * measured_energy_mj
 + wh_per_image * images
 + wh_per_audio_second * audio_ms / 1000
 + wh_per_video_second * video_ms / 1000
 + wh_per_usd * spend_microusd / 1000000
 + ifNull(wh_per_second_high, wh_per_second) * seconds_high) AS it_wh_high
    FROM
    (
        SELECT * EXCEPT (energy_wh, co2e_g, water_ml, generation_us, generation_us_high),
               greatest(toInt64(input_tokens) - cache_read_tokens - cache_write_tokens, 0) AS uncached_tokens,
               greatest(uncached_tokens - 32000, 0) AS input_tokens_over_32k,
               counted * least(seconds_to_first_token + seconds_per_output_token * output_tokens, if(duration_us = 0, inf, duration_us / 1e6)) AS seconds, counted * least(seconds_to_first_token + ifNull(seconds_per_output_token_high, seconds_per_output_token) * output_tokens, if(duration_us = 0, inf, duration_us / 1e6)) AS seconds_high
        FROM calls AS c
        LEFT ANY JOIN (SELECT * EXCEPT (provider) FROM coefficients) AS k USING (coef_id)
    )
);

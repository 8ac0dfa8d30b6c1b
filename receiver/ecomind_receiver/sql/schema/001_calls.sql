-- The telemetry store. One row of `calls` per GenAI span, one row of `coefficients` per distinct set
-- of factors, one hourly rollup. Nothing is ever updated: a correction is a row with sign −1.
--
-- Every table that a segment writes sets three things, and all three are needed for exactly-once:
-- a deduplication window (here and on each rollup), fsync after insert (or a power cut loses the part
-- while the log remembers its token), and the same token on every retry (load.sql sets it).

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
    place                LowCardinality(String),   -- inference region as stated, else the endpoint's host
    operation            LowCardinality(String),
    service_tier         LowCardinality(String),
    scope                LowCardinality(String),   -- the instrumentation that emitted the span
    start_time           DateTime64(6, 'UTC') CODEC(Delta(8), LZ4),
    duration_us          UInt64 CODEC(T64, LZ4),
    time_to_first_us     UInt64 CODEC(T64, LZ4),
    trace_hash           UInt64 CODEC(NONE),       -- sipHash64 of the 16-byte trace id
    span_id              UInt64 CODEC(NONE),       -- the 8 bytes of the span id, big-endian
    response_hash        UInt64 CODEC(LZ4),    -- 0: no response id
    user_hash            UInt64 CODEC(LZ4),    -- keyed per organisation; 0: unknown
    session_hash         UInt64 CODEC(LZ4),
    input_tokens         UInt32 CODEC(T64, LZ4),  -- inclusive: cache reads and writes are part of it
    cache_read_tokens    UInt32 CODEC(T64, LZ4),
    cache_write_tokens   UInt32 CODEC(T64, LZ4),
    output_tokens        UInt32 CODEC(T64, LZ4),  -- inclusive: reasoning is part of it
    reasoning_tokens     UInt32 CODEC(T64, LZ4),
    measured_energy_mj   UInt64 CODEC(T64, LZ4),  -- millijoules from ecomind.measured.energy
    usage_quality        LowCardinality(String),   -- reported | partial | estimated | missing
    counted              UInt8,                    -- 1: a billable call, part of every total
    reason               LowCardinality(String),   -- why it is not counted: container | duplicate | error | …
    sign                 Int8,                     -- −1 cancels an earlier row
    coef_id              UInt64 CODEC(LZ4),
    energy_wh            Float32 CODEC(LZ4),   -- mid values, for people and BI tools
    co2e_g               Float32 CODEC(LZ4),   -- operational, location-based
    water_ml             Float32 CODEC(LZ4),   -- on site + off site
    received_at          DateTime('UTC') CODEC(Delta(4), LZ4),
    segment_id           UInt64 CODEC(LZ4),
    retention_class      LowCardinality(String),
    INDEX ix_trace trace_hash TYPE bloom_filter(0.01) GRANULARITY 1,
    INDEX ix_received received_at TYPE minmax GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY (toDate(start_time, 'UTC'), retention_class)
ORDER BY (org_id, project_id, toStartOfHour(start_time), request_model, start_time)
TTL toDateTime(start_time, 'UTC') + INTERVAL {{ retention_days }} DAY
SETTINGS ttl_only_drop_parts = 1,
         -- merge late and in large steps, and once more when a day is over: a merge costs as much as a load
         min_parts_to_merge_at_once = 100, min_partition_age_to_force_merge_seconds = 3600,
         non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS coefficients
(
    coef_id                    UInt64,             -- hash of everything below
    method                     LowCardinality(String),   -- ecomind@v1, measured, class …
    factor_set                 LowCardinality(String),
    provider                   LowCardinality(String),
    model                      LowCardinality(String),   -- the catalogue's id, or the class
    model_match                LowCardinality(String),   -- how the name was matched, for people
    model_tier                 LowCardinality(String),   -- A … F
    zone                       LowCardinality(String),   -- grid zone, e.g. US-CAISO, FRA, WOR
    zone_match                 LowCardinality(String),
    grid_tier                  LowCardinality(String),   -- A … E
    wh_per_call                Float64,            -- IT energy, idle share included; Wh
    wh_per_input_token         Float64,
    wh_per_input_token_over_32k Float64,           -- extra, for each uncached input token beyond 32,000
    wh_per_cache_read_token    Float64,
    wh_per_cache_write_token   Float64,
    wh_per_output_token        Float64,
    wh_per_reasoning_token     Float64,            -- extra, for output tokens that are reasoning
    wh_per_measured_mj         Float64,
    pue                        Float64,
    co2e_g_per_kwh_location    Float64,
    co2e_g_per_kwh_market      Nullable(Float64),  -- NULL: no evidence, shown as "not available"
    co2e_g_per_kwh_embodied    Float64,
    water_l_per_kwh_onsite     Float64,            -- per kWh of IT energy
    water_l_per_kwh_offsite    Float64,            -- per kWh of facility energy
    band_energy                Float64,            -- low = mid ÷ band, high = mid × band
    band_grid                  Float64,
    band_water                 Float64
)
ENGINE = MergeTree
ORDER BY coef_id
SETTINGS non_replicated_deduplication_window = 10000,
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
    uncached_tokens      Int64,                    -- per call max(input − cache read − cache write, 0)
    input_tokens_over_8k   Int64,                  -- of the uncached ones
    input_tokens_over_32k  Int64,
    input_tokens_over_128k Int64,
    measured_energy_mj   Int64,
    duration_ms          Int64,
    energy_wh            Float64,                  -- for dashboards only; figures that must replay
    co2e_g               Float64,                  -- come from the integers and the coefficients
    water_ml             Float64
)
ENGINE = SummingMergeTree
PARTITION BY toYYYYMM(hour, 'UTC')
ORDER BY (org_id, project_id, hour, team, service, environment, provider, request_model, response_model,
          place, operation, service_tier, usage_quality, coef_id)
TTL hour + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 10000,
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

-- What became of every span that was acknowledged, per segment: stored, or dropped and why.
CREATE TABLE IF NOT EXISTS span_outcomes
(
    received_at  DateTime('UTC'),
    segment_id   UInt64,
    org_id       LowCardinality(String),
    project_id   LowCardinality(String),
    outcome      LowCardinality(String),           -- stored | not_genai | resent | bad_id | bad_time | …
    spans        UInt64
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(received_at, 'UTC')
ORDER BY (org_id, received_at)
TTL received_at + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- The last spans of each segment and why each counted or not, for `ecomind doctor --telemetry`.
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
SETTINGS non_replicated_deduplication_window = 10000;

CREATE TABLE IF NOT EXISTS reconciled
(
    window_end   DateTime('UTC'),
    corrections  UInt64
)
ENGINE = MergeTree
ORDER BY window_end
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

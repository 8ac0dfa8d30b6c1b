{% set row %}
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
{% endset %}
-- Days that are over for good: their usage as integers, which can be replayed and signed. A generation holds what is new
-- since the one before it, so that nothing is ever changed; the rows of a day are the sum of its generations.
CREATE TABLE IF NOT EXISTS closed_usage
(
    org_id               LowCardinality(String),
    day                  Date,
    generation           UInt32,
{{ row }})
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (org_id, day, hour, provider, request_model, response_model, place, service_tier, usage_quality, coef_id)
TTL day + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- What each generation of an organisation's day comes to: how many rows, and the root of the tree over them.
CREATE TABLE IF NOT EXISTS day_closes
(
    org_id      LowCardinality(String),
    project_id  LowCardinality(String),               -- always '': of the whole organisation, so no project's key reads it
    day         Date,
    generation  UInt32,
    closed_at   DateTime('UTC'),
    rows        UInt64,
    calls       Int64,
    root        String                                -- SHA-256 in hex, of the day with all generations up to this one
)
ENGINE = MergeTree
ORDER BY (org_id, day, generation)
TTL day + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

-- Days that were closed for every organisation, those without usage too.
CREATE TABLE IF NOT EXISTS closed_days (day Date, closed_at DateTime('UTC'))
ENGINE = MergeTree
ORDER BY day
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1;

-- Closed days under another factor set or method, beside the originals: the same integers, other coefficients.
CREATE TABLE IF NOT EXISTS restated_usage
(
    org_id               LowCardinality(String),
    restatement_id       String CODEC(ZSTD),
    day                  Date,
{{ row }})
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (org_id, restatement_id, day, hour)
TTL day + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

CREATE TABLE IF NOT EXISTS restatements
(
    restatement_id  String,
    org_id          LowCardinality(String),
    project_id      LowCardinality(String),            -- always '', as above
    from_day        Date,
    to_day          Date,                              -- exclusive
    factor_set      String,
    factor_set_sha256 String,
    method          String,
    basis           LowCardinality(String),            -- closed | calls
    reason          String,
    requested_by    String,
    created_at      DateTime('UTC'),
    rows            UInt64,
    calls           Int64,
    closes_root     String,                            -- root over the closes of the days it rests on
    difference      String                             -- JSON: original, restated and their difference
)
ENGINE = MergeTree
ORDER BY (org_id, created_at)
TTL created_at + INTERVAL 10 YEAR
SETTINGS non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1

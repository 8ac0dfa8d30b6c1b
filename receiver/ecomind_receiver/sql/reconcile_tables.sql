-- What the reconcile job compares, in memory: see candidates.sql.
CREATE TABLE IF NOT EXISTS {{ suspects }} (kind LowCardinality(String), key UInt64) ENGINE = Memory;

CREATE TABLE IF NOT EXISTS {{ staging }}
(
    org_id LowCardinality(String), project_id LowCardinality(String), team LowCardinality(String), service LowCardinality(String),
    provider LowCardinality(String), request_model LowCardinality(String), response_model LowCardinality(String),
    place LowCardinality(String), operation LowCardinality(String), service_tier LowCardinality(String),
    scope LowCardinality(String), signal LowCardinality(String),
    start_time DateTime64(6, 'UTC'), duration_us UInt64, trace_hash UInt64, span_number UInt64, parent_number UInt64, response_hash UInt64,
    input_tokens UInt32, cache_read_tokens UInt32, cache_write_tokens UInt32, output_tokens UInt32, reasoning_tokens UInt32,
    lent_reasoning UInt32, lent UInt8, measured UInt8, units UInt8, spend_microusd UInt64, usage_quality LowCardinality(String), usage_states UInt16,
    outcome LowCardinality(String), reason LowCardinality(String),
    segment_id UInt64, counted UInt8, settled UInt8, span_key UInt64, twin_key UInt64, resolve_key UInt64, name_key UInt64, row UInt64
)
ENGINE = Memory;

{% include 'beside_staging.sql' %}

-- One segment, decoded: what load.sql reads. In memory, emptied before every segment.
CREATE TABLE IF NOT EXISTS {{ staging }}
(
    org_id LowCardinality(String), project_id LowCardinality(String), team LowCardinality(String),
    service LowCardinality(String), environment LowCardinality(String), provider LowCardinality(String),
    request_model LowCardinality(String), response_model LowCardinality(String), place LowCardinality(String),
    operation LowCardinality(String), service_tier LowCardinality(String), scope LowCardinality(String),
    signal LowCardinality(String),
    start_time DateTime64(6, 'UTC'), duration_us UInt64, time_to_first_us UInt64,
    trace_hash UInt64, span_number UInt64, parent_number UInt64, response_hash UInt64, user_hash UInt64, session_hash UInt64,
    input_tokens UInt32, cache_read_tokens UInt32, cache_write_tokens UInt32, output_tokens UInt32,
    reasoning_tokens UInt32, measured_energy_mj UInt64,
    images UInt32, audio_ms UInt32, video_ms UInt32, spend_microusd UInt64,
    usage_quality LowCardinality(String), usage_states UInt16, adjusted_calls_milli UInt64,
    outcome LowCardinality(String), reason LowCardinality(String),
    received_at DateTime('UTC'), trace_id String, span_id String, resolve_key UInt64, span_key UInt64, twin_key UInt64, name_key UInt64, measured UInt8, units UInt8,
    lent_reasoning UInt32, lent UInt8, claims UInt8, row UInt64
)
ENGINE = Memory;

{% include 'beside_staging.sql' %}
;

-- The names it may use on a day, where it uses too many.
CREATE TABLE IF NOT EXISTS {{ caps }}
(org_id LowCardinality(String), day Date, dimension LowCardinality(String), value String) ENGINE = Memory

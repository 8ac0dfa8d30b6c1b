-- Borders and decisions of every batch that was read from Kafka. The first insert for a beginning stands, whoever made it.
CREATE TABLE IF NOT EXISTS kafka_plans
(
    topic_id      String,                          -- of one cluster and one creation of the topic
    topic         LowCardinality(String),
    partition     UInt32,
    first_offset  UInt64,
    last_offset   UInt64,
    planned_ns    Int64,                           -- of spans that bring no time of receipt, that time
    newest_ns     Int64,                           -- when the newest of its records was received
    plan          String CODEC(ZSTD(3)) TTL toDateTime(intDiv(planned_ns, 1000000000), 'UTC') + INTERVAL 3 DAY
)
ENGINE = MergeTree
ORDER BY (topic_id, partition, first_offset)
TTL toDateTime(intDiv(planned_ns, 1000000000), 'UTC') + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 10000,
         fsync_after_insert = 1, fsync_part_directory = 1, min_rows_to_fsync_after_merge = 1;

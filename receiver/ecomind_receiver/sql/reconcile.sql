-- Makes the corrections of a window, a month at a time. Made again under the same token, nothing changes.
INSERT INTO calls ({{ columns | join(', ') }})
SELECT {{ columns | join(', ') }} FROM corrections
WHERE window_end = {{ to }} AND toYYYYMM(start_time, 'UTC') = {{ month }}
SETTINGS insert_deduplication_token = '{{ token }}-{{ month }}', insert_deduplicate = 1,
         deduplicate_blocks_in_dependent_materialized_views = 1, async_insert = 0,
         max_insert_threads = 1, max_threads = 1,
         min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 0,
         max_partitions_per_insert_block = 1000

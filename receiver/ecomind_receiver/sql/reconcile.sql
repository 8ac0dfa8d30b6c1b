-- Cancels what one window should not have counted, looking back so far that a twin or a re-send in an
-- earlier segment is seen. A loser gets a row with sign −1, an exact copy otherwise; a twin gets, beside
-- it, a row that is kept but not counted. Run again, it finds nothing left to do.
INSERT INTO calls
WITH
    window_rows AS
    (
        SELECT org_id, trace_hash, span_id, segment_id, any(response_hash) AS response_hash,
               any(received_at) AS received_at, counted, any(usage_quality) AS usage_quality,
               any(cache_read_tokens) AS cache_read_tokens, any(cache_write_tokens) AS cache_write_tokens,
               any(reasoning_tokens) AS reasoning_tokens, any(input_tokens) AS input_tokens,
               any(output_tokens) AS output_tokens, any(start_time) AS start_time
        FROM calls
        WHERE received_at >= {{ from }} - {{ look_back }} AND received_at < {{ to }}
          AND ((org_id, trace_hash, span_id) IN
               (
                   SELECT org_id, trace_hash, span_id FROM calls
                   WHERE received_at >= {{ from }} - {{ look_back }} AND received_at < {{ to }}
                   GROUP BY org_id, trace_hash, span_id HAVING sum(sign) > 1
               )
               OR (org_id, response_hash) IN
               (
                   SELECT org_id, response_hash FROM calls
                   WHERE received_at >= {{ from }} - {{ look_back }} AND received_at < {{ to }}
                     AND counted AND response_hash != 0
                   GROUP BY org_id, response_hash HAVING sum(sign) > 1
               ))
        GROUP BY org_id, trace_hash, span_id, segment_id, counted
        HAVING sum(sign) > 0
    ),
    resent AS
    (
        SELECT org_id, trace_hash, span_id, segment_id, counted
        FROM
        (
            SELECT *, row_number() OVER (PARTITION BY org_id, trace_hash, span_id ORDER BY received_at, segment_id) AS place_in_line
            FROM window_rows
        )
        WHERE place_in_line > 1
    ),
    twins AS
    (
        SELECT org_id, trace_hash, span_id, segment_id, counted
        FROM
        (
            SELECT *, row_number() OVER (PARTITION BY org_id, response_hash
                ORDER BY received_at < {{ from }} DESC, {{ richness }} DESC, start_time, received_at, segment_id, span_id) AS place_in_line
            FROM window_rows
            WHERE counted AND response_hash != 0 AND (org_id, trace_hash, span_id, segment_id, counted) NOT IN (SELECT * FROM resent)
        )
        WHERE place_in_line > 1
    ),
    losers AS
    (
        SELECT * FROM calls
        WHERE received_at >= {{ from }} - {{ look_back }} AND received_at < {{ to }} AND sign = 1
          AND (org_id, trace_hash, span_id, segment_id, counted) IN (SELECT * FROM resent UNION ALL SELECT * FROM twins)
    )
SELECT * REPLACE (toInt8(-1) AS sign) FROM losers
UNION ALL
SELECT * REPLACE (toUInt8(0) AS counted, 'duplicate' AS reason,
                  toFloat32(0) AS energy_wh, toFloat32(0) AS co2e_g, toFloat32(0) AS water_ml)
FROM (SELECT * FROM losers WHERE (org_id, trace_hash, span_id, segment_id, counted) IN (SELECT * FROM twins))
SETTINGS prefer_column_name_to_alias = 1, insert_deduplicate = 0, async_insert = 0, max_insert_threads = 1,
         min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 0,
         max_partitions_per_insert_block = 1000, max_bytes_before_external_group_by = 500000000

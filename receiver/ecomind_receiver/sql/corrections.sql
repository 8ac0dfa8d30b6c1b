-- What has to be added to `calls` for one window: of a loser an exact copy with sign −1 and, unless it was sent again, a row that
-- is kept but not counted. Written down whole, under the window's token, before any of it is done.
INSERT INTO corrections (window_end, {{ columns | join(', ') }})
WITH losing AS
(
    SELECT c.*, l.verdict AS verdict
    FROM calls AS c
    INNER JOIN
    (
        SELECT org_id, trace_hash, span_number AS span_id, segment_id, counted, verdict
        FROM {{ losers }} AS l INNER JOIN {{ staging }} AS s ON l.row = s.row
    ) AS l USING (org_id, trace_hash, span_id, segment_id, counted)
    WHERE c.received_at >= {{ to }} - {{ resent_look_back }} AND c.received_at < {{ to }} AND c.sign = 1
    LIMIT 1 BY org_id, trace_hash, span_id, segment_id, counted
)
SELECT {{ to }} AS window_end, {{ columns | join(', ') }} FROM (SELECT * REPLACE (toInt8(-1) AS sign) FROM losing)
UNION ALL
SELECT {{ to }} AS window_end, {{ columns | join(', ') }} FROM (
    SELECT * REPLACE (toUInt8(0) AS counted, verdict AS reason,
                      toFloat32(0) AS energy_wh, toFloat32(0) AS co2e_g, toFloat32(0) AS water_ml)
    FROM losing WHERE verdict != 'resent')
SETTINGS prefer_column_name_to_alias = 1, async_insert = 0, max_insert_threads = 1,
         insert_deduplication_token = '{{ token }}', insert_deduplicate = 1,
         min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 0

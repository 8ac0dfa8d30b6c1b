-- Rows of a segment that must not count: spans sent twice, and twins of one billable call.
-- Twins share (organisation, response id); the richest span wins, in an order that never varies.
INSERT INTO {{ losers }}
SELECT row, 'resent' AS verdict
FROM
(
    SELECT row, row_number() OVER (PARTITION BY org_id, trace_hash, span_number ORDER BY row) AS place_in_line
    FROM {{ staging }}
    WHERE outcome = 'stored' AND (org_id, trace_hash, span_number) IN
    (
        SELECT org_id, trace_hash, span_number FROM {{ staging }}
        WHERE outcome = 'stored' GROUP BY org_id, trace_hash, span_number HAVING count() > 1
    )
)
WHERE place_in_line > 1
UNION ALL
SELECT row, 'duplicate' AS verdict
FROM
(
    SELECT row, row_number() OVER (
        PARTITION BY org_id, response_hash
        ORDER BY {{ richness }}, row) AS place_in_line
    FROM {{ staging }}
    WHERE outcome = 'stored' AND reason = '' AND response_hash != 0 AND (org_id, response_hash) IN
    (
        SELECT org_id, response_hash FROM {{ staging }}
        WHERE outcome = 'stored' AND reason = '' AND response_hash != 0
        GROUP BY org_id, response_hash HAVING count() > 1
    )
)
WHERE place_in_line > 1
SETTINGS max_threads = 1

-- Rows of a segment that must not count: spans sent twice, and twins of one billable call.
-- One 64-bit key first finds the few candidates; only among them are whole identities compared.
-- Twins share (organisation, response id); the richest span wins, in an order that never varies.
INSERT INTO {{ losers }}
SELECT row, 'resent' AS verdict
FROM
(
    SELECT row, row_number() OVER (PARTITION BY org_id, trace_hash, span_number ORDER BY row) AS place_in_line
    FROM {{ staging }}
    WHERE outcome = 'stored' AND span_key IN
    (
        SELECT span_key FROM {{ staging }} WHERE outcome = 'stored' GROUP BY span_key HAVING count() > 1
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
    WHERE outcome = 'stored' AND reason = '' AND response_hash != 0 AND response_hash IN
    (
        SELECT response_hash FROM {{ staging }}
        WHERE outcome = 'stored' AND reason = '' AND response_hash != 0
        GROUP BY response_hash HAVING count() > 1
    )
)
WHERE place_in_line > 1
SETTINGS max_threads = 1

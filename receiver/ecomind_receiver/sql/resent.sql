-- Spans that were sent twice: all but the first are losers.
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
SETTINGS max_threads = 1

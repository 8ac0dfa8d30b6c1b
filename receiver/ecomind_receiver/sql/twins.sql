-- Spans of a segment that report one billable call: (organisation, response id). The richest wins, in
-- an order that never varies. A 64-bit hash first finds the few candidates.
INSERT INTO {{ losers }}
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

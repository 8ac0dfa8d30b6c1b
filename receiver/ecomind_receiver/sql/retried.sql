-- A failed attempt that was followed by one that succeeded, under the same parent.
INSERT INTO {{ losers }}
SELECT s.row, 'retry' AS verdict
FROM {{ staging }} AS s
INNER JOIN
(
    SELECT org_id, trace_hash, parent_number, operation, max(start_time) AS last_start
    FROM {{ staging }}
    WHERE outcome = 'stored' AND reason = '' AND parent_number != 0
    GROUP BY org_id, trace_hash, parent_number, operation
) AS good USING (org_id, trace_hash, parent_number, operation)
WHERE s.outcome = 'stored' AND s.reason = 'error' AND s.start_time <= good.last_start
  AND s.row NOT IN (SELECT row FROM {{ losers }})
SETTINGS max_threads = 1

-- A coding CLI can report one call as a span and as a log record. Where a service sends both, the records count. A line of an
-- invoice is about other calls.
INSERT INTO {{ losers }}
SELECT row, 'other_signal' AS verdict
FROM {{ staging }}
WHERE outcome = 'stored' AND reason = '' AND signal = 'span' AND spend_microusd = 0 AND row NOT IN (SELECT row FROM {{ losers }})
  AND (org_id, project_id, service) IN
  (
      SELECT org_id, project_id, service FROM {{ staging }} WHERE outcome = 'stored' AND reason = '' AND signal = 'log' AND spend_microusd = 0
  )
SETTINGS max_threads = 1

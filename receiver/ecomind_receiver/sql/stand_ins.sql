-- An agent that stood for its calls, where its trace does hold a call: it is a container after all.
INSERT INTO {{ losers }}
SELECT row, 'container' AS verdict
FROM {{ staging }}
WHERE outcome = 'stored' AND reason = '' AND operation = 'invoke_agent' AND row NOT IN (SELECT row FROM {{ losers }})
  AND (org_id, trace_hash) IN
  (
      SELECT org_id, trace_hash FROM {{ staging }}
      WHERE outcome = 'stored' AND reason IN ('', 'error') AND operation != 'invoke_agent'
  )
SETTINGS max_threads = 1

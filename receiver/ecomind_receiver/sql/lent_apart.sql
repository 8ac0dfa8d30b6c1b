-- Calls of a window that now know what they lacked, its source having been stored apart: they are replaced. What an earlier,
-- closed window holds is final.
INSERT INTO {{ losers }}
SELECT row, 'lent' AS verdict
FROM {{ staging }} AS s INNER JOIN {{ changed }} AS c USING (row)
WHERE s.counted AND NOT s.settled AND (s.usage_states != c.usage_states OR s.request_model != c.request_model OR s.response_model != c.response_model)
  AND row NOT IN (SELECT row FROM {{ losers }})

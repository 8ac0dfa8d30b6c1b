-- A stream whose usage came on a second span: the span that opened it, and says nothing, is a duplicate of it. The two need
-- not share a trace; of one service and model the first that opened belongs to the first that spoke after its end, and so on.
{% import 'keys.sql' as made %}
INSERT INTO {{ losers }}
WITH parts AS
(
    SELECT row, reason, {{ made.opened_key() }} AS key, usage_quality = 'estimated' AS silent, start_time AS began,
           addMicroseconds(start_time, duration_us) AS ended,
           row_number() OVER (PARTITION BY key, silent ORDER BY began, row) AS place
    FROM {{ staging }}
    WHERE outcome = 'stored' AND reason IN ('', 'duplicate') AND usage_quality != '' AND response_hash = 0
      AND {{ made.apart_scope(apart_scopes) }} AND row NOT IN (SELECT row FROM {{ losers }})
)
SELECT opened.row, 'duplicate' AS verdict
FROM (SELECT * FROM parts WHERE silent) AS opened
INNER JOIN (SELECT key, place, began FROM parts WHERE NOT silent AND reason = '') AS spoken USING (key, place)
WHERE opened.reason = '' AND spoken.began >= opened.ended AND spoken.began < opened.ended + INTERVAL 1 HOUR
SETTINGS max_threads = 1

-- Spans of different instrumentations that report one call where an id is missing: equal tokens, and the time of one inside
-- the other's. In each stretch of overlapping spans the first of every instrumentation are one call, then the second
-- and so on: so many calls count as the instrumentation that saw most of them reports, and equal calls at once survive.
-- Spans with a response id are known to be calls of their own and stand together as one instrumentation.
{% import 'keys.sql' as made %}
INSERT INTO {{ losers }}
WITH
    open AS
    (
        SELECT row, scope, {{ made.alike_key() }} AS key, if(response_hash != 0, '', scope) AS side,
               start_time AS began, addMicroseconds(start_time, duration_us) AS ended, {{ made.richness() }} AS worth
        FROM {{ staging }}
        WHERE outcome = 'stored' AND reason = '' AND operation != 'invoke_agent' AND usage_quality != '' AND spend_microusd = 0
          AND row NOT IN (SELECT row FROM {{ losers }})
    ),
    shared AS
    (
        SELECT *, began > max(ended) OVER (PARTITION BY key ORDER BY began, ended DESC, row ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS apart
        FROM open
        WHERE key IN (SELECT key FROM open GROUP BY key HAVING uniqExact(side) > 1)
    ),
    stretches AS
    (
        SELECT *, sum(apart) OVER (PARTITION BY key ORDER BY began, ended DESC, row) AS stretch FROM shared
    ),
    ranked AS
    (
        SELECT *, row_number() OVER (PARTITION BY key, stretch, side ORDER BY began, ended DESC, row) AS place FROM stretches
    ),
    placed AS
    (
        SELECT row, scope, began, ended,
               first_value(row) OVER calls AS first_row, first_value(scope) OVER calls AS first_scope,
               first_value(began) OVER calls AS first_began, first_value(ended) OVER calls AS first_ended
        FROM ranked
        WINDOW calls AS (PARTITION BY key, stretch, place ORDER BY side = '' DESC, worth DESC, began, row
                         ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
    )
SELECT row, 'duplicate' AS verdict
FROM placed
WHERE row != first_row AND scope != first_scope
  AND ((began >= first_began AND ended <= first_ended) OR (began <= first_began AND ended >= first_ended))
SETTINGS max_threads = 1

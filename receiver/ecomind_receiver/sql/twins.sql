-- Spans that report one billable call, by organisation and response id (twin_key). The
-- richest wins, in an order that never varies; what was settled before stays.
{% import 'keys.sql' as made %}
INSERT INTO {{ losers }}
SELECT row, 'duplicate' AS verdict
FROM
(
    SELECT row, row_number() OVER (PARTITION BY twin_key ORDER BY {{ settled }} {{ made.richness() }} DESC, start_time, row) AS place_in_line
    FROM {{ staging }}
    WHERE outcome = 'stored' AND reason = '' AND row NOT IN (SELECT row FROM {{ losers }}) AND twin_key IN
    (
        SELECT twin_key FROM {{ staging }}
        WHERE outcome = 'stored' AND reason = '' AND twin_key != 0
        GROUP BY twin_key HAVING count() > 1
    )
)
WHERE place_in_line > 1
SETTINGS max_threads = 1

-- The next generation of a day: what its rollup holds and its generations so far do not, as rows of closed_usage. Rows of a generation that no close
-- vouches for are of a process that stopped before it could; they are made again under the same token, which changes nothing.
WITH
    known AS (SELECT org_id, max(generation) AS closed FROM day_closes WHERE day = {{ day }} GROUP BY org_id),
    found AS
    (
        SELECT org_id, {{ keys | join(', ') }}, {% for column in sums %}sum({{ column }}) AS {{ column }}_new{{ ', ' if not loop.last }}{% endfor %}

        FROM
        (
            SELECT org_id, {{ keys | join(', ') }}, {{ sums | join(', ') }}
            FROM usage_hourly WHERE hour >= {{ day }} AND hour < {{ day }} + INTERVAL 1 DAY
            UNION ALL
            SELECT org_id, {{ keys | join(', ') }}, {% for column in sums %}-c.{{ column }} AS {{ column }}{{ ', ' if not loop.last }}{% endfor %}

            FROM closed_usage AS c INNER JOIN known USING (org_id)
            WHERE day = {{ day }} AND generation <= closed
        )
        GROUP BY org_id, {{ keys | join(', ') }}
    )
SELECT org_id, {{ day }}, closed + 1, {{ keys | join(', ') }}, {% for column in sums %}{{ column }}_new{{ ', ' if not loop.last }}{% endfor %}

FROM found LEFT ANY JOIN known USING (org_id)
WHERE {% for column in sums %}{{ column }}_new != 0{{ ' OR ' if not loop.last }}{% endfor %}

SETTINGS max_threads = {{ threads }}

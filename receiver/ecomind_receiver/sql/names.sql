-- The names that a segment uses, per organisation and day, at most {{ limit }} of each.
SELECT org_id, toDate(start_time, 'UTC') AS day,
{% for name, columns in dimensions.items() %}
       groupUniqArrayArray({{ limit }})([{{ columns | map('string') | join(', ') }}]) AS {{ name }}{{ ',' if not loop.last }}
{% endfor %}
FROM {{ staging }}
WHERE outcome = 'stored'
GROUP BY org_id, day

-- The names that a segment uses, per organisation and day, at most {{ limit }} of each.
SELECT org_id, day,
{% for name, columns in dimensions.items() %}
       groupUniqArrayArray({{ limit }})([{{ columns | join(', ') }}]) AS {{ name }}{{ ',' if not loop.last }}
{% endfor %}
FROM
(
    SELECT any(org_id) AS org_id, any(toDate(start_time, 'UTC')) AS day, any(team) AS team, any(service) AS service,
           any(request_model) AS request_model, any(response_model) AS response_model, any(place) AS place
    FROM {{ staging }}
    WHERE outcome = 'stored'
    GROUP BY name_key
)
GROUP BY org_id, day

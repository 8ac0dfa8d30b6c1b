-- Names beyond the day's allowance become {{ other }}; the key is made anew from what is left.
{% import 'keys.sql' as made %}
INSERT INTO {{ changed }}
SELECT * EXCEPT (day{% for column in columns %}, {{ column }}_kept{% endfor %}) REPLACE (
{% for column in columns %}
    {{ column }}_kept AS {{ column }},
{% endfor %}
    {{ made.resolve_key(terms, made.time_of(by_hour), 'request_model_kept', 'response_model_kept', 'place_kept') }} AS resolve_key)
FROM
(
    SELECT *, toDate(start_time, 'UTC') AS day,
{% for column, dimension in columns.items() %}
           if({{ column }} != '' AND (org_id, day, '{{ dimension }}') IN (SELECT org_id, day, dimension FROM {{ caps }})
              AND (org_id, day, '{{ dimension }}', {{ column }}) NOT IN (SELECT * FROM {{ caps }}),
              '{{ other }}', {{ column }}) AS {{ column }}_kept{{ ',' if not loop.last }}
{% endfor %}
    FROM {{ staging }}
)

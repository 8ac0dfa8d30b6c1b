-- Each distinct thing that a restatement has to resolve.
{% import 'restated.sql' as made %}
SELECT new_key, any(s.provider) AS provider, any(s.request_model) AS request_model, any(s.response_model) AS response_model,
       any(s.place) AS place, any(s.service_tier) AS service_tier, any(s.usage_quality) AS usage_quality, min(s.day) AS first_day,
       any(s.coef_id IN (SELECT coef_id FROM coefficients WHERE method = 'measured')) AS is_measured,
       any({{ made.has_units() }}) AS has_units, any({{ made.has_spend() }}) AS has_spend
FROM (SELECT *, {{ made.new_key() }} AS new_key FROM ({{ made.source(basis, keys, sums) }})) AS s
GROUP BY new_key

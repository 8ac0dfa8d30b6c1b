-- What Python has to resolve: each distinct key of a segment once, when one of its calls began, and under whose terms.
{% import 'keys.sql' as made %}
SELECT resolve_key, any(provider) AS provider, any(request_model) AS request_model,
       any(response_model) AS response_model, any(place) AS place, any(service_tier) AS service_tier,
       any(usage_quality) AS usage_quality,
       any(toDate(start_time, 'UTC')) AS day, toUnixTimestamp(any(start_time)) AS started_s, toBool(any(measured)) AS measured,
       toBool(any(units)) AS units, toBool(any(spend_microusd != 0)) AS spend, any({{ made.terms_id(terms) }}) AS terms_id
FROM {{ staging }}
WHERE outcome = 'stored'
GROUP BY resolve_key

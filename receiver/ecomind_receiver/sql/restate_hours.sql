-- The hours of the keys whose grid is known by the hour, and the key of each.
{% import 'restated.sql' as made %}
SELECT DISTINCT s.new_key AS new_key, s.hour AS hour, cityHash64(s.new_key, s.hour) AS hour_key
FROM (SELECT *, {{ made.new_key() }} AS new_key FROM ({{ made.source(basis, keys, sums) }})) AS s
WHERE s.new_key IN (SELECT new_key FROM {{ mapping }} WHERE by_hour)
LIMIT {{ limit }}

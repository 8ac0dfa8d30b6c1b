-- Whether a call lacks what the span above it may know: its model, or its reasoning tokens.
{% import 'keys.sql' as made %}
SELECT countIf(lent_reasoning > 0 OR (parent_number != 0 AND {{ made.nameless() }})) AS n
FROM {{ staging }}
WHERE outcome = 'stored'

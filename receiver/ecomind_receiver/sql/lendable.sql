-- Whether a call lacks what the span above it may know: its model, or its reasoning tokens.
SELECT countIf(lent_reasoning > 0) + countIf({{ nameless }}) AS n
FROM {{ staging }}
WHERE outcome = 'stored' AND parent_number != 0

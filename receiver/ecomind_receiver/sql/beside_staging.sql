-- The same rows with what a span above them knows, or under the names that may be used.
CREATE TABLE IF NOT EXISTS {{ changed }} AS {{ staging }};

-- Its rows that must not count, and the coefficients of its distinct keys.
CREATE TABLE IF NOT EXISTS {{ losers }} (row UInt64, verdict LowCardinality(String)) ENGINE = Memory;

CREATE TABLE IF NOT EXISTS {{ keys }}
(
    resolve_key UInt64, coef_id UInt64,
{% for column in coefficient_numbers %}
    {{ column }} {{ 'Nullable(Float64)' if column in nullable_numbers else 'Float64' }}{{ ',' if not loop.last }}
{% endfor %}
)
ENGINE = Memory

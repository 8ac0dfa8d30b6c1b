{# The rows of an organisation's closed days, or of its single calls, as `source`: keys, whether the call brought its own
   measurement, the epoch of the factors that its day falls in, the integers, and for single calls what bounds their time. #}
{% macro source(basis, keys, sums) -%}
{% if basis == 'closed' %}
SELECT day, {{ keys | join(', ') }}, {{ sums | join(', ') }}
FROM closed_usage
WHERE org_id = {org:String} AND day >= {from:Date} AND day < {to:Date}
{%- else %}
SELECT toDate(start_time, 'UTC') AS day, {% for key in keys %}{{ 'toStartOfHour(toDateTime(start_time, \'UTC\')) AS hour' if key == 'hour' else key }}{{ ', ' if not loop.last }}{% endfor %},
       toInt64(sign) AS calls, sign * toInt64(c.adjusted_calls_milli) AS adjusted_calls_milli,
       {% for column in ('input_tokens', 'cache_read_tokens', 'cache_write_tokens', 'output_tokens', 'reasoning_tokens', 'measured_energy_mj', 'images', 'audio_ms', 'video_ms', 'spend_microusd') %}sign * toInt64(c.{{ column }}) AS {{ column }}, {% endfor %}

       sign * greatest(uncached, 0) AS uncached_tokens,
       {% for limit in (8, 32, 128) %}sign * greatest(uncached - {{ limit }}000, 0) AS input_tokens_over_{{ limit }}k, {% endfor %}

       toInt64(0) AS generation_us, toInt64(0) AS generation_us_high,
       sign * toInt64(intDiv(c.duration_us, 1000)) AS duration_ms,
       toFloat64(c.output_tokens) AS call_output, if(c.duration_us = 0, inf, c.duration_us / 1e6) AS call_seconds
FROM (
    SELECT *, toInt64(input_tokens) - cache_read_tokens - cache_write_tokens AS uncached
    FROM calls
    WHERE org_id = {org:String} AND counted
      AND start_time >= toDateTime64({from:Date}, 6, 'UTC') AND start_time < toDateTime64({to:Date}, 6, 'UTC')
) AS c
{%- endif %}
{%- endmacro %}
{# What decides the new coefficients of a row. #}
{% macro new_key() -%}
cityHash64(provider, request_model, response_model, place, service_tier, usage_quality,
           arrayCount(start -> start <= day, {epochs:Array(Date)}), coef_id IN (SELECT coef_id FROM coefficients WHERE method = 'measured'), {{ has_units() }}, {{ has_spend() }})
{%- endmacro %}
{# Likewise, told apart by the hour where the grid is known by it. #}
{% macro hour_key(mapping) -%}
if(({{ new_key() }} AS key_of_day) IN (SELECT new_key FROM {{ mapping }} WHERE by_hour), cityHash64(key_of_day, hour), key_of_day)
{%- endmacro %}
{# Calls with units have coefficients of their own, so that a row has them for all of its calls or for none; so have paid ones. #}
{% macro has_units() -%} images != 0 OR audio_ms != 0 OR video_ms != 0 {%- endmacro %}
{% macro has_spend() -%} spend_microusd != 0 {%- endmacro %}

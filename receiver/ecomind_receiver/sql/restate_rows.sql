-- The rows with their new coefficients. Without `into`: their sums by old and new coefficients, for the difference. Closed rows
-- are written one by one, their generations beside each other; single calls are added up to rows first.
{% import 'restated.sql' as made %}
{% set added = basis == 'calls' or not into %}
{% if into %}
SELECT {org:String}, {id:String}, day, {% for key in keys %}{{ 'n.coef_id AS coef_id' if key == 'coef_id' else key }}{{ ', ' if not loop.last }}{% endfor %},
{% else %}
SELECT s.coef_id AS old_coef_id, n.coef_id AS new_coef_id, provider, if(request_model != '', request_model, response_model) AS model,
{% endif %}
{% for column in sums %}
       {{ 'sum(' if added }}{% if basis == 'calls' and column == 'generation_us' -%}
           s.calls * if(n.timed, toInt64(round(least(n.first + n.each * call_output, call_seconds) * 1e6)), 0)
           {%- elif basis == 'calls' and column == 'generation_us_high' -%}
           s.calls * if(n.timed, toInt64(round(least(n.first + n.each_high * call_output, call_seconds) * 1e6)), 0)
           {%- else -%} s.{{ column }} {%- endif %}{{ ')' if added }} AS {{ column }}{{ ',' if not loop.last }}
{% endfor %}
FROM (SELECT *, {{ made.hour_key(mapping) }} AS new_key FROM ({{ made.source(basis, keys, sums) }})) AS s
LEFT ANY JOIN {{ mapping }} AS n USING (new_key)
{% if added %}
GROUP BY {{ 'day, ' ~ keys | join(', ') if into else 'old_coef_id, new_coef_id, provider, model' }}
{% endif %}

{# Expressions that more than one statement needs, over the columns of staging or of decode's rows. #}
{# The terms of the few organisations that have any, 0 for all others; nothing where there are none. #}
{% macro terms_id(terms) -%}
{% if terms %}transform(org_id, [{% for org in terms %}'{{ org }}'{{ ', ' if not loop.last }}{% endfor %}], CAST([{{ terms.values() | join(', ') }}], 'Array(UInt64)'), toUInt64(0))
{%- else %}toUInt64(0){% endif %}
{%- endmacro %}
{# What decides a call's coefficients: catalogue.py resolves each value once. Without terms the key is what it is for everybody.
   Its time is the day's number, or the hour's where grids are known by the hour. #}
{% macro time_of(by_hour, start="toUnixTimestamp(start_time)", unit=1) -%}
toUInt64(intDiv({{ start }}, {{ (3600 if by_hour else 86400) * unit }}))
{%- endmacro %}
{% macro resolve_key(terms, time, request_model='request_model', response_model='response_model', place='place', measured='measured', units='units', spend='spend_microusd != 0') -%}
{% if terms %}bitXor({{ terms_id(terms) }}, {% endif %}
cityHash64(cityHash64(provider), cityHash64({{ request_model }}), cityHash64({{ response_model }}), cityHash64({{ place }}),
           cityHash64(service_tier), cityHash64(usage_quality), {{ time }}, {{ measured }} + 2 * ({{ units }}) + 4 * ({{ spend }})){{ ')' if terms }}
{%- endmacro %}
{# Calls × 1000 that a sampled span stands for: OpenTelemetry's consistent sampling, tracestate `ot=th:…`, threshold of 56
   bits. One in a million is the least that is believed; anything else stands for itself. #}
{% set th = "'(?:^|,)\\\\s*ot=(?:[^,]*;)?th:([0-9a-f]{1,14})\\\\s*(?:[;,]|$)'" %}
{% macro adjusted_milli(state) -%}
{% set digits = "extract(toLowCardinality(" ~ state ~ "), " ~ th ~ ")" %}
{% set threshold = "reinterpretAsUInt64(reverse(unhex(rightPad(" ~ digits ~ ", 14, '0'))))" %}
if({{ digits }} = '' OR {{ threshold }} > 72057521980398592, 1000, toUInt64(round(1000 / (1 - {{ threshold }} / 72057594037927936))))
{%- endmacro %}

{# What calls of two instrumentations without the provider's id have in common, if they are one call. Without usage they must
   share a trace too. #}
{% macro alike_key() -%}
cityHash64(org_id, project_id, service, operation = 'embeddings', input_tokens, output_tokens, if(usage_quality = 'estimated', trace_hash, 0))
{%- endmacro %}
{# A call that says what it used and not of which model, and one whose reasoning tokens were not reported: the span above
   may know. #}
{% macro nameless() -%}
(reason = '' AND request_model = '' AND response_model = '' AND usage_quality IN ('reported', 'partial'))
{%- endmacro %}
{# Of usage_states, the two bits of reasoning and all others. #}
{% set reasoning_bits, other_bits = 768, 255 %}
{% macro lacks_reasoning() -%}
(usage_quality = 'partial' AND bitAnd(usage_states, {{ reasoning_bits }}) != 0)
{%- endmacro %}
{# Rows that a span of the window may have been before: a day's, and of an invoice all that are kept. #}
{% macro may_be_resent(to, resent_look_back, spend_look_back, of='') -%}
{{ of }}received_at < {{ to }} AND {{ of }}received_at >= {{ to }} - {{ [resent_look_back, spend_look_back] | max }}
{%- if spend_look_back %} AND ({{ of }}received_at >= {{ to }} - {{ resent_look_back }} OR {{ of }}spend_microusd != 0){% endif %}
{%- endmacro %}
{# Which of several spans of one call is counted: the one that knows most. #}
{% macro richness() -%}
bitShiftLeft(toUInt64(usage_quality = 'reported'), 63) + bitShiftLeft(toUInt64(usage_quality = 'partial'), 62)
    + bitShiftLeft(toUInt64(cache_read_tokens + cache_write_tokens > 0), 61)
    + bitShiftLeft(toUInt64(reasoning_tokens > 0), 60)
    + bitShiftLeft(toUInt64(least(input_tokens, 1073741823)), 30)
    + least(output_tokens, 1073741823)
{%- endmacro %}

{# Scopes that report a stream's usage on a span of its own, and what that span shares with the one that opened the stream. #}
{% macro apart_scope(scopes) -%}
({% for fact in scopes %}startsWith(scope, '{{ fact.scope }}'){{ ' OR ' if not loop.last }}{% endfor %})
{%- endmacro %}
{% macro opened_key() -%}
cityHash64(org_id, project_id, service, scope, request_model)
{%- endmacro %}

-- OTLP bytes → staging: one row per span or log record, every dialect in one set of columns.
--
-- Reads an allow-list of attribute keys and nothing else, so no other value can reach a table. Each
-- key becomes field × 100 + priority; sorted, the first code of a field is its most trusted key that
-- holds a value. An absent number is NULL, a zero is 0; an empty text is as good as none. A bad value spoils its field or its row, never
-- the segment. Protobuf and JSON, spans and logs differ only in how they are opened (decode.py). Each step
-- names its results for the next one: the engine works out an alias again wherever its own step uses it, and plans each time.
{% import 'keys.sql' as made %}
{% import 'wire.sql' as wire %}

{% macro at(field) -%} at[indexOf(fields, {{ number[field] }})] {%- endmacro %}
{% macro text(field) -%} texts[{{ at(field) }}] {%- endmacro %}
{% macro name(field) -%} substringUTF8(toLowCardinality({{ text(field) }}), 1, {{ max_name_length }}) {%- endmacro %}
{# What is absent most often is asked for first: the engine then computes the rest for the rows that have it. #}
{% macro int(field) -%}
if({{ at(field) }} = 0, NULL, coalesce(ints[{{ at(field) }}], accurateCastOrNull(doubles[{{ at(field) }}], 'Int64'), toInt64OrNull(texts[{{ at(field) }}])))
{%- endmacro %}
{% macro float(field) -%}
if({{ at(field) }} = 0, NULL, coalesce(doubles[{{ at(field) }}], toFloat64(ints[{{ at(field) }}]), toFloat64OrNull(texts[{{ at(field) }}])))
{%- endmacro %}
{# US dollars → millionths of them; 0 where there is none or it can't be. #}
{% macro microusd(field) -%}
ifNull(if({{ float(field) }} BETWEEN 0 AND {{ max_spend_usd }}, toUInt64(round({{ float(field) }} * 1e6)), 0), 0)
{%- endmacro %}
{% macro flag(field) -%}
({{ at(field) }} != 0 AND (bools[{{ at(field) }}] OR lower({{ text(field) }}) = 'true'))
{%- endmacro %}
{% macro resource(field) -%}
toLowCardinality(substringUTF8(arrayFirst(value -> value != '', [
{%- for key in resource_fields[field] %}resource_texts[indexOf(resource_keys, {{ literal(key) }})]{{ ', ' if not loop.last }}{% endfor -%}
]), 1, {{ max_name_length }}))
{%- endmacro %}
{% macro claim(field, own) -%} (has(fields, {{ number[field] }}) AND {{ text(field) }} != {{ own }}) {%- endmacro %}
{% macro resource_claim(field, own) -%}
arrayExists(value -> value != '' AND value != {{ own }}, [
{%- for key in resource_fields[field] %}resource_texts[indexOf(resource_keys, {{ literal(key) }})]{{ ', ' if not loop.last }}{% endfor -%}
])
{%- endmacro %}
{% macro tokens(column) -%} if({{ column }} BETWEEN 0 AND {{ max_tokens }}, {{ column }}, NULL) {%- endmacro %}
{# A count under one of its names in the blob. A text in it may hold the same words; its digits are content. #}
{% macro in_blob(field) -%}
toInt64OrNull(if(isValidJSON(blob), extract(blob, {{ literal(in_json[field]) }}), extract(if(lengthUTF8(blob) <= {{ max_repr_length }}, blob, ''), {{ literal(in_repr[field]) }})))
{%- endmacro %}
{# AND and OR of what is 0 or 1. As bits: planning hashes the whole statement below each logical AND or OR, 40 ms in all. #}
{% macro both() -%} {{ nested('bitAnd', varargs) }} {%- endmacro %}
{% macro either() -%} {{ nested('bitOr', varargs) }} {%- endmacro %}
{% macro nested(name, terms) -%}
{% for term in terms[:-1] %}{{ name }}({{ term }}, {% endfor %}{{ terms[-1] }}{{ ')' * (terms | length - 1) }}
{%- endmacro %}
{# Whether a fact holds for the scope: facts that name it are bits of `facts`, worked out once per scope. #}
{% macro of_scope(name) -%}
{% set terms = [] %}
{%- for provider, mask in scope_masks[name].items() -%}
{% set _ = terms.append(both(known(mask), 'provider = ' ~ literal(provider)) if provider else known(mask)) %}
{%- endfor -%}
{{ nested('bitOr', terms) }}
{%- endmacro %}
{% macro known(mask) -%} bitAnd(facts, {{ mask }}) != 0 {%- endmacro %}
{# Whether the scope leaves this count out. `absent`: that it is not there; `nothing`: that it is not there or zero. #}
{% macro unreported(count, absent, nothing='0') -%}
{% set terms = ['0'] if not unreported_masks[count] else [] %}
{%- for (stream, unless, made_up), mask in unreported_masks[count].items() -%}
{% set told = 'no_' ~ unless if unless else nothing if made_up else absent %}
{%- set _ = terms.append(both(known(mask), 'stream', told) if stream else both(known(mask), told)) %}
{%- endfor -%}
{{ nested('bitOr', terms) }}
{%- endmacro %}

INSERT INTO {{ staging }}
WITH
    per_resource AS
    (
        SELECT org_id, project_id, received_ns, key_low, key_high, {{ scopes }} AS scopes,
               one.resource.attributes.key AS resource_keys, {{ resource_texts }} AS resource_texts
        FROM {{ requests }}
        ARRAY JOIN resources AS one
    ),
    per_service AS
    (
        SELECT org_id, project_id, received_ns, key_low, key_high, scopes,
               {{ resource('team') }} AS resource_team,
               {{ resource('service') }} AS service,
               {{ resource('environment') }} AS environment,
               {{ resource_claim('claimed_org', 'org_id') }} + {{ resource_claim('claimed_project', 'project_id') }} AS resource_claims
        FROM per_resource
    ),
    per_scope AS
    (
        SELECT org_id, project_id, received_ns, key_low, key_high, service, environment, resource_team, resource_claims,
               toLowCardinality(substringUTF8(scoped.scope.name, 1, {{ max_name_length }})) AS scope,
               transform(extract(scope, {{ fact_pattern }}), {{ literal(fact_masks.keys() | list) }}, {{ literal(fact_masks.values() | list) }}, 0) AS facts,
               {{ items }} AS items
        FROM per_service
        ARRAY JOIN scopes AS scoped
    ),
    opened AS
    (
        SELECT org_id, project_id, received_ns, key_low, key_high, service, environment, resource_team, resource_claims, scope, facts,
               {{ item_columns }}
        FROM per_scope
        ARRAY JOIN items AS item
    ),
    {% if values_in_bytes %}
{{ wire.steps(keys, codes) }}
    {% else %}
    coded AS
    (
        SELECT * EXCEPT (keys), arrayMap(k -> transform(k, {{ keys }}, {{ codes }}, toUInt32(0)), keys) AS codes
        FROM opened
    ),
    {% endif %}
    sorted AS
    (
        SELECT * EXCEPT (codes),
               arraySort(arrayFilter(c -> c >= 65536, arrayMap(
                   (code, s, i, d, b, n) -> if(n > 65535 OR (empty(s) AND isNull(i) AND isNull(d) AND NOT b), 0, code) * 65536 + n,
                   codes, texts, ints, doubles, bools, arrayEnumerate(codes)))) AS found
        FROM coded
    ),
    indexed AS
    (
        SELECT * EXCEPT (found),
               arrayMap(c -> toUInt8(intDiv(c, 6553600)), found) AS fields,
               arrayMap(c -> toUInt16(bitAnd(c, 65535)), found) AS at
        FROM sorted
    ),
    emitted AS
    (
        SELECT
            org_id, project_id, received_ns, key_low, key_high, service, environment, resource_team, resource_claims, scope, facts,
            trace_id, span_id, parent_span_id, trace_state, status_code, end_ns,
            {% if signal == 'log' %}
            end_ns - least(if({{ int('duration_ms') }} BETWEEN 0 AND 86400000, toUInt64({{ int('duration_ms') }}) * 1000000, 0), end_ns) AS start_ns,
            if({{ text('event') }} != '', {{ text('event') }}, event_name) AS event,
            {{ text('event_kind') }} AS event_kind,
            {% for fact in log_events %}(event = {{ literal(fact.name) }}{% if fact.scope %} AND startsWith(scope, {{ literal(fact.scope) }}){% endif %}{% if fact.kind %} AND event_kind = {{ literal(fact.kind) }}{% endif %}{% if fact.paid %} AND stated_microusd > 0{% endif %}){{ ' OR ' if not loop.last }}{% endfor %} AS genai,
            {% else %}
            start_ns,
            hasAny(fields, {{ genai_numbers }}) AS genai,
            {% endif %}
            {{ name('team') }} AS span_team,
            transform(lower({{ name('provider') }}), {{ literal(providers.keys() | list) }}, {{ literal(providers.values() | list) }}) AS emitted_provider,
            {{ name('request_model') }} AS request_model,
            {{ name('response_model') }} AS response_model,
            lower({{ name('operation') }}) AS emitted_operation,
            replaceRegexpOne(lower({{ name('host') }}), '^[a-z]+://([^/:]+).*$', '\\1') AS host,
            {{ name('region') }} AS region,
            {{ name('service_tier') }} AS service_tier,
            {{ text('error') }} AS error,
            {{ text('response_id') }} AS response_id,
            {{ text('user') }} AS user,
            {{ text('session') }} AS session,
            {{ text('usage_blob') }} AS blob,
            {{ flag('stream') }} AS stream,
            {{ int('input_tokens') }} AS raw_input,
            {{ int('output_tokens') }} AS raw_output,
            {{ int('cache_read_tokens') }} AS raw_cache_read,
            {{ int('cache_write_tokens') }} AS raw_cache_write,
            {{ int('reasoning_tokens') }} AS raw_reasoning,
            {{ float('measured_energy') }} AS measured,
            {{ int('images') }} AS raw_images,
            {{ float('audio_s') }} AS raw_audio_s,
            {{ float('video_s') }} AS raw_video_s,
            {{ microusd('spend_usd') }} AS stated_microusd,
            {{ float('time_to_first') }} AS time_to_first,
            {{ claim('claimed_org', 'org_id') }} + {{ claim('claimed_project', 'project_id') }} + resource_claims AS claims
        FROM indexed
    ),
    normalised AS
    (
        SELECT
            * EXCEPT (span_team, resource_team, emitted_operation, emitted_provider, region, raw_input, raw_output, raw_cache_read, raw_cache_write, raw_reasoning, measured, raw_images, raw_audio_s, raw_video_s, error, status_code, blob),
            multiIf(span_team != '', span_team, resource_team != '', resource_team, 'unattributed') AS team,
            transform(emitted_operation, {{ literal(operations.keys() | list) }}, {{ literal(operations.values() | list) }}) AS operation,
            multiIf(emitted_provider != '', emitted_provider,
                    {%- if signal == 'log' %}{% for fact in log_events if fact.provider %} event = {{ literal(fact.name) }}, {{ literal(fact.provider) }},{% endfor %}{% endif %}
                    {%- for provider, mask in scope_masks['stand_ins'].items() %} {{ known(mask) }}, {{ literal(provider) }},{% endfor %}

                    transform(extract(host, {{ host_pattern }}), {{ literal(host_providers.keys() | list) }}, {{ literal(host_providers.values() | list) }}, '')) AS provider,
            if(region != '', region, host) AS place,
            {{ tokens('raw_input') }} AS input_count,
            {{ tokens('raw_output') }} AS output_count,
            if(blob = '', NULL, {{ tokens(in_blob('reasoning_tokens')) }}) AS blob_reasoning,
            if(raw_cache_read IS NULL AND blob != '', {{ tokens(in_blob('cache_read_tokens')) }}, {{ tokens('raw_cache_read') }}) AS read_count,
            if(raw_cache_write IS NULL AND blob != '', {{ tokens(in_blob('cache_write_tokens')) }}, {{ tokens('raw_cache_write') }}) AS write_count,
            if(raw_reasoning IS NULL AND blob != '', blob_reasoning, {{ tokens('raw_reasoning') }}) AS reasoning_count,
            if(measured BETWEEN 0 AND 1e12, accurateCastOrNull(round(measured * 1000), 'UInt64'), NULL) AS measured_mj,
            if(raw_images BETWEEN 0 AND {{ max_images }}, toUInt32(assumeNotNull(raw_images)), 0) AS images,
            if(raw_audio_s BETWEEN 0 AND {{ max_media_s }}, toUInt32(round(assumeNotNull(raw_audio_s) * 1000)), 0) AS audio_ms,
            if(raw_video_s BETWEEN 0 AND {{ max_media_s }}, toUInt32(round(assumeNotNull(raw_video_s) * 1000)), 0) AS video_ms,
            status_code = 2 OR error != '' AS failed
        FROM emitted
    ),
    given AS
    (
        SELECT
            * EXCEPT (input_count, output_count, read_count, write_count, reasoning_count, stated_microusd),
            operation IN {{ literal(containers) }} AS container,
            {{ both("operation = 'invoke_agent'", of_scope('stand_ins')) }} AS stand_in,
            input_count IS NULL AS input_absent,
            output_count IS NULL AS output_absent,
            read_count IS NULL AS no_cache_read,
            write_count IS NULL AS no_cache_write,
            reasoning_count IS NULL AS no_reasoning_count,
            images + audio_ms + video_ms = 0 AS no_units,
            stated_microusd * {{ both('images + audio_ms + video_ms = 0', 'measured_mj IS NULL', 'ifNull(input_count, 0) + ifNull(output_count, 0) + ifNull(read_count, 0) + ifNull(write_count, 0) + ifNull(reasoning_count, 0) = 0') }} AS spend_microusd,
            ifNull(input_count, 0) AS given_input,
            ifNull(output_count, 0) AS given_output,
            ifNull(read_count, 0) AS given_read,
            ifNull(write_count, 0) AS given_write,
            ifNull(reasoning_count, 0) AS given_reasoning
        FROM normalised
    ),
    judged AS
    (
        SELECT
            * EXCEPT (failed),
            multiIf({{ both('container', 'NOT stand_in') }}, 'container',
                    {{ both('input_absent', 'output_absent', 'failed') }}, 'error',
                    {{ both('input_absent', 'output_absent', 'NOT stand_in', 'measured_mj IS NULL', 'no_units', 'spend_microusd = 0', "provider = ''", "request_model = ''", "response_model = ''") }}, 'no_model',
                    '') AS reason
        FROM given
    ),
    billed AS
    (
        SELECT
            *,
            reason = '' AS billable,
            {{ both("reason = ''", 'measured_mj IS NULL', 'no_units', 'spend_microusd = 0') }} AS infers,
            {{ both("reason = ''", 'measured_mj IS NULL', 'no_units', 'spend_microusd = 0', "operation != 'embeddings'") }} AS chat
        FROM judged
    ),
    heard AS
    (
        SELECT
            *,
            {{ both('chat', unreported('input', '0')) }} AS guessed,
            {{ both('infers', either('input_absent', 'guessed')) }} AS no_input,
            {{ both('chat', either('output_absent', 'guessed')) }} AS no_output,
            if(guessed, 0, given_input) AS input,
            if(guessed, 0, given_output) AS output
        FROM billed
    ),
    missing AS
    (
        SELECT
            *,
            {{ both('chat', either(both('no_input', 'no_cache_read'), unreported('cache_read', 'no_cache_read', 'given_read = 0'))) }} AS no_read,
            {{ both('chat', either(both('no_input', 'no_cache_write'), unreported('cache_write', 'no_cache_write', 'given_write = 0'))) }} AS no_write,
            {{ both('chat', 'no_reasoning_count', either('no_output', unreported('reasoning', '1'))) }} AS no_reasoning,
            {{ either('given_read + given_write > input', of_scope('exclusive_input')) }} AS exclusive,
            {{ of_scope('exclusive_output') }} AS output_exclusive,
            {{ both(of_scope('inexact_output'), 'stream', 'chat') }} AS inexact
        FROM heard
    ),
    estimated AS
    (
        SELECT
            *,
            multiIf(NOT no_read, given_read, no_input, {{ estimates['input'][1] // cached_per_input }},
                    exclusive, intDiv(input, {{ cached_per_input - 1 }}), intDiv(input - given_write, {{ cached_per_input }})) AS cache_read,
            if(no_write, 0, given_write) AS cache_write,
            multiIf(NOT no_reasoning, given_reasoning, no_output, {{ estimates['output'][1] // reasoning_per_output }},
                    intDiv(output, if(output_exclusive, {{ reasoning_per_output - 1 }}, {{ reasoning_per_output }}))) AS reasoning
        FROM missing
    ),
    inclusive AS
    (
        SELECT
            *,
            if(no_input, greatest({{ estimates['input'][1] }}, cache_read + cache_write), input + if(exclusive, cache_read + cache_write, 0)) AS input_tokens,
            if(no_output, greatest({{ estimates['output'][1] }}, reasoning), output + if(output_exclusive, reasoning, 0)) AS output_tokens,
            if(no_input, 2, {{ both('exclusive', either('no_read', 'no_write')) }}) + 4 * if(no_output, 2, {{ either('inexact', both('output_exclusive', 'no_reasoning')) }})
                + 32 * no_read + 128 * no_write + 512 * no_reasoning AS states
        FROM estimated
    ),
    identified AS
    (
        SELECT
            *,
            multiIf(NOT billable, '', {{ either('no_input', 'no_output') }}, 'estimated', states != 0, 'partial', 'reported') AS usage_quality,
            sipHash64(trace_id) AS trace_hash,
            byteSwap(reinterpretAsUInt64(span_id)) AS span_number,
            if({{ either("response_id = ''", of_scope('rewritten_ids')) }}, 0, sipHash64(cityHash64(provider), response_id)) AS response_hash
        FROM inclusive
    )
SELECT
    org_id, project_id, team, service, environment, provider, request_model, response_model, place,
    operation, service_tier, scope, '{{ signal }}' AS signal,
    fromUnixTimestamp64Nano(toInt64(least(start_ns, 9223372036000000000)), 'UTC') AS start_time,
    intDiv(if(end_ns > start_ns, end_ns - start_ns, 0), 1000) AS duration_us,
    ifNull(accurateCastOrNull(round(time_to_first * 1e6), 'UInt64'), 0) AS time_to_first_us,
    trace_hash, span_number,
    byteSwap(reinterpretAsUInt64(parent_span_id)) AS parent_number,
    response_hash,
    if(user = '', 0, sipHash64Keyed((key_low, key_high), user)) AS user_hash,
    if(session = '', 0, sipHash64Keyed((key_low, key_high), session)) AS session_hash,
    input_tokens, cache_read AS cache_read_tokens, cache_write AS cache_write_tokens, output_tokens,
    least(reasoning, output_tokens) AS reasoning_tokens,
    ifNull(measured_mj, 0) AS measured_energy_mj,
    images, audio_ms, video_ms, spend_microusd,
    usage_quality, states AS usage_states,
    {{ made.adjusted_milli('trace_state') }} AS adjusted_calls_milli,
    multiIf({{ either('length(trace_id) != 16', 'length(span_id) != 8', "trace_id = repeat('\\0', 16)", "span_id = repeat('\\0', 8)") }}, 'bad_id',
            NOT genai, 'not_genai',
            {{ either('start_ns < received_ns - ' ~ retention_ns, 'start_ns > received_ns + 86400000000000') }}, 'bad_time',
            'stored') AS outcome,
    reason,
    toDateTime(intDiv(received_ns, 1000000000), 'UTC') AS received_at,
    trace_id, span_id,
    {{ made.resolve_key(terms, made.time_of(by_hour, 'start_ns', 1000000000), measured='measured_mj IS NOT NULL', units='NOT no_units') }} AS resolve_key,
    cityHash64(cityHash64(org_id), trace_hash, span_number) AS span_key,
    if(response_hash = 0, 0, cityHash64(cityHash64(org_id), response_hash)) AS twin_key,
    cityHash64(cityHash64(org_id), cityHash64(team), cityHash64(service), resolve_key) AS name_key,
    measured_mj IS NOT NULL AS measured, NOT no_units AS units,
    if(container, toUInt32(ifNull(blob_reasoning, 0)), 0) AS lent_reasoning, 0 AS lent,
    claims,
    rowNumberInAllBlocks() + {{ first_row }} AS row
FROM identified
SETTINGS format_schema = {{ schema }},
         max_insert_threads = 1, max_threads = 1, max_block_size = 16384,
         input_format_max_block_size_bytes = 8000000,
         -- planning this statement takes 90 ms instead of 190 without these three
         optimize_and_compare_chain = 0, query_plan_lift_up_array_join = 0, query_plan_merge_expressions = 0

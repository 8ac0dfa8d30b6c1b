-- OTLP bytes → staging: one row per span, every dialect in one set of columns.
--
-- Reads an allow-list of attribute keys and nothing else, so no other value can reach a table. Each
-- key becomes field × 100 + priority; sorted, the first code of a field is its most trusted key that
-- holds a value. An absent number is NULL, a zero is 0; an empty text is as good as none. A bad value spoils its field or its row, never
-- the segment. Protobuf and JSON requests differ only in how they are opened (decode.py). Each level
-- names its results once for the level above: the engine would compute an alias again where it is used.

{% macro at(field) -%} at[indexOf(fields, {{ number[field] }})] {%- endmacro %}
{% macro text(field) -%} texts[{{ at(field) }}] {%- endmacro %}
{% macro name(field) -%} substringUTF8(toLowCardinality({{ text(field) }}), 1, {{ max_name_length }}) {%- endmacro %}
{% macro int(field) -%}
coalesce(ints[{{ at(field) }}], accurateCastOrNull(doubles[{{ at(field) }}], 'Int64'), toInt64OrNull(texts[{{ at(field) }}]))
{%- endmacro %}
{% macro float(field) -%}
coalesce(doubles[{{ at(field) }}], toFloat64(ints[{{ at(field) }}]), toFloat64OrNull(texts[{{ at(field) }}]))
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

INSERT INTO {{ staging }}
SELECT
    org_id, project_id, team, service, environment, provider, request_model, response_model,
    if(region != '', region, host) AS place,
    operation, service_tier, scope,
    fromUnixTimestamp64Nano(toInt64(least(start_ns, 9223372036000000000)), 'UTC') AS start_time,
    intDiv(if(end_ns > start_ns, end_ns - start_ns, 0), 1000) AS duration_us,
    ifNull(accurateCastOrNull(round(time_to_first * 1e6), 'UInt64'), 0) AS time_to_first_us,
    sipHash64(trace_id) AS trace_hash,
    reinterpretAsUInt64(reverse(span_id)) AS span_number,
    if(response_id = '', 0, sipHash64(cityHash64(provider), response_id)) AS response_hash,
    if(user = '', 0, sipHash64Keyed((key_low, key_high), user)) AS user_hash,
    if(session = '', 0, sipHash64Keyed((key_low, key_high), session)) AS session_hash,
    ifNull(input, 0) + if(exclusive, cache_read + cache_write, 0) AS input_tokens,
    cache_read AS cache_read_tokens,
    cache_write AS cache_write_tokens,
    ifNull(output, 0) AS output_tokens,
    least(reasoning, ifNull(output, 0)) AS reasoning_tokens,
    ifNull(measured_mj, 0) AS measured_energy_mj,
    multiIf(measured_mj IS NOT NULL, 'reported',
            input IS NOT NULL AND (output IS NOT NULL OR operation = 'embeddings'), 'reported',
            input IS NOT NULL OR output IS NOT NULL, 'partial', 'missing') AS usage_quality,
    multiIf(length(trace_id) != 16 OR length(span_id) != 8 OR trace_id = repeat('\0', 16) OR span_id = repeat('\0', 8), 'bad_id',
            NOT genai, 'not_genai',
            start_ns < received_ns - {{ retention_ns }} OR start_ns > received_ns + 86400000000000, 'bad_time',
            'stored') AS outcome,
    multiIf(operation IN {{ literal(containers) }}, 'container',
            failed AND input IS NULL AND output IS NULL, 'error',
            provider = '' AND request_model = '' AND response_model = '' AND input IS NULL AND output IS NULL, 'no_model',
            '') AS reason,
    toDateTime(intDiv(received_ns, 1000000000), 'UTC') AS received_at,
    trace_id, span_id,
    cityHash64(cityHash64(provider), cityHash64(request_model), cityHash64(response_model), cityHash64(region), cityHash64(host),
               cityHash64(service_tier), intDiv(start_ns, 86400000000000), measured_mj IS NOT NULL) AS resolve_key,
    cityHash64(cityHash64(org_id), trace_hash, span_number) AS span_key,
    if(response_hash = 0, 0, cityHash64(cityHash64(org_id), response_hash)) AS twin_key,
    cityHash64(cityHash64(org_id), cityHash64(team), cityHash64(service), resolve_key) AS name_key,
    measured_mj IS NOT NULL AS measured,
    claims,
    rowNumberInAllBlocks() + {{ first_row }} AS row
FROM
(
    SELECT
        * EXCEPT (span_team, resource_team, emitted_operation, raw_input, raw_output, raw_cache_read, raw_cache_write, raw_reasoning, measured, error, status_code),
        multiIf(span_team != '', span_team, resource_team != '', resource_team, 'unattributed') AS team,
        transform(emitted_operation, {{ literal(operations.keys() | list) }}, {{ literal(operations.values() | list) }}, emitted_operation) AS operation,
        {{ tokens('raw_input') }} AS input,
        {{ tokens('raw_output') }} AS output,
        ifNull({{ tokens('raw_cache_read') }}, 0) AS cache_read,
        ifNull({{ tokens('raw_cache_write') }}, 0) AS cache_write,
        ifNull({{ tokens('raw_reasoning') }}, 0) AS reasoning,
        if(measured BETWEEN 0 AND 1e12, accurateCastOrNull(round(measured * 1000), 'UInt64'), NULL) AS measured_mj,
        status_code = 2 OR error != '' AS failed,
        cache_read + cache_write > ifNull(input, 0)
            {% for rule in exclusive_input %}OR (startsWith(scope, {{ literal(rule.scope_prefix) }}){% if rule.provider %} AND provider = {{ literal(rule.provider) }}{% endif %})
            {% endfor %}AS exclusive
    FROM
    (
        SELECT
            * EXCEPT (emitted_provider),
            if(emitted_provider != '', emitted_provider, transform(extract(host, {{ host_pattern }}), {{ literal(host_providers.keys() | list) }}, {{ literal(host_providers.values() | list) }}, '')) AS provider
        FROM
        (
            SELECT
                org_id, project_id, received_ns, key_low, key_high, service, environment, resource_team, resource_claims, scope,
                trace_id, span_id, start_ns, end_ns, status_code,
                hasAny(fields, {{ genai_numbers }}) AS genai,
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
                {{ int('input_tokens') }} AS raw_input,
                {{ int('output_tokens') }} AS raw_output,
                {{ int('cache_read_tokens') }} AS raw_cache_read,
                {{ int('cache_write_tokens') }} AS raw_cache_write,
                {{ int('reasoning_tokens') }} AS raw_reasoning,
                {{ float('measured_energy') }} AS measured,
                {{ float('time_to_first') }} AS time_to_first,
                {{ claim('claimed_org', 'org_id') }} + {{ claim('claimed_project', 'project_id') }} + resource_claims AS claims
            FROM
            (
                SELECT * EXCEPT (found),
                       arrayMap(c -> toUInt8(intDiv(c, 6553600)), found) AS fields,
                       arrayMap(c -> toUInt16(bitAnd(c, 65535)), found) AS at
                FROM
                (
                    SELECT * EXCEPT (keys),
                           arraySort(arrayFilter(c -> c >= 65536, arrayMap(
                               (k, s, i, d, n) -> if(n > 65535 OR (empty(s) AND isNull(i) AND isNull(d)), 0, transform(k, {{ keys }}, {{ codes }}, toUInt32(0))) * 65536 + n,
                               keys, texts, ints, doubles, arrayEnumerate(keys)))) AS found
                    FROM
                    (
                        SELECT org_id, project_id, received_ns, key_low, key_high, service, environment, resource_team, resource_claims, scope,
                               {{ span_columns }}
                        FROM
                        (
                            SELECT org_id, project_id, received_ns, key_low, key_high, service, environment, resource_team, resource_claims,
                                   toLowCardinality(substringUTF8(scope_spans.scope.name, 1, {{ max_name_length }})) AS scope,
                                   scope_spans.spans AS spans
                            FROM
                            (
                                SELECT org_id, project_id, received_ns, key_low, key_high, scopes,
                                       {{ resource('team') }} AS resource_team,
                                       {{ resource('service') }} AS service,
                                       {{ resource('environment') }} AS environment,
                                       {{ resource_claim('claimed_org', 'org_id') }} + {{ resource_claim('claimed_project', 'project_id') }} AS resource_claims
                                FROM
                                (
                                    SELECT org_id, project_id, received_ns, key_low, key_high, {{ scope_spans }} AS scopes,
                                           resource_spans.resource.attributes.key AS resource_keys, {{ resource_texts }} AS resource_texts
                                    FROM {{ requests }}
                                    ARRAY JOIN resources AS resource_spans
                                )
                            )
                            ARRAY JOIN scopes AS scope_spans
                        )
                        ARRAY JOIN spans AS span
                    )
                )
            )
        )
    )
)
SETTINGS format_schema = {{ schema }},
         max_insert_threads = 1, max_threads = 1, max_block_size = 65536,
         input_format_max_block_size_bytes = 8000000,
         -- planning this statement takes 50 ms instead of 110 without these three
         optimize_and_compare_chain = 0, query_plan_lift_up_array_join = 0, query_plan_merge_expressions = 0

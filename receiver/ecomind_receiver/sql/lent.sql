-- A call without a model takes that of the span above it (Codex). A call whose reasoning tokens were not reported takes the
-- count that the container above it holds, if no other call there lacks or was lent one (LangGraph under OpenLLMetry).
{% import 'keys.sql' as made %}
INSERT INTO {{ changed }}
SELECT * REPLACE (
    {{ made.resolve_key(terms, made.time_of(by_hour)) }} AS resolve_key,
    cityHash64(cityHash64(org_id), cityHash64(team), cityHash64(service), resolve_key) AS name_key)
FROM
(
    SELECT * EXCEPT (nameless, lacks, open, lends, parent_provider, parent_request_model, parent_response_model, parent_reasoning)
        REPLACE (
            if(nameless AND provider = '', parent_provider, provider) AS provider,
            if(nameless, parent_request_model, request_model) AS request_model,
            if(nameless, parent_response_model, response_model) AS response_model,
            if(lends, toUInt32(least(parent_reasoning, output_tokens)), reasoning_tokens) AS reasoning_tokens,
            if(lends, toUInt16(bitAnd(usage_states, {{ made.other_bits }})), usage_states) AS usage_states,
            if(lends AND bitAnd(usage_states, {{ made.other_bits }}) = 0, 'reported', usage_quality) AS usage_quality,
            toUInt8(lent OR lends) AS lent)
    FROM
    (
        SELECT s.*,
               p.provider AS parent_provider, p.request_model AS parent_request_model,
               p.response_model AS parent_response_model, p.lent_reasoning AS parent_reasoning,
               s.lacks AND p.lent_reasoning > 0
                   AND uniqExactIf(s.span_number, s.lacks OR s.lent) OVER (PARTITION BY s.org_id, s.project_id, s.trace_hash, s.parent_number) = 1 AS lends
        FROM
        (
            SELECT *, open AND {{ made.nameless() }} AS nameless, open AND {{ made.lacks_reasoning() }} AS lacks,
                   outcome = 'stored' AND reason = '' AND row NOT IN (SELECT row FROM {{ losers }}) AS open
            FROM {{ staging }}
        ) AS s
        LEFT ANY JOIN
        (
            SELECT org_id, project_id, trace_hash, span_number, provider, request_model, response_model, lent_reasoning
            FROM {{ staging }}
            WHERE outcome = 'stored' AND (lent_reasoning > 0 OR request_model != '' OR response_model != '')
        ) AS p ON s.org_id = p.org_id AND s.project_id = p.project_id AND s.trace_hash = p.trace_hash AND s.parent_number = p.span_number
    )
)
SETTINGS max_threads = 1, prefer_column_name_to_alias = 1

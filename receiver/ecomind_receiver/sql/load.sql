-- Staging × coefficients → calls, one block under one token, so that a retry changes nothing in the
-- table or in its rollup. A month at a time: one insert may touch a limited number of partitions.
{% import 'figures.sql' as formulas %}
{% import 'keys.sql' as made %}
INSERT INTO calls
    (org_id, project_id, team, service, environment, provider, request_model, response_model, place,
     operation, service_tier, scope, signal, start_time, duration_us, time_to_first_us, trace_hash, span_id, parent_span_id,
     response_hash, user_hash, session_hash, input_tokens, cache_read_tokens, cache_write_tokens,
     output_tokens, reasoning_tokens, lent_reasoning, measured_energy_mj, images, audio_ms, video_ms, spend_microusd, usage_quality, usage_states,
     adjusted_calls_milli, counted, reason, sign, coef_id, generation_us, generation_us_high,
     energy_wh, co2e_g, water_ml, received_at, segment_id, retention_class)
SELECT
    org_id, project_id, team, service, environment, provider, request_model, response_model, place,
    operation, service_tier, scope, signal, start_time, duration_us, time_to_first_us, trace_hash, span_number,
    if(lent OR {{ made.nameless() }} OR {{ made.lacks_reasoning() }}, parent_number, 0) AS parent_span_id,
    response_hash, user_hash, session_hash, input_tokens, cache_read_tokens, cache_write_tokens,
    output_tokens, reasoning_tokens, lent_reasoning, measured_energy_mj, images, audio_ms, video_ms, spend_microusd, usage_quality, usage_states,
    adjusted_calls_milli,
    final_reason = '' AS counted,
    if(verdict != '', verdict, reason) AS final_reason,
    1 AS sign, coef_id,
{% if timed %}
    counted * {{ formulas.generation_us() }} AS generation_us, counted * {{ formulas.generation_us('_high') }} AS generation_us_high,
{% else %}
    0 AS generation_us, 0 AS generation_us_high,
{% endif %}
    counted * ({{ formulas.mid('energy_wh', timed) }}) AS energy_wh,
    counted * ({{ formulas.mid('co2e_g_location', timed) }}) AS co2e_g,
    counted * ({{ formulas.mid('water_ml_onsite', timed) }} + {{ formulas.mid('water_ml_offsite', timed) }}) AS water_ml,
    received_at, {{ segment_id }}, 'standard'
FROM
(
    SELECT *, {% if timed %}{{ formulas.seconds() }} AS seconds, {{ formulas.seconds('_high') }} AS seconds_high,
           {{ formulas.it_energy_wh('_high') }} AS it_wh_high, {% endif %}{{ formulas.it_energy_wh('', timed) }} AS it_wh
    FROM
    (
        SELECT *, {{ formulas.uncached() }} AS uncached_tokens,
               greatest(uncached_tokens - 32000, 0) AS input_tokens_over_32k
        FROM {{ staging }}
        WHERE outcome = 'stored' AND toYYYYMM(start_time, 'UTC') = {{ month }}
    ) AS s
    LEFT ANY JOIN {{ losers }} AS l ON s.row = l.row
    LEFT ANY JOIN {{ keys }} AS k ON s.resolve_key = k.resolve_key
    WHERE verdict != 'resent'
)
SETTINGS insert_deduplication_token = '{{ token }}', insert_deduplicate = 1,
         deduplicate_blocks_in_dependent_materialized_views = 1, async_insert = 0,
         max_insert_threads = 1, max_threads = 1,
         min_insert_block_size_rows = 10000000, min_insert_block_size_bytes = 0,
         max_partitions_per_insert_block = 1000

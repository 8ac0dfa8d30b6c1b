-- Staging × coefficients → rows of calls, in the order of CALL_COLUMNS (pipeline.py): what is inserted as one block under one
-- token. A month at a time: one insert may touch a limited number of partitions.
{% import 'figures.sql' as formulas %}
{% import 'keys.sql' as made %}
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
SETTINGS max_threads = 1

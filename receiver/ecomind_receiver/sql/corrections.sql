-- What has to be added to `calls` for one window, and a mark of sign 0 that it was decided, which stands also where nothing has
-- to be: who decides it again, when later windows were corrected already, must find that. Of a loser an exact copy with sign −1 and, unless it was sent again, a row that
-- is kept but not counted; of a call that was lent something, the row as it now is. Written down whole, under the window's
-- token, before any of it is done.
{% import 'figures.sql' as formulas %}
{% import 'keys.sql' as made %}
WITH
    losing AS
    (
        SELECT c.*, l.verdict AS verdict, l.row AS row
        FROM calls AS c
        INNER JOIN
        (
            SELECT org_id, trace_hash, span_number AS span_id, segment_id, counted, {{ version }}, verdict, row
            FROM {{ losers }} AS l INNER JOIN {{ staging }} AS s USING (row)
        ) AS l USING (org_id, trace_hash, span_id, segment_id, counted, {{ version }})
        WHERE {{ made.may_be_resent(to, resent_look_back, spend_look_back, 'c.') }} AND c.sign = 1
        LIMIT 1 BY org_id, trace_hash, span_id, segment_id, counted, {{ version }}
    ),
    lent AS
    (
        SELECT * EXCEPT ({{ lent | join(', ') }}, coef_id), {% for column in lent %}new.{{ column }} AS {{ column }}, {% endfor %}new.coef_id AS coef_id
        FROM losing
        INNER JOIN (SELECT * FROM {{ changed }} AS c LEFT ANY JOIN {{ keys }} AS k USING (resolve_key)) AS new USING (row)
        WHERE verdict = 'lent'
    )
SELECT {{ to }} AS window_end, {{ nothing | join(', ') }}
UNION ALL
SELECT {{ to }} AS window_end, {{ columns | join(', ') }} FROM (SELECT * REPLACE (toInt8(-1) AS sign) FROM losing)
UNION ALL
SELECT {{ to }} AS window_end, {{ columns | join(', ') }} FROM (
    SELECT * REPLACE (toUInt8(0) AS counted, verdict AS reason,
                      toFloat32(0) AS energy_wh, toFloat32(0) AS co2e_g, toFloat32(0) AS water_ml)
    FROM losing WHERE verdict NOT IN ('resent', 'lent'))
UNION ALL
SELECT {{ to }} AS window_end, {{ columns | join(', ') }} FROM (
    SELECT * REPLACE ({{ formulas.generation_us() }} AS generation_us,
                      {{ formulas.generation_us('_high') }} AS generation_us_high,
                      toFloat32({{ formulas.mid('energy_wh') }}) AS energy_wh,
                      toFloat32({{ formulas.mid('co2e_g_location') }}) AS co2e_g,
                      toFloat32({{ formulas.mid('water_ml_onsite') }} + {{ formulas.mid('water_ml_offsite') }}) AS water_ml)
    FROM (
        SELECT *, {{ formulas.it_energy_wh() }} AS it_wh, {{ formulas.it_energy_wh('_high') }} AS it_wh_high
        FROM (SELECT *, {{ formulas.uncached() }} AS uncached_tokens, greatest(uncached_tokens - 32000, 0) AS input_tokens_over_32k,
                     {{ formulas.seconds() }} AS seconds, {{ formulas.seconds('_high') }} AS seconds_high FROM lent)))
SETTINGS prefer_column_name_to_alias = 1

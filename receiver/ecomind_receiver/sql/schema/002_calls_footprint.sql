-- Every figure of a call with its range, from its integers and its coefficients: what `calls` does not
-- store. The same formulas as ecomind_processor/footprint.py; a call that is not counted has none.
{% import 'footprint.sql' as formulas %}
CREATE VIEW IF NOT EXISTS calls_footprint AS
SELECT
    * EXCEPT (uncached_tokens, input_tokens_over_32k),
{% for name, (mid, band) in formulas.figures.items() %}
    {{ mid }} / {{ band }} AS {{ name }}_low,
    {{ mid }} AS {{ name }}_mid,
    {{ mid }} * {{ band }} AS {{ name }}_high{{ ',' if not loop.last }}
{% endfor %}
FROM
(
    SELECT *, counted * {{ formulas.it_energy_wh(calls='1') }} AS it_wh
    FROM
    (
        SELECT * EXCEPT (energy_wh, co2e_g, water_ml),
               {{ formulas.uncached() }} AS uncached_tokens,
               greatest(uncached_tokens - 32000, 0) AS input_tokens_over_32k
        FROM calls
    ) AS c
    LEFT ANY JOIN (SELECT * EXCEPT (provider) FROM coefficients) AS k USING (coef_id)
)

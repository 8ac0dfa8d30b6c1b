-- Every figure of a call with its range, from its integers and its coefficients: what `calls` does not
-- store. The same formulas as ecomind_processor/footprint.py; a call that is not counted has none. Made
-- anew at every start, so that it is always that of the newest schema.
{% import 'figures.sql' as formulas %}
DROP VIEW IF EXISTS calls_footprint;
CREATE VIEW calls_footprint AS
SELECT
    * EXCEPT (uncached_tokens, input_tokens_over_32k, seconds, seconds_high),
{% for name, band in formulas.bands.items() %}
    {{ formulas.one(name) }} / {{ band }} AS {{ name }}_low,
    {{ formulas.mid(name) }} AS {{ name }}_mid,
    {{ formulas.one(name, '_high') }} * {{ band }} AS {{ name }}_high{{ ',' if not loop.last }}
{% endfor %}
FROM
(
    SELECT *, counted * {{ formulas.it_energy_wh() }} AS it_wh, counted * {{ formulas.it_energy_wh('_high') }} AS it_wh_high
    FROM
    (
        SELECT * EXCEPT (energy_wh, co2e_g, water_ml, generation_us, generation_us_high),
               {{ formulas.uncached() }} AS uncached_tokens,
               greatest(uncached_tokens - 32000, 0) AS input_tokens_over_32k,
               counted * {{ formulas.seconds() }} AS seconds, counted * {{ formulas.seconds('_high') }} AS seconds_high
        FROM calls AS c
        LEFT ANY JOIN (SELECT * EXCEPT (provider) FROM coefficients) AS k USING (coef_id)
    )
)

{# Frozen: the formulas as migrations 2 and 4 were written with them; figures.sql holds those in use. Over any row that holds
   quantities and coefficients. `calls`, `uncached` and `long` are columns: one call has 1, a rollup its sums.
   Energy of the IT equipment in Wh; every other figure follows from it. #}
{% macro it_energy_wh(calls='calls', uncached='uncached_tokens', long='input_tokens_over_32k') -%}
(wh_per_call * {{ calls }}
 + wh_per_input_token * {{ uncached }}
 + wh_per_input_token_over_32k * {{ long }}
 + wh_per_cache_read_token * cache_read_tokens
 + wh_per_cache_write_token * cache_write_tokens
 + wh_per_output_token * output_tokens
 + wh_per_reasoning_token * reasoning_tokens
 + wh_per_measured_mj * measured_energy_mj)
{%- endmacro %}
{% macro uncached() -%}
greatest(toInt64(input_tokens) - cache_read_tokens - cache_write_tokens, 0)
{%- endmacro %}
{# name → (mid value, band) of each figure, given it_wh #}
{% set figures = {
  'energy_wh': ('it_wh * pue', 'band_energy'),
  'co2e_g_location': ('it_wh * pue * co2e_g_per_kwh_location / 1000', '(band_energy * band_grid)'),
  'co2e_g_market': ('it_wh * pue * co2e_g_per_kwh_market / 1000', '(band_energy * band_grid)'),
  'co2e_g_embodied': ('it_wh * pue * co2e_g_per_kwh_embodied / 1000', 'band_energy'),
  'water_ml_onsite': ('it_wh * water_l_per_kwh_onsite', '(band_energy * band_water)'),
  'water_ml_offsite': ('it_wh * pue * water_l_per_kwh_offsite', '(band_energy * band_water)'),
} %}

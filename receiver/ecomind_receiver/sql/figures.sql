{# The formulas of ecomind_processor/footprint.py for the engine, over any row that holds quantities and
   coefficients. `calls`, `uncached` and `long` are columns: one call has 1, a rollup its sums. A method that knows a smallest
   and a largest value is worked out twice, side '' and side '_high'; `timed` says whether any row may be of such a method, or
   of one that counts time: without it those terms are left out. #}
{% macro of_side(column, side) -%}
{{ 'ifNull(' ~ column ~ '_high, ' ~ column ~ ')' if side else column }}
{%- endmacro %}
{# Seconds that the model worked for a call: no more than the call took, where that is known. #}
{% macro seconds(side='') -%}
least(seconds_to_first_token + {{ of_side('seconds_per_output_token', side) }} * output_tokens, if(duration_us = 0, inf, duration_us / 1e6))
{%- endmacro %}
{# The same as they are kept: whole microseconds, none where the method has no use for them. #}
{% macro generation_us(side='') -%}
toUInt64(if(wh_per_second + co2e_g_per_second_embodied = 0, 0, round(seconds{{ side }} * 1e6)))
{%- endmacro %}
{# Energy of the IT equipment in Wh; every other figure follows from it. #}
{% macro it_energy_wh(side='', timed=true, calls='1', uncached='uncached_tokens', long='input_tokens_over_32k') -%}
(wh_per_call * {{ calls }}
 + wh_per_input_token * {{ uncached }}
 + wh_per_input_token_over_32k * {{ long }}
 + wh_per_cache_read_token * cache_read_tokens
 + wh_per_cache_write_token * cache_write_tokens
 + {{ of_side('wh_per_output_token', side) }} * output_tokens
 + wh_per_reasoning_token * reasoning_tokens
 + wh_per_measured_mj * measured_energy_mj
 + wh_per_image * images
 + wh_per_audio_second * audio_ms / 1000
 + wh_per_video_second * video_ms / 1000
 + wh_per_usd * spend_microusd / 1000000
{%- if timed %}

 + {{ of_side('wh_per_second', side) }} * seconds{{ side }}
{%- endif %})
{%- endmacro %}
{% macro uncached() -%}
greatest(toInt64(input_tokens) - cache_read_tokens - cache_write_tokens, 0)
{%- endmacro %}
{# One side of a figure, given it_wh and, if timed, seconds, both of that side. #}
{% macro one(name, side='', timed=true) -%}
{% set facility = 'it_wh' ~ side ~ ' * ' ~ of_side('pue', side) -%}
{% if name == 'energy_wh' -%} {{ facility }}
{%- elif name == 'co2e_g_location' -%} {{ facility }} * co2e_g_per_kwh_location / 1000
{%- elif name == 'co2e_g_market' -%} {{ facility }} * co2e_g_per_kwh_market / 1000
{%- elif name == 'co2e_g_embodied' -%} ({{ facility }} * co2e_g_per_kwh_embodied / 1000
    {%- if timed %} + {{ of_side('co2e_g_per_second_embodied', side) }} * seconds{{ side }}{% endif %})
{%- elif name == 'water_ml_onsite' -%} it_wh{{ side }} * {{ of_side('water_l_per_kwh_onsite', side) }}
{%- elif name == 'water_ml_offsite' -%} {{ facility }} * water_l_per_kwh_offsite
{%- endif %}
{%- endmacro %}
{% macro mid(name, timed=true) -%}
{% if timed %}({{ one(name) }} + {{ one(name, '_high') }}) / 2{% else %}{{ one(name, '', false) }}{% endif %}
{%- endmacro %}
{# name → band of each figure #}
{% set bands = {
  'energy_wh': 'band_energy',
  'co2e_g_location': '(band_energy * band_grid)',
  'co2e_g_market': '(band_energy * band_grid)',
  'co2e_g_embodied': 'band_energy',
  'water_ml_onsite': '(band_energy * band_water)',
  'water_ml_offsite': '(band_energy * band_water)',
} %}

"""How the figures of one call came about: each formula with its numbers put in.

Every line can be checked with a pocket calculator: what stands under `numbers` gives `result`. The
formulas are those of docs/methodology.md, section "From quantities to a footprint".
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ecomind_processor.footprint import (
    LONG_INPUT_TOKENS,
    Coefficients,
    Footprint,
    Quantities,
    Range,
    it_energy_wh,
)
from ecomind_query import evidence
from ecomind_query.models import Derivation

_TERMS: tuple[tuple[str, str, Callable[[Quantities], int]], ...] = (
    ("e_call · 1", "wh_per_call", lambda q: 1),
    ("e_in · uncached input", "wh_per_input_token", lambda q: _uncached(q)),
    (
        "e_in_long · uncached input beyond 32,000",
        "wh_per_input_token_over_32k",
        lambda q: max(_uncached(q) - LONG_INPUT_TOKENS, 0),
    ),
    ("e_cache_read · cache read", "wh_per_cache_read_token", lambda q: q.cache_read_tokens),
    ("e_cache_write · cache write", "wh_per_cache_write_token", lambda q: q.cache_write_tokens),
    ("e_out · output", "wh_per_output_token", lambda q: q.output_tokens),
    ("e_reasoning · reasoning", "wh_per_reasoning_token", lambda q: q.reasoning_tokens),
    ("e_mj · measured millijoules", "wh_per_measured_mj", lambda q: q.measured_energy_mj),
)


def derive(q: Quantities, c: Coefficients, result: Footprint) -> list[Derivation]:
    """The lines, in the order in which the figures are worked out."""
    it_wh = it_energy_wh(q, c)
    energy_wh = result.energy_wh.mid
    carbon = f"{number(c.band_energy)} · {number(c.band_grid)}"
    water = f"{number(c.band_energy)} · {number(c.band_water)}"
    return [
        _it_energy(q, c, it_wh, evidence.of_model(c)),
        _line("Energy", "IT energy · PUE", f"{number(it_wh)} · {number(c.pue)}",
              result.energy_wh, "Wh", number(c.band_energy), evidence.of_pue(c)),
        _line("CO2e, location-based", "energy · grid intensity ÷ 1000",
              f"{number(energy_wh)} · {number(c.co2e_g_per_kwh_location)} ÷ 1000",
              result.co2e_g_location, "g", carbon, evidence.of_carbon(c)),
        _market(energy_wh, c, result.co2e_g_market, carbon),
        _line("CO2e, embodied", "energy · hardware per kWh ÷ 1000",
              f"{number(energy_wh)} · {number(c.co2e_g_per_kwh_embodied)} ÷ 1000",
              result.co2e_g_embodied, "g", number(c.band_energy), evidence.of_embodied(c)),
        _line("Water on site", "IT energy · WUE",
              f"{number(it_wh)} · {number(c.water_l_per_kwh_onsite)}",
              result.water_ml_onsite, "mL", water, evidence.of_site_water(c)),
        _line("Water at power plants", "energy · water intensity of the grid",
              f"{number(energy_wh)} · {number(c.water_l_per_kwh_offsite)}",
              result.water_ml_offsite, "mL", water, evidence.of_grid_water(c)),
    ]  # fmt: skip


def not_counted(reason: str) -> list[Derivation]:
    """The only line of a call that has no footprint of its own."""
    return [
        Derivation(
            name="Not counted",
            formula="what is no billable call of its own has no footprint of its own",
            numbers=f"reason: {reason}",
            result="0 Wh, 0 g, 0 mL",
            source="docs/api.md, why a call does not count",
        )
    ]


def number(value: float) -> str:
    """A number with six significant digits, in plain decimals."""
    text = f"{value:.6g}"
    return text if "e" not in text else f"{Decimal(text):f}"


def _it_energy(q: Quantities, c: Coefficients, it_wh: float, source: str) -> Derivation:
    terms = [(name, getattr(c, field), amount(q)) for name, field, amount in _TERMS]
    used = [term for term in terms if term[1] and term[2]] or terms[:1]
    return Derivation(
        name="IT energy",
        formula=" + ".join(name for name, _, _ in used),
        numbers=" + ".join(f"{number(wh)} · {amount}" for _, wh, amount in used),
        result=f"{number(it_wh)} Wh",
        source=source,
    )


def _line(
    name: str, formula: str, numbers: str, figure: Range, unit: str, band: str, source: str
) -> Derivation:
    span = f"{number(figure.low)} to {number(figure.high)} {unit}"
    return Derivation(
        name=name,
        formula=formula,
        numbers=numbers,
        result=f"{number(figure.mid)} {unit}; range {span} (÷ and × {band})",
        source=source,
    )


def _market(energy_wh: float, c: Coefficients, figure: Range | None, band: str) -> Derivation:
    source = f"operator {c.provider}; {c.factor_set}"
    name, formula = "CO2e, market-based", "energy · contractual intensity ÷ 1000"
    if figure is None or c.co2e_g_per_kwh_market is None:
        missing = "no contractual evidence for this provider and year"
        return Derivation(
            name=name, formula=formula, numbers=missing, result="not available", source=source
        )
    numbers = f"{number(energy_wh)} · {number(c.co2e_g_per_kwh_market)} ÷ 1000"
    return _line(name, formula, numbers, figure, "g", band, source)


def _uncached(q: Quantities) -> int:
    return max(q.input_tokens - q.cache_read_tokens - q.cache_write_tokens, 0)

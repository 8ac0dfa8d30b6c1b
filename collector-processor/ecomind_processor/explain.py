"""The whole derivation of one call's footprint: each factor, its source, the arithmetic, the range.

One text for the command line, the API and the page of a call. It needs what a stored row keeps: the
quantities, the coefficients, and the factor set that they name. A set that this installation no
longer holds leaves the arithmetic and the set's name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ecomind_processor import compatible
from ecomind_processor.derivation import Step, cite, model_steps, number, slope_steps
from ecomind_processor.factor_rows import Series
from ecomind_processor.factors import FactorSet, FactorSetError
from ecomind_processor.footprint import (
    LONG_INPUT_TOKENS,
    Coefficients,
    Footprint,
    Point,
    Quantities,
    Range,
    footprint,
    generation_seconds,
    it_energy_wh,
    point,
    uncached_tokens,
)
from ecomind_processor.placement import water
from ecomind_processor.resolution import HOURLY, MEASURED, PRICE, SPEND, UNITS
from ecomind_processor.terms import MARKET
from ecomind_semconv.units import (
    MICROUSD_PER_USD,
    MILLIJOULES_PER_WH,
    MS_PER_SECOND,
    TOKENS_PER_MILLION,
    US_PER_SECOND,
    millijoules_to_wh,
    wh_to_mwh,
)

STATED_TIER = "B"
"""Tier of energy that the organisation stated: it hangs on its document and on nothing else."""

FIGURES = (
    ("energy_wh", "Energy", "Wh"),
    ("co2e_g_location", "CO2e, location-based", "g"),
    ("co2e_g_market", "CO2e, market-based", "g"),
    ("co2e_g_embodied", "CO2e, embodied", "g"),
    ("water_ml_onsite", "Water on site", "mL"),
    ("water_ml_offsite", "Water at power plants", "mL"),
)
"""Figure of a footprint, its name for people and its unit."""


_UNIT_SYMBOLS = {
    "wh_per_image": "e_image",
    "wh_per_audio_second": "e_audio",
    "wh_per_video_second": "e_video",
}


class Explanation(NamedTuple):
    """A footprint, the coefficients behind it and the steps that lead to it."""

    coefficients: Coefficients
    footprint: Footprint
    steps: tuple[Step, ...]


class _Term(NamedTuple):
    """A part of the IT energy: its symbol, its coefficient, and how often it is counted."""

    symbol: str
    field: str
    amount: Callable[[Quantities], float]


_TERMS = (
    _Term("e_call", "wh_per_call", lambda q: 1),
    _Term("e_in · uncached input", "wh_per_input_token", uncached_tokens),
    _Term(
        f"e_in_long · uncached input beyond {LONG_INPUT_TOKENS:,}",
        "wh_per_input_token_over_32k",
        lambda q: max(uncached_tokens(q) - LONG_INPUT_TOKENS, 0),
    ),
    _Term("e_cache_read · cache read", "wh_per_cache_read_token", lambda q: q.cache_read_tokens),
    _Term(
        "e_cache_write · cache write", "wh_per_cache_write_token", lambda q: q.cache_write_tokens
    ),
    _Term("e_out · output", "wh_per_output_token", lambda q: q.output_tokens),
    _Term("e_reasoning · reasoning", "wh_per_reasoning_token", lambda q: q.reasoning_tokens),
    _Term("e_mj · measured mJ", "wh_per_measured_mj", lambda q: q.measured_energy_mj),
    _Term("e_image · images", "wh_per_image", lambda q: q.images),
    _Term("e_audio · seconds", "wh_per_audio_second", lambda q: q.audio_ms / MS_PER_SECOND),
    _Term("e_video · seconds", "wh_per_video_second", lambda q: q.video_ms / MS_PER_SECOND),
    _Term("e_usd · US dollars", "wh_per_usd", lambda q: q.spend_microusd / MICROUSD_PER_USD),
)

_RATIOS = {
    "wh_per_input_token": ("e_in", "input_per_output_token"),
    "wh_per_input_token_over_32k": ("e_in_long", "long_input_per_input_token"),
    "wh_per_cache_read_token": ("e_cache_read", "cache_read_per_input_token"),
    "wh_per_cache_write_token": ("e_cache_write", "cache_write_per_input_token"),
}
"""Coefficient → its symbol and the constant of the method that it hangs on."""


def explain(q: Quantities, c: Coefficients) -> Explanation:
    """The derivation of one call's figures from what is stored of it."""
    try:
        factors = FactorSet.load(c.factor_set)
    except FactorSetError:
        factors = None
    result = footprint(q, c)
    steps = (*_evidence(q, c, factors), *_sides(q, c, factors), *_bands(result, c))
    return Explanation(c, result, steps)


def _evidence(q: Quantities, c: Coefficients, factors: FactorSet | None) -> Iterator[Step]:
    """How the energy per unit came about, for the units that the call has."""
    if c.method == MEASURED:
        yield _measurement(q)
    if factors is None or c.method in (MEASURED, compatible.METHOD):
        return
    if c.method == SPEND:
        yield from _price(c, factors)
        return
    if c.model_tier == STATED_TIER:
        output = wh_to_mwh(c.wh_per_output_token)
        yield Step("e_out, idle capacity included", "as stated", output, "mWh", c.model_match)
    else:
        yield from _output(c, c.wh_per_output_token, factors)
    yield from _ratios(q, c, factors)
    yield from _units(q, c, factors)


def _measurement(q: Quantities) -> Step:
    """The IT energy that the call states itself."""
    energy_mj = q.measured_energy_mj
    formula = f"mJ ÷ mJ in a Wh = {number(energy_mj)} ÷ {number(MILLIJOULES_PER_WH)}"
    source = "stated by the call, as ecomind.measured.energy"
    return Step("Measured energy", formula, millijoules_to_wh(energy_mj), "Wh", source)


def _output(c: Coefficients, wh: float, factors: FactorSet) -> Iterator[Step]:
    """How the energy of an output token came about, `wh` with idle capacity."""
    yield from model_steps(c.model, factors)
    idle = factors.constants["idle_share"]
    yield Step(
        "e_out, idle capacity included", f"output token · {number(idle.value)}", wh_to_mwh(wh),
        "mWh", cite(factors, idle.by),
    )  # fmt: skip


def _price(c: Coefficients, factors: FactorSet) -> Iterator[Step]:
    """How the energy of a US dollar came about, where the set has a price."""
    price = factors.constants.get(PRICE)
    if price is None:
        return
    output = c.wh_per_usd * price.value / TOKENS_PER_MILLION
    yield from _output(c, output, factors)
    formula = "e_out · 1,000 ÷ price of a million output tokens"
    values = f"{number(wh_to_mwh(output))} · 1,000 ÷ {number(price.value)}"
    yield Step("e_usd", f"{formula} = {values}", c.wh_per_usd, "Wh", cite(factors, price.by))


def _used(q: Quantities) -> set[str]:
    """The coefficients that the call has a quantity for."""
    return {term.field for term in _TERMS if term.amount(q)}


def _units(q: Quantities, c: Coefficients, factors: FactorSet) -> Iterator[Step]:
    """How the energy of an image and of a second came about, for those that the call has."""
    idle, used = factors.constant("idle_share"), _used(q)
    for field, constant in UNITS.items():
        if field in used and constant in factors.constants:
            each = factors.constants[constant]
            formula = f"default class · idle = {number(each.value)} · {number(idle)}"
            source = cite(factors, each.by)
            yield Step(_UNIT_SYMBOLS[field], formula, getattr(c, field), "Wh", source)


def _ratios(q: Quantities, c: Coefficients, factors: FactorSet) -> Iterator[Step]:
    """How the energy of the other tokens hangs on that of output, for those that the call has."""
    output = wh_to_mwh(c.wh_per_output_token)
    used = _used(q)
    if used & _RATIOS.keys():
        used.add("wh_per_input_token")
    for field, (symbol, constant) in _RATIOS.items():
        if field in used:
            base, of = (output, "e_out") if symbol == "e_in" else (
                wh_to_mwh(c.wh_per_input_token), "e_in")  # fmt: skip
            value = wh_to_mwh(getattr(c, field))
            ratio = value / base
            if not _follows(field, ratio, c, factors):
                yield Step(symbol, "as stated", value, "mWh", c.model_match)
                continue
            formula = f"{of} · ratio = {number(base)} · {number(ratio)}"
            yield Step(symbol, formula, value, "mWh", cite(factors, factors.constants[constant].by))


def _follows(field: str, ratio: float, c: Coefficients, factors: FactorSet) -> bool:
    """Whether a coefficient is what the method makes of the others; else it was stated itself."""
    of_method = factors.constant(_RATIOS[field][1]) - (field == "wh_per_input_token_over_32k")
    return c.model_tier != STATED_TIER or math.isclose(ratio, of_method, rel_tol=1e-9)


def _sides(q: Quantities, c: Coefficients, factors: FactorSet | None) -> Iterator[Step]:
    """The arithmetic: once, or for the smallest and the largest value."""
    if c.method != compatible.METHOD:
        yield from _arithmetic(q, c, "", factors)
        return
    for side, (label, one) in enumerate(((", smallest", c), (", largest", c.largest))):
        if factors:
            architecture = compatible.architectures(c.model, factors)[side]
            yield from slope_steps(c.model, architecture, side, label, factors)
        yield from _arithmetic(q, one, label, factors)


def _arithmetic(
    q: Quantities, c: Coefficients, label: str, factors: FactorSet | None
) -> Iterator[Step]:
    it_wh, seconds = it_energy_wh(q, c), generation_seconds(q, c)
    if c.has_seconds:
        yield _generation(q, c, seconds, label, factors)
    yield _it_energy(q, c, it_wh, seconds, label)
    figures = point(it_wh, seconds, c)
    for name, title, unit in FIGURES:
        yield _figure(name, title + label, unit, it_wh, seconds, figures, c, factors)


def _generation(
    q: Quantities, c: Coefficients, seconds: float, label: str, factors: FactorSet | None
) -> Step:
    formula = (
        f"first token + output · time = {number(c.seconds_to_first_token)}"
        f" + {q.output_tokens} · {number(c.seconds_per_output_token)}"
    )
    if q.duration_us:
        formula += f", at most the call's {number(q.duration_us / US_PER_SECOND)} s"
    by = factors.constants["latency_gamma_seconds_per_token"].by if factors else ""
    return Step(f"Generation{label}", formula, seconds, "s", _by(c, factors, by))


def _it_energy(q: Quantities, c: Coefficients, it_wh: float, seconds: float, label: str) -> Step:
    terms = [(t.symbol, getattr(c, t.field), t.amount(q)) for t in _TERMS]
    if c.wh_per_second:
        terms.append(("e_second · generation", c.wh_per_second, seconds))
    least = "wh_per_measured_mj" if c.method == MEASURED else "wh_per_output_token"
    place = [term.field for term in _TERMS].index(least)
    used = [term for term in terms if term[1] and term[2]] or [terms[place]]
    symbols = " + ".join(symbol for symbol, _, _ in used)
    values = " + ".join(f"{number(wh)} · {number(amount)}" for _, wh, amount in used)
    source = f"{c.method}: {c.model} ({c.model_match}), tier {c.model_tier}"
    return Step(f"IT energy{label}", f"{symbols} = {values}", it_wh, "Wh", source)


def _figure(
    name: str,
    title: str,
    unit: str,
    it_wh: float,
    seconds: float,
    figures: Point,
    c: Coefficients,
    factors: FactorSet | None,
) -> Step:
    value, energy = getattr(figures, name), number(figures.energy_wh)
    if value is None:
        missing = "no contractual evidence for this provider and year"
        return Step(title, missing, None, unit, "")
    formulas = {
        "energy_wh": f"IT energy · PUE = {number(it_wh)} · {number(c.pue)}",
        "co2e_g_location": f"energy · grid ÷ 1,000 = {energy} · {number(c.co2e_g_per_kwh_location)}"
        " ÷ 1,000",
        "co2e_g_market": f"energy · contract ÷ 1,000 = {energy}"
        f" · {number(c.co2e_g_per_kwh_market or 0.0)} ÷ 1,000",
        "co2e_g_embodied": _embodied(energy, seconds, c),
        "water_ml_onsite": f"IT energy · WUE = {number(it_wh)}"
        f" · {number(c.water_l_per_kwh_onsite)}",
        "water_ml_offsite": f"energy · water of the grid = {energy}"
        f" · {number(c.water_l_per_kwh_offsite)}",
    }
    return Step(title, formulas[name], value, unit, _source(name, c, factors))


def _embodied(energy: str, seconds: float, c: Coefficients) -> str:
    if c.co2e_g_per_second_embodied:
        rate = number(c.co2e_g_per_second_embodied)
        return f"generation · hardware per second = {number(seconds)} · {rate}"
    rate = number(c.co2e_g_per_kwh_embodied)
    return f"energy · hardware per kWh ÷ 1,000 = {energy} · {rate} ÷ 1,000"


def _source(name: str, c: Coefficients, factors: FactorSet | None) -> str:
    """Who published the factor of a figure, and what it is the factor of."""
    year = f" {c.grid_year}" if c.grid_year else ""
    placed, _, contract = c.zone_match.partition(MARKET)
    placed, _, hourly = placed.partition(HOURLY)
    if name == "co2e_g_market" and contract:
        return f"operator {c.provider}; {contract}"
    grid = f"grid {c.zone}{year} ({placed}), tier {c.grid_tier}"
    if name == "co2e_g_location" and hourly:
        return f"{grid}; {hourly}"
    operator = f"operator {c.provider}"
    if factors is None or c.zone not in factors.zones or c.provider not in factors.facilities:
        return f"{grid}; {operator}; {c.factor_set}"
    zone, facility = factors.zones[c.zone], factors.facilities[c.provider]
    if c.method == compatible.METHOD:
        key = _LIBRARY[name]
        return f"{operator if key == 'ecologits-providers' else grid}; {cite(factors, key)}"
    if name == "energy_wh":
        return f"{operator}; {_year_of(facility.pue, c.pue, factors)}"
    if name == "co2e_g_location":
        return f"{grid}; {_year_of(zone.co2e_g_per_kwh, c.co2e_g_per_kwh_location, factors)}"
    if name == "co2e_g_embodied":
        return cite(factors, factors.constants["embodied_g_per_kwh"].by)
    if name == "water_ml_onsite":
        found = _year_of(facility.wue_l_per_kwh, c.water_l_per_kwh_onsite, factors)
        return f"{operator} (by {facility.water_basis}); {found}"
    if name == "water_ml_offsite":
        return f"grid {c.zone} ({placed}); {cite(factors, water(zone, factors)[1].by)}"
    return operator


_LIBRARY = {
    "energy_wh": "ecologits-providers",
    "co2e_g_location": "ecologits-mixes",
    "co2e_g_market": "ecologits-mixes",
    "co2e_g_embodied": "ecologits-formula",
    "water_ml_onsite": "ecologits-providers",
    "water_ml_offsite": "ecologits-mixes",
}
"""Figure → the measure of its factor under EcoLogits' method."""


def _year_of(series: Series, value: float, factors: FactorSet) -> str:
    """The citation of that value of a series."""
    rows = [row for row in series if row.value == value]
    return cite(factors, rows[-1].by) if rows else factors.id


def _by(c: Coefficients, factors: FactorSet | None, key: str) -> str:
    return cite(factors, key) if factors else c.factor_set


def _bands(result: Footprint, c: Coefficients) -> Iterator[Step]:
    """Low and high of each figure, and its mid where a smallest and a largest value are known."""
    source = "Ecomind methodology, bands: a judgement, no confidence interval"
    for name, title, unit in FIGURES:
        figure: Range | None = getattr(result, name)
        if figure is None:
            continue
        bands = _bands_of(name, c)
        low, high = "mid", "mid"
        from_low = from_high = figure.mid
        if c.largest is not c:
            low, high = "smallest", "largest"
            band = math.prod(value for value, _ in bands)
            from_low, from_high = figure.low * band, figure.high / band
            formula = f"(smallest + largest) ÷ 2 = ({number(from_low)} + {number(from_high)}) ÷ 2"
            yield Step(f"{title}, mid", formula, figure.mid, unit, "mean, as the method has it")
        if not bands:
            continue
        divided = "".join(f" ÷ {number(value)} ({what})" for value, what in bands)
        times = "".join(f" · {number(value)} ({what})" for value, what in bands)
        yield Step(
            f"{title}, low", f"{low} ÷ band = {number(from_low)}{divided}", figure.low, unit, source
        )
        yield Step(f"{title}, high", f"{high} · band = {number(from_high)}{times}", figure.high,
                   unit, source)  # fmt: skip


def _bands_of(name: str, c: Coefficients) -> list[tuple[float, str]]:
    """The bands of a figure that are no 1, and what each is for."""
    bands = [
        (c.band_energy / c.band_usage, f"tier {c.model_tier}"),
        (c.band_usage, "counts that were not reported"),
    ]
    if name.startswith("water"):
        bands.append((c.band_water, "water"))
    if name in ("co2e_g_location", "co2e_g_market"):
        bands.append((c.band_grid, f"grid tier {c.grid_tier}"))
    return [(value, what) for value, what in bands if value != 1]

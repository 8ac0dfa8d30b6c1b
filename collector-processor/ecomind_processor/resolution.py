"""From the names on a call to its coefficients: the first hit wins, and the tier is kept.

Owns the order of the rules and what each method makes of them; which model a name means is
`models.py`, which grid a place means is `placement.py`, and every number is in a factor set
(`factors.py`). Nothing here fails and nothing here is zero: a name that nobody knows costs what its
class costs, with a wide band.

A method says which evidence is admitted. What it does not admit is passed over, down to the default
class: `benchmark` takes no guessed size, `class` takes nothing else, `measured` takes measurements.
What an organisation has stated (`terms.py`) comes after a measurement and before any method. A call
of which only its price is known has a method of its own, `spend`, whatever was chosen.

Formulas and tiers: docs/methodology.md.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from ecomind_processor import compatible, models
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.hourly import Grids
from ecomind_processor.placement import Placement, place, water
from ecomind_processor.terms import (
    BASES,
    DISCLOSED,
    MARKET,
    NO_TERMS,
    EnergyOverride,
    Terms,
    market_text,
)
from ecomind_semconv.units import TOKENS_PER_MILLION, WH_PER_MILLIJOULE
from ecomind_semconv.usage import BANDS

MEASURED = "measured"
"""The method of a call that brings its own measurement."""
SPEND = "spend"
"""The method of a call of which nothing is known but what was paid for it."""
PRICE = "spend_usd_per_million_output_tokens"
"""The constant that money is turned into output tokens of the default class with."""


class CallKey(NamedTuple):
    """What decides a call's coefficients. Strings are as received, empty when absent."""

    provider: str  # normalised: openai, anthropic, aws.bedrock, gcp.vertex_ai …
    request_model: str
    response_model: str
    place: str  # stated inference region (cloud region, ISO country, grid code) or endpoint host
    service_tier: str  # default | batch | flex | priority …; ecomind@v1 counts them all alike
    day: datetime.date  # UTC day of the call: aliases and factors are resolved at that date
    measured: bool  # the span carried ecomind.measured.energy
    usage_quality: str = "reported"  # of its counts: reported | partial | estimated; "": no call
    units: bool = False  # it made images, or made or read audio or video
    spend: bool = False  # what was paid for it is all that is known


class Energy(NamedTuple):
    """What a method makes of a call: its evidence, and coefficients by name, in their units."""

    method: str
    model: str
    how: str
    tier: str
    numbers: Mapping[str, float | None]
    bounded: bool = False  # low and high are the method's own, so that no band is put on them


def resolve(
    key: CallKey, factors: FactorSet, method: str = "", terms: Terms = NO_TERMS
) -> Coefficients:
    """The coefficients of a call by a method of `METHODS`, else the organisation's, else the set's.

    Never fails: an unknown model gets the class default, tier F. Raises KeyError for an unknown
    method.
    """
    hint = models.zone_hint(key.request_model or key.response_model, factors)
    own = terms.zones_on(key.day, factors)
    placed = place(key.place, key.provider, hint, factors, own)
    chosen = method or method_on(key.day, factors, terms)
    if key.measured:
        spent = _measured(key, factors)
    elif key.spend:
        spent = _paid(factors)
    else:
        names = (key.response_model, key.request_model)
        stated = terms.energy_on(key.day, names, placed.facility, factors)
        by_method = METHODS[chosen]
        spent = _stated(stated, chosen, factors) if stated else by_method(key, placed, factors)
        spent = _with_units(spent, key, factors) if key.units else spent
    return _coefficients(key, spent, placed, factors, terms)


HOURLY = "; by the hour: "
"""In how a zone was found: who says what its intensity was in the call's hour."""

HOURLY_TIER = "A"


def takes_hours(c: Coefficients) -> bool:
    """Whether the hour of a call can matter: EcoLogits' method has grids of its own."""
    return c.method != compatible.METHOD


def in_hour(
    c: Coefficients, moment: datetime.datetime, grids: Grids, factors: FactorSet
) -> Coefficients:
    """The same with the grid's average intensity in the hour of the call: grid tier A.

    Themselves where no plug-in knows the hour, and for EcoLogits' method, whose grids are part of
    it.
    """
    found = grids.average(c.zone, moment) if takes_hours(c) else None
    if found is None:
        return c
    source = found.source + (", estimated" if found.estimated else "")
    return _at(c, found.g_per_kwh, found.hour.year, source, factors.grid_bands[HOURLY_TIER])


@lru_cache(maxsize=10_000)
def _at(c: Coefficients, g_per_kwh: float, year: int, source: str, band: float) -> Coefficients:
    """Of a year's hours many have the same intensity, and a new address costs 40 µs."""
    placed, mark, contract = c.zone_match.partition(MARKET)
    return replace(
        c,
        co2e_g_per_kwh_location=_settled(g_per_kwh),
        grid_tier=HOURLY_TIER,
        band_grid=band,
        grid_year=year,
        zone_match=f"{placed}{HOURLY}{source}{mark}{contract}",
    )


def method_on(day: datetime.date, factors: FactorSet, terms: Terms) -> str:
    """The method of an organisation, where the set has the tables for it; else the set's own."""
    own = terms.method_on(day)
    usable = own in METHODS and (own != compatible.METHOD or bool(factors.mixes))
    return own if usable else factors.method


def identified(key: CallKey, factors: FactorSet) -> models.Match:
    """The response's model where it is known, else the request's, else the default class."""
    for text, where in ((key.response_model, ""), (key.request_model, " (request)")):
        match = models.identify(text, key.day, factors) if text else None
        if match:
            return match._replace(how=match.how + where)
    return models.default_class(factors)


def _measured(key: CallKey, factors: FactorSet) -> Energy:
    match = identified(key, factors)
    return Energy(MEASURED, match.model, match.how, "A", {"wh_per_measured_mj": WH_PER_MILLIJOULE})


def _paid(factors: FactorSet) -> Energy:
    """`spend`: the default class's output tokens that the amount buys, whatever model it names.

    Nothing in a set from before the method, which has no price: its text says so.
    """
    match, price = models.default_class(factors), factors.constants.get(PRICE)
    if price is None:
        return Energy(SPEND, match.model, f"amount paid; {factors.id} has no price", match.tier, {})
    output = match.wh_per_output_token * factors.constant("idle_share")
    wh_per_usd = _settled(output * TOKENS_PER_MILLION / price.value)
    how = "amount paid, at the price of the default class"
    return Energy(SPEND, match.model, how, match.tier, {"wh_per_usd": wh_per_usd})


def _by_ladder(key: CallKey, placed: Placement, factors: FactorSet) -> Energy:
    """`ecomind@v1`: the best evidence there is."""
    return _affine("ecomind@v1", identified(key, factors), factors)


def _by_benchmark(key: CallKey, placed: Placement, factors: FactorSet) -> Energy:
    """`benchmark`: energy that somebody measured on open weights, else the default class."""
    match = identified(key, factors)
    known = factors.models.get(match.model)
    measured = known is not None and known.kind == "benchmark"
    return _affine("benchmark", match if measured else models.default_class(factors), factors)


def _by_class(key: CallKey, placed: Placement, factors: FactorSet) -> Energy:
    """`class`: the default class, whatever the name says."""
    match = identified(key, factors)
    embedding = match.model == models.EMBEDDING
    return _affine("class", match if embedding else models.default_class(factors), factors)


def _by_ecologits(key: CallKey, placed: Placement, factors: FactorSet) -> Energy:
    """`ecologits@0.11.3`: that library's formulas, clamp, data centres and electricity."""
    names = (key.response_model, key.request_model)
    span = compatible.span_of(names, identified(key, factors), factors)
    numbers = compatible.numbers(span, placed, factors)
    exact = span.how == compatible.EXACT
    return Energy(compatible.METHOD, span.model, span.how, span.tier, numbers, bounded=exact)


Method = Callable[[CallKey, Placement, FactorSet], Energy]
METHODS: dict[str, Method] = {
    "ecomind@v1": _by_ladder,
    compatible.METHOD: _by_ecologits,
    "benchmark": _by_benchmark,
    "class": _by_class,
}
"""Method → what it makes of a call that brings no measurement of its own."""

NOT_LINEAR = frozenset({compatible.METHOD})
"""Methods that need each call's own duration: sums over calls are not enough for them."""


def _affine(method: str, match: models.Match, factors: FactorSet) -> Energy:
    output = match.wh_per_output_token * factors.constant("idle_share")
    numbers = _of_tokens(output, None, None, None, factors)
    return Energy(method, match.model, match.how, match.tier, numbers)


def _stated(stated: EnergyOverride, method: str, factors: FactorSet) -> Energy:
    """What the organisation states of a model. EcoLogits' formulas have no place for it."""
    numbers = _of_tokens(
        stated.wh_per_output_token,
        stated.wh_per_input_token,
        stated.wh_per_cache_read_token,
        stated.wh_per_cache_write_token,
        factors,
    )
    named = factors.method if method in NOT_LINEAR else method
    how = f"{BASES[stated.basis]}, {stated.document}"
    return Energy(
        DISCLOSED if stated.basis == DISCLOSED else named, stated.model, how, "B", numbers
    )


UNITS = {
    "wh_per_image": "image_wh",
    "wh_per_audio_second": "audio_wh_per_second",
    "wh_per_video_second": "video_wh_per_second",
}
"""Coefficient of a unit → the constant of the set that it is made of."""


def _with_units(spent: Energy, key: CallKey, factors: FactorSet) -> Energy:
    """With the default class's energy of images, audio and video, whatever the model: tier F.

    EcoLogits' formulas for text have no place for them, so the set's own method takes over.
    """
    if spent.method in NOT_LINEAR:
        spent = _affine(factors.method, identified(key, factors), factors)
    idle = factors.constant("idle_share")
    known = {name: factors.constants.get(constant) for name, constant in UNITS.items()}
    made = {name: _settled(idle * number.value) for name, number in known.items() if number}
    how = f"{spent.how}; images, audio, video: default class"
    return spent._replace(how=how, tier="F", numbers={**spent.numbers, **made})


def _of_tokens(
    output: float,
    uncached: float | None,
    cache_read: float | None,
    cache_write: float | None,
    factors: FactorSet,
) -> dict[str, float | None]:
    """Wh of each kind of token; None follows from the others by the ratios of the method."""
    c = factors.constant
    if uncached is None:
        uncached = output * c("input_per_output_token")
    if cache_read is None:
        cache_read = uncached * c("cache_read_per_input_token")
    if cache_write is None:
        cache_write = uncached * c("cache_write_per_input_token")
    numbers = {
        "wh_per_input_token": uncached,
        "wh_per_input_token_over_32k": uncached * (c("long_input_per_input_token") - 1),
        "wh_per_cache_read_token": cache_read,
        "wh_per_cache_write_token": cache_write,
        "wh_per_output_token": output,
    }
    return {name: _settled(wh) for name, wh in numbers.items()}


def _settled(wh: float) -> float:
    """Twelve significant digits: exp() may differ in its last bit elsewhere, an address may not."""
    return float(f"{wh:.12g}")


_NO_ENERGY: dict[str, float | None] = {
    "wh_per_call": 0.0,
    "wh_per_input_token": 0.0,
    "wh_per_input_token_over_32k": 0.0,
    "wh_per_cache_read_token": 0.0,
    "wh_per_cache_write_token": 0.0,
    "wh_per_output_token": 0.0,
    "wh_per_reasoning_token": 0.0,
    "wh_per_measured_mj": 0.0,
}


def _coefficients(
    key: CallKey, spent: Energy, placed: Placement, factors: FactorSet, terms: Terms
) -> Coefficients:
    zone, facility = placed.zone, placed.facility
    water_zone, water_l_per_kwh = water(zone, factors)
    how_water = "" if water_zone is zone else f"; water: {water_zone.name}"
    carbon = zone.co2e_g_per_kwh.on(key.day)
    contract = terms.contract_on(key.day, facility, zone, factors)
    usage = 1.0 if key.measured else BANDS.get(key.usage_quality, 1.0)
    decided: dict[str, float | None] = {
        **_NO_ENERGY,
        "pue": facility.pue.on(key.day).value,
        "co2e_g_per_kwh_location": carbon.value,
        "co2e_g_per_kwh_embodied": factors.constant("embodied_g_per_kwh"),
        "water_l_per_kwh_onsite": facility.wue_l_per_kwh.on(key.day).value,
        "water_l_per_kwh_offsite": water_l_per_kwh.value,
        "band_energy": factors.energy_bands[spent.tier] * usage,
        "band_grid": factors.grid_bands[zone.tier],
        "band_water": _water_band(water_zone.tier, factors),
        **({"band_energy": usage, "band_grid": 1.0, "band_water": 1.0} if spent.bounded else {}),
        **spent.numbers,
    }
    return Coefficients(
        method=spent.method,
        factor_set=factors.id,
        provider=facility.id,
        model=spent.model,
        model_match=spent.how,
        model_tier=spent.tier,
        zone=zone.id,
        zone_match=placed.how + how_water + (market_text(contract) if contract else ""),
        grid_tier=zone.tier,
        co2e_g_per_kwh_market=contract.co2e_g_per_kwh if contract else None,
        band_usage=usage,
        grid_year=carbon.year,
        **decided,  # type: ignore[arg-type]
    )


def _water_band(tier: str, factors: FactorSet) -> float:
    """Of the zone whose water figure is used: a fine grid with the world's water is not fine."""
    return factors.grid_bands[tier] * factors.constant("water_band_per_grid_band")

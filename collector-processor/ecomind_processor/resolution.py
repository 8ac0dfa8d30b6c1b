"""From the names on a call to its coefficients: the first hit wins, and the tier is kept.

Owns the order of the rules and the method `ecomind@v1`; which model a name means is `models.py`,
which grid a place means is `placement.py`, and every number is in a factor set (`factors.py`).
Nothing here fails and nothing here is zero: a name that nobody knows costs what its class costs,
with a wide band.

Formulas and tiers: docs/methodology.md.
"""

from __future__ import annotations

import datetime
from typing import NamedTuple

from ecomind_processor import models
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.placement import Placement, place, water
from ecomind_semconv.units import MILLIJOULES_PER_WH
from ecomind_semconv.usage import BANDS

MEASURED = "measured"
"""The method of a call that brings its own measurement."""


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


class Energy(NamedTuple):
    """IT energy per unit of quantity, in Wh and with the idle share, and how it was derived."""

    method: str
    tier: str
    input_token: float
    long_input_extra: float
    cache_read: float
    cache_write: float
    output_token: float
    measured_mj: float


def resolve(key: CallKey, factors: FactorSet) -> Coefficients:
    """The coefficients of a call. Never fails: an unknown model gets the class default, tier F."""
    match = identified(key, factors)
    spent = _measured() if key.measured else _estimated(match, factors)
    hint = models.zone_hint(key.request_model or key.response_model, factors)
    band_usage = 1.0 if key.measured else BANDS.get(key.usage_quality, 1.0)
    placed = place(key.place, key.provider, hint, factors)
    return _coefficients(match, spent, placed, band_usage, factors)


def identified(key: CallKey, factors: FactorSet) -> models.Match:
    """The response's model where it is known, else the request's, else the default class."""
    for text, where in ((key.response_model, ""), (key.request_model, " (request)")):
        match = models.identify(text, key.day, factors) if text else None
        if match:
            return match._replace(how=match.how + where)
    return models.default_class(factors)


def _estimated(match: models.Match, factors: FactorSet) -> Energy:
    c = factors.constant
    output = match.wh_per_output_token * c("idle_share")
    uncached = output * c("input_per_output_token")
    return Energy(
        method=factors.method,
        tier=match.tier,
        input_token=_settled(uncached),
        long_input_extra=_settled(uncached * (c("long_input_per_input_token") - 1)),
        cache_read=_settled(uncached * c("cache_read_per_input_token")),
        cache_write=_settled(uncached * c("cache_write_per_input_token")),
        output_token=_settled(output),
        measured_mj=0.0,
    )


def _settled(wh: float) -> float:
    """Twelve significant digits: exp() may differ in its last bit elsewhere, an address may not."""
    return float(f"{wh:.12g}")


def _measured() -> Energy:
    return Energy(MEASURED, "A", 0.0, 0.0, 0.0, 0.0, 0.0, 1 / MILLIJOULES_PER_WH)


def _coefficients(
    match: models.Match,
    spent: Energy,
    placed: Placement,
    band_usage: float,
    factors: FactorSet,
) -> Coefficients:
    zone, facility = placed.zone, placed.facility
    water_zone, water_l_per_kwh = water(zone, factors)
    how_water = "" if water_zone is zone else f"; water: {water_zone.name}"
    return Coefficients(
        method=spent.method,
        factor_set=factors.id,
        provider=facility.id,
        model=match.model,
        model_match=match.how,
        model_tier=spent.tier,
        zone=zone.id,
        zone_match=placed.how + how_water,
        grid_tier=zone.tier,
        wh_per_call=0.0,
        wh_per_input_token=spent.input_token,
        wh_per_input_token_over_32k=spent.long_input_extra,
        wh_per_cache_read_token=spent.cache_read,
        wh_per_cache_write_token=spent.cache_write,
        wh_per_output_token=spent.output_token,
        wh_per_reasoning_token=0.0,
        wh_per_measured_mj=spent.measured_mj,
        pue=facility.pue.value,
        co2e_g_per_kwh_location=zone.co2e_g_per_kwh.value,
        co2e_g_per_kwh_market=None,
        co2e_g_per_kwh_embodied=factors.constant("embodied_g_per_kwh"),
        water_l_per_kwh_onsite=facility.wue_l_per_kwh.value,
        water_l_per_kwh_offsite=water_l_per_kwh.value,
        band_usage=band_usage,
        band_energy=factors.energy_bands[spent.tier] * band_usage,
        band_grid=factors.grid_bands[zone.tier],
        band_water=_water_band(water_zone.tier, factors),
    )


def _water_band(tier: str, factors: FactorSet) -> float:
    """Of the zone whose water figure is used: a fine grid with the world's water is not fine."""
    return factors.grid_bands[tier] * factors.constant("water_band_per_grid_band")

"""`GET /v1/explain` and `ecomind explain`: the footprint of a call that was described, derived.

Nothing is looked up in the store and nothing is unknown: a name that nobody knows is answered with
its class, its tier and its band, as the same name on a real call would be. What the organisation
has approved holds here too.
"""

from __future__ import annotations

import datetime

from ecomind_processor.compatible import METHOD as ECOLOGITS
from ecomind_processor.derivation import Step
from ecomind_processor.explain import Explanation, explain
from ecomind_processor.factors import FactorSet, FactorSetError
from ecomind_processor.footprint import Quantities
from ecomind_processor.footprint import Range as Band
from ecomind_processor.hourly import Grids
from ecomind_processor.resolution import METHODS, CallKey, in_hour, resolve
from ecomind_processor.terms import NO_TERMS, Terms
from ecomind_query.errors import BadParameter
from ecomind_query.models import Derivation, Explained, Range
from ecomind_query.parameters import ExplainQuery
from ecomind_semconv.units import (
    MICROUSD_PER_USD,
    MS_PER_SECOND,
    US_PER_SECOND,
    joules_to_millijoules,
    wh_to_joules,
)


def explained(
    query: ExplainQuery, today: datetime.date, grids: Grids, terms: Terms = NO_TERMS
) -> Explained:
    """The footprint of the described call and every step to it. Raises BadParameter."""
    if query.region and query.zone:
        raise BadParameter("zone", "names the place a second time; give region or zone.")
    factors = factor_set(query.factor_set)
    key = CallKey(
        provider=query.provider,
        request_model="",
        response_model=query.model,
        place=query.region or query.zone,
        service_tier=query.service_tier,
        day=query.day or today,
        measured=query.measured_energy_wh is not None,
        units=bool(query.images or query.audio_s or query.video_s),
        spend=bool(query.spend_usd),
    )
    if query.zone and query.zone.strip().lower() not in factors.zone_names:
        raise BadParameter("zone", f"{query.zone[:40]!r} is no zone of {factors.id}; use an id such"
                           " as USA, GBR or US-CAISO, or give a region.")  # fmt: skip
    check_method(query.method, factors)
    coefficients = resolve(key, factors, query.method, terms)
    if query.hour is not None:
        began = datetime.datetime.combine(key.day, datetime.time(query.hour), datetime.UTC)
        coefficients = in_hour(coefficients, began, grids, factors)
    return _answer(explain(quantities(query), coefficients), key, factors)


def quantities(query: ExplainQuery) -> Quantities:
    """What the described call consumed. Raises BadParameter."""
    if query.cache_read_tokens + query.cache_write_tokens > query.input_tokens:
        raise BadParameter("input_tokens", "includes cache_read_tokens and cache_write_tokens.")
    if query.reasoning_tokens > query.output_tokens:
        raise BadParameter("output_tokens", "includes reasoning_tokens.")
    used = (query.input_tokens, query.output_tokens, query.images, query.audio_s, query.video_s)
    if query.spend_usd and any(used):
        raise BadParameter("spend_usd", "counts where nothing is used that can be counted itself.")
    return Quantities(
        input_tokens=query.input_tokens,
        cache_read_tokens=query.cache_read_tokens,
        cache_write_tokens=query.cache_write_tokens,
        output_tokens=query.output_tokens,
        reasoning_tokens=query.reasoning_tokens,
        measured_energy_mj=joules_to_millijoules(wh_to_joules(query.measured_energy_wh or 0.0)),
        duration_us=round(query.latency_s * US_PER_SECOND),
        images=query.images,
        audio_ms=round(query.audio_s * MS_PER_SECOND),
        video_ms=round(query.video_s * MS_PER_SECOND),
        spend_microusd=round(query.spend_usd * MICROUSD_PER_USD),
    )


def check_method(name: str, factors: FactorSet) -> None:
    """Refuse a method that there is not, or that the set has no table for. Raises BadParameter."""
    if name and name not in METHODS:
        raise BadParameter("method", f"{name[:40]!r} is not one of {', '.join(METHODS)}.")
    if name == ECOLOGITS and not factors.mixes:
        raise BadParameter("method", f"{factors.id} holds no table for {name}; use a newer set.")


def steps(found: tuple[Step, ...]) -> list[Derivation]:
    """Steps of the processor in the API's shape."""
    return [Derivation(**step._asdict()) for step in found]


def factor_set(name: str) -> FactorSet:
    """The set of that name, the chosen one without. Raises BadParameter."""
    try:
        return FactorSet.load(name)
    except FactorSetError as error:
        raise BadParameter("factor_set", str(error)) from error


def _answer(found: Explanation, key: CallKey, factors: FactorSet) -> Explained:
    c, f = found.coefficients, found.footprint
    return Explained(
        energy_wh=as_range(f.energy_wh),
        co2e_g_location=as_range(f.co2e_g_location),
        co2e_g_market=None if f.co2e_g_market is None else as_range(f.co2e_g_market),
        co2e_g_embodied=as_range(f.co2e_g_embodied),
        water_ml_onsite=as_range(f.water_ml_onsite),
        water_ml_offsite=as_range(f.water_ml_offsite),
        tier_energy=c.model_tier,
        tier_grid=c.grid_tier,
        method=c.method,
        factor_set=c.factor_set,
        factor_set_sha256=factors.sha256,
        model=c.model,
        model_match=c.model_match,
        operator=c.provider,
        zone=c.zone,
        zone_match=c.zone_match,
        day=key.day,
        steps=steps(found.steps),
    )


def as_range(band: Band) -> Range:
    """A figure of the processor in the API's shape."""
    return Range(low=band.low, mid=band.mid, high=band.high)

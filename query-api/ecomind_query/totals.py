"""From integer sums and coefficients to totals.

A footprint is linear in the quantities, so sums of quantities under one set of coefficients
multiply exactly like single calls. Figures are added with `math.fsum`, whose result does not
depend on the order: the same rows give the same figure on any number of threads. Errors of a
shared factor are fully correlated, so lows are added to lows and highs to highs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from ecomind_processor.footprint import Coefficients, Footprint, point, ranged
from ecomind_processor.footprint import Range as Band
from ecomind_query.models import Range, Totals
from ecomind_semconv.units import MICROUSD_PER_USD, MS_PER_SECOND, US_PER_SECOND
from ecomind_semconv.usage import STATES

TERMS = (
    ("calls", "wh_per_call", 1),
    ("uncached_tokens", "wh_per_input_token", 1),
    ("input_tokens_over_32k", "wh_per_input_token_over_32k", 1),
    ("cache_read_tokens", "wh_per_cache_read_token", 1),
    ("cache_write_tokens", "wh_per_cache_write_token", 1),
    ("output_tokens", "wh_per_output_token", 1),
    ("reasoning_tokens", "wh_per_reasoning_token", 1),
    ("measured_energy_mj", "wh_per_measured_mj", 1),
    ("images", "wh_per_image", 1),
    ("audio_ms", "wh_per_audio_second", MS_PER_SECOND),
    ("video_ms", "wh_per_video_second", MS_PER_SECOND),
    ("spend_microusd", "wh_per_usd", MICROUSD_PER_USD),
    ("generation_us", "wh_per_second", US_PER_SECOND),
)
"""Sum, the coefficient it is multiplied with, and how many of it make the coefficient's unit; the
products add to the IT energy."""


class Sums(NamedTuple):
    """Integer sums over calls that share a price key and coefficients."""

    calls: int
    adjusted_calls_milli: int
    input_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    uncached_tokens: int
    input_tokens_over_32k: int
    measured_energy_mj: int
    images: int
    audio_ms: int
    video_ms: int
    spend_microusd: int
    generation_us: int
    generation_us_high: int


class Part(NamedTuple):
    """Sums, the coefficients they are multiplied with, and what they cost if that is known."""

    usage_quality: str
    sums: Sums
    coefficients: Coefficients
    cost_usd: float | None


def it_energy_wh(sums: Sums, coefficients: Coefficients) -> float:
    """Energy of the IT equipment for all these calls, in Wh: mid value, or smallest of a span."""
    return math.fsum(
        getattr(sums, quantity) * getattr(coefficients, coefficient) / per
        for quantity, coefficient, per in TERMS
    )


def footprint(sums: Sums, c: Coefficients) -> Footprint:
    """The footprint of all these calls; a method that counts time has it to the microsecond."""
    low = point(it_energy_wh(sums, c), sums.generation_us / US_PER_SECOND, c)
    if c.largest is c:
        return ranged(low, low, c)
    longest = sums._replace(generation_us=sums.generation_us_high)
    seconds = longest.generation_us / US_PER_SECOND
    return ranged(low, point(it_energy_wh(longest, c.largest), seconds, c.largest), c)


def totals(parts: Sequence[Part]) -> Totals:
    """Totals over the parts. Without calls every figure is zero."""
    footprints = [footprint(part.sums, part.coefficients) for part in parts]

    def figure(pick: Callable[[Footprint], Band]) -> Range:
        return _range([pick(one) for one in footprints])

    onsite, offsite = figure(lambda f: f.water_ml_onsite), figure(lambda f: f.water_ml_offsite)
    calls = sum(part.sums.calls for part in parts)
    adjusted_milli = sum(part.sums.adjusted_calls_milli for part in parts)
    return Totals(
        calls=calls,
        adjusted_calls=adjusted_milli / 1000,
        coverage=min(calls * 1000 / adjusted_milli, 1.0) if adjusted_milli else 1.0,
        usage_quality=_quality(parts),
        input_tokens=sum(part.sums.input_tokens for part in parts),
        cache_read_tokens=sum(part.sums.cache_read_tokens for part in parts),
        cache_write_tokens=sum(part.sums.cache_write_tokens for part in parts),
        output_tokens=sum(part.sums.output_tokens for part in parts),
        reasoning_tokens=sum(part.sums.reasoning_tokens for part in parts),
        energy_wh=figure(lambda f: f.energy_wh),
        co2e_g_location=figure(lambda f: f.co2e_g_location),
        co2e_g_market=_market(footprints),
        co2e_g_embodied=figure(lambda f: f.co2e_g_embodied),
        water_ml_onsite=onsite,
        water_ml_offsite=offsite,
        water_ml=added(onsite, offsite),
        cost_usd=_cost(parts),
        unpriced_calls=sum(part.sums.calls for part in parts if part.cost_usd is None),
    )


def _quality(parts: Sequence[Part]) -> dict[str, int]:
    calls = dict.fromkeys(STATES, 0)
    for part in parts:
        calls[part.usage_quality] = calls.get(part.usage_quality, 0) + part.sums.calls
    return calls


def added(first: Range, second: Range) -> Range:
    """The sum of two figures whose errors are correlated."""
    return Range(
        low=first.low + second.low, mid=first.mid + second.mid, high=first.high + second.high
    )


def _market(footprints: list[Footprint]) -> Range | None:
    bands = [one.co2e_g_market for one in footprints]
    known = [band for band in bands if band is not None]
    return _range(known) if len(known) == len(bands) else None


def _range(bands: list[Band]) -> Range:
    return Range(
        low=math.fsum(band.low for band in bands),
        mid=math.fsum(band.mid for band in bands),
        high=math.fsum(band.high for band in bands),
    )


def _cost(parts: Sequence[Part]) -> float | None:
    known = [part.cost_usd for part in parts if part.cost_usd is not None]
    return math.fsum(known) if known or not parts else None

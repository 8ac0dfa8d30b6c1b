"""The arithmetic: quantities × coefficients = a footprint, in pure Python.

`sql/figures.sql` of the receiver holds the same formulas for the column engine; a property test
holds the two equal to 1e-9. Everything is linear in the quantities once a call's model, place and
factor set are known, which is why coefficients can be resolved once per distinct key and reused.

Formulas: docs/methodology.md, section "From quantities to a footprint".
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import NamedTuple

from ecomind_semconv.units import MICROUSD_PER_USD, MS_PER_SECOND, US_PER_SECOND

LONG_INPUT_TOKENS = 32_000
"""Uncached input tokens beyond this many cost `wh_per_input_token_over_32k` more each."""


class Quantities(NamedTuple):
    """What one call consumed. Counts, all ≥ 0; input includes cached, output includes reasoning."""

    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    measured_energy_mj: int = 0
    images: int = 0
    audio_ms: int = 0
    video_ms: int = 0
    duration_us: int = 0  # of the call; 0: not known, so it bounds nothing
    spend_microusd: int = 0  # paid for it, where that is all that is known


@dataclass(frozen=True)
class Coefficients:
    """Every number needed to turn quantities into a footprint, and where each came from.

    IT energy is in Wh per unit of quantity with the idle share included; PUE and WUE are ratios and
    L/kWh; carbon factors are g/kWh of facility energy; a band is the divisor and multiplier that
    gives low and high. `co2e_g_per_kwh_market` is None without contractual evidence.

    A method that knows a smallest and a largest value instead of one has the smallest in the plain
    field and the largest in `<field>_high`; mid is then their mean. A method that counts time has
    the seconds of generation bounded by the call's duration: min(seconds_to_first_token +
    seconds_per_output_token · output, duration).
    """

    method: str
    factor_set: str
    provider: str
    model: str
    model_match: str
    model_tier: str
    zone: str
    zone_match: str
    grid_tier: str
    wh_per_call: float
    wh_per_input_token: float
    wh_per_input_token_over_32k: float
    wh_per_cache_read_token: float
    wh_per_cache_write_token: float
    wh_per_output_token: float
    wh_per_reasoning_token: float
    wh_per_measured_mj: float
    pue: float
    co2e_g_per_kwh_location: float
    co2e_g_per_kwh_market: float | None
    co2e_g_per_kwh_embodied: float
    water_l_per_kwh_onsite: float
    water_l_per_kwh_offsite: float
    band_usage: float  # what `band_energy` holds for counts that were not reported; 1: nothing
    band_energy: float
    band_grid: float
    band_water: float
    grid_year: int = 0  # the year of the grid's figure; 0: of no single year
    wh_per_image: float = 0.0
    wh_per_audio_second: float = 0.0
    wh_per_video_second: float = 0.0
    seconds_to_first_token: float = 0.0
    seconds_per_output_token: float = 0.0
    wh_per_second: float = 0.0
    co2e_g_per_second_embodied: float = 0.0
    seconds_per_output_token_high: float | None = None
    wh_per_output_token_high: float | None = None
    wh_per_second_high: float | None = None
    co2e_g_per_second_embodied_high: float | None = None
    pue_high: float | None = None
    water_l_per_kwh_onsite_high: float | None = None
    wh_per_usd: float = 0.0

    @cached_property
    def coef_id(self) -> int:
        """Content address: the first 64 bits of SHA-256 over every field by name."""
        stated = ((name, getattr(self, name)) for name in COEFFICIENT_NAMES)
        values = {k: v for k, v in stated if k not in _LATER or v != _LATER[k]}
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big")

    @cached_property
    def largest(self) -> Coefficients:
        """The same with the largest values; itself where the smallest are not told apart."""
        highs = {name: getattr(self, f"{name}_high") for name in SPANNED}
        known = {name: high for name, high in highs.items() if high is not None}
        return replace(self, **known) if known else self

    @property
    def has_seconds(self) -> bool:
        """Whether the seconds of generation matter."""
        return bool(self.wh_per_second or self.co2e_g_per_second_embodied)

    @property
    def counts_time(self) -> bool:
        """Whether the seconds of generation matter, or largest values are told apart."""
        return self.has_seconds or self.largest is not self


SPANNED = tuple(
    f.name.removesuffix("_high") for f in fields(Coefficients) if f.name.endswith("_high")
)
"""The coefficients that may have a largest value beside the smallest."""

_LATER = {f.name: f.default for f in fields(Coefficients) if f.default is not MISSING} | {
    "band_usage": 1.0
}
"""Coefficients that came later and what they are where a method has none of it: a row from before
keeps its address."""


class Range(NamedTuple):
    """A figure and its judgement band (not a confidence interval), all in one unit."""

    low: float
    mid: float
    high: float


@dataclass(frozen=True)
class Footprint:
    """One call's footprint: Wh, grams of CO2e, millilitres. Market-based: None without evidence."""

    energy_wh: Range
    co2e_g_location: Range
    co2e_g_market: Range | None
    co2e_g_embodied: Range
    water_ml_onsite: Range
    water_ml_offsite: Range


class Point(NamedTuple):
    """One value of each figure, before any band: Wh, grams of CO2e, millilitres."""

    energy_wh: float
    co2e_g_location: float
    co2e_g_market: float | None
    co2e_g_embodied: float
    water_ml_onsite: float
    water_ml_offsite: float


def uncached_tokens(q: Quantities) -> int:
    """Input tokens that came from no cache and went into none."""
    return max(q.input_tokens - q.cache_read_tokens - q.cache_write_tokens, 0)


def generation_seconds(q: Quantities, c: Coefficients) -> float:
    """Seconds that the model worked for the call, for methods that count them."""
    seconds = c.seconds_to_first_token + c.seconds_per_output_token * q.output_tokens
    return min(seconds, q.duration_us / US_PER_SECOND) if q.duration_us else seconds


def it_energy_wh(q: Quantities, c: Coefficients) -> float:
    """Energy of the IT equipment for one call, in Wh: mid value, or the smallest of a span."""
    uncached = uncached_tokens(q)
    return (
        c.wh_per_call
        + c.wh_per_input_token * uncached
        + c.wh_per_input_token_over_32k * max(uncached - LONG_INPUT_TOKENS, 0)
        + c.wh_per_cache_read_token * q.cache_read_tokens
        + c.wh_per_cache_write_token * q.cache_write_tokens
        + c.wh_per_output_token * q.output_tokens
        + c.wh_per_reasoning_token * q.reasoning_tokens
        + c.wh_per_measured_mj * q.measured_energy_mj
        + c.wh_per_image * q.images
        + c.wh_per_audio_second * q.audio_ms / MS_PER_SECOND
        + c.wh_per_video_second * q.video_ms / MS_PER_SECOND
        + c.wh_per_usd * q.spend_microusd / MICROUSD_PER_USD
        + c.wh_per_second * generation_seconds(q, c)
    )


def point(it_wh: float, seconds: float, c: Coefficients) -> Point:
    """The figures of `it_wh` Wh of IT energy and `seconds` of generation."""
    facility_wh = it_wh * c.pue
    market = c.co2e_g_per_kwh_market
    return Point(
        energy_wh=facility_wh,
        co2e_g_location=facility_wh * c.co2e_g_per_kwh_location / 1000,
        co2e_g_market=None if market is None else facility_wh * market / 1000,
        co2e_g_embodied=facility_wh * c.co2e_g_per_kwh_embodied / 1000
        + seconds * c.co2e_g_per_second_embodied,
        water_ml_onsite=it_wh * c.water_l_per_kwh_onsite,
        water_ml_offsite=facility_wh * c.water_l_per_kwh_offsite,
    )


def footprint(q: Quantities, c: Coefficients) -> Footprint:
    """The footprint of one call with its range."""
    low, high = (
        point(it_energy_wh(q, side), generation_seconds(q, side), side) for side in (c, c.largest)
    )
    return ranged(low, high, c)


def ranged(low: Point, high: Point, c: Coefficients) -> Footprint:
    """Figures with their bands from the smallest and the largest value of each; mid is the mean."""
    carbon, water = c.band_energy * c.band_grid, c.band_energy * c.band_water
    market = None
    if low.co2e_g_market is not None and high.co2e_g_market is not None:
        market = _banded(low.co2e_g_market, high.co2e_g_market, carbon)
    return Footprint(
        energy_wh=_banded(low.energy_wh, high.energy_wh, c.band_energy),
        co2e_g_location=_banded(low.co2e_g_location, high.co2e_g_location, carbon),
        co2e_g_market=market,
        co2e_g_embodied=_banded(low.co2e_g_embodied, high.co2e_g_embodied, c.band_energy),
        water_ml_onsite=_banded(low.water_ml_onsite, high.water_ml_onsite, water),
        water_ml_offsite=_banded(low.water_ml_offsite, high.water_ml_offsite, water),
    )


def _banded(low: float, high: float, band: float) -> Range:
    return Range(low / band, (low + high) / 2, high * band)


COEFFICIENT_NAMES = tuple(field.name for field in fields(Coefficients))
"""Column names of the `coefficients` table after `coef_id`, in order."""

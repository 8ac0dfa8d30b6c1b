"""The arithmetic: quantities × coefficients = a footprint, in pure Python.

`sql/footprint.sql` of the receiver holds the same formulas for the column engine; a property test
holds the two equal to 1e-9. Everything is linear in the quantities once a call's model, place and
factor set are known, which is why coefficients can be resolved once per distinct key and reused.

Formulas: docs/methodology.md, section "From quantities to a footprint".
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import NamedTuple

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


@dataclass(frozen=True)
class Coefficients:
    """Every number needed to turn quantities into a footprint, and where each came from.

    IT energy is in Wh per unit of quantity with the idle share included; PUE and WUE are ratios and
    L/kWh; carbon factors are g/kWh of facility energy; a band is the divisor and multiplier that
    gives low and high. `co2e_g_per_kwh_market` is None without contractual evidence.
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

    @cached_property
    def coef_id(self) -> int:
        """Content address: the first 64 bits of SHA-256 over every field by name."""
        values = asdict(self)
        if self.band_usage == 1:  # rows from before there was a band keep their address
            del values["band_usage"]
        canonical = json.dumps(values, sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big")


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


def it_energy_wh(q: Quantities, c: Coefficients) -> float:
    """Energy of the IT equipment for one call, in Wh, mid value."""
    uncached = max(q.input_tokens - q.cache_read_tokens - q.cache_write_tokens, 0)
    return (
        c.wh_per_call
        + c.wh_per_input_token * uncached
        + c.wh_per_input_token_over_32k * max(uncached - LONG_INPUT_TOKENS, 0)
        + c.wh_per_cache_read_token * q.cache_read_tokens
        + c.wh_per_cache_write_token * q.cache_write_tokens
        + c.wh_per_output_token * q.output_tokens
        + c.wh_per_reasoning_token * q.reasoning_tokens
        + c.wh_per_measured_mj * q.measured_energy_mj
    )


def footprint(q: Quantities, c: Coefficients) -> Footprint:
    """The footprint of one call with its range."""
    it_wh = it_energy_wh(q, c)
    facility_wh = it_wh * c.pue
    carbon_band = c.band_energy * c.band_grid
    water_band = c.band_energy * c.band_water
    market = c.co2e_g_per_kwh_market
    return Footprint(
        energy_wh=_banded(facility_wh, c.band_energy),
        co2e_g_location=_banded(facility_wh * c.co2e_g_per_kwh_location / 1000, carbon_band),
        co2e_g_market=None if market is None else _banded(facility_wh * market / 1000, carbon_band),
        co2e_g_embodied=_banded(facility_wh * c.co2e_g_per_kwh_embodied / 1000, c.band_energy),
        water_ml_onsite=_banded(it_wh * c.water_l_per_kwh_onsite, water_band),
        water_ml_offsite=_banded(facility_wh * c.water_l_per_kwh_offsite, water_band),
    )


def _banded(mid: float, band: float) -> Range:
    return Range(mid / band, mid, mid * band)


COEFFICIENT_NAMES = tuple(field.name for field in fields(Coefficients))
"""Column names of the `coefficients` table after `coef_id`, in order."""

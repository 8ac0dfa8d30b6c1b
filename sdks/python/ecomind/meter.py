"""Totals the calls of one block under the factor set that ships with this version.

A footprint is linear in the energy of the equipment once a call's key is known, so a block keeps
that one number per distinct key, and turns it into ranges when they are read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from ecomind.call import read_call
from ecomind.guard import quiet
from ecomind.note import Note
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import (
    Coefficients,
    Footprint,
    Quantities,
    Range,
    footprint,
    it_energy_wh,
)
from ecomind_processor.resolution import CallKey, resolve

RESPONSES_MAX = 10_000
"""Responses remembered per block to count a call once; beyond it the oldest are let go."""


class Figures(NamedTuple):
    """The footprint of a block. CO2e is operational and location-based; water on and off site."""

    calls: int
    energy_wh: Range
    co2e_g: Range
    water_ml: Range


class Meter:
    """What the calls of one block consumed. Not safe to use from two threads at once."""

    def __init__(self) -> None:
        self._calls = 0
        self._it_wh: dict[CallKey, float] = {}
        self._responses: dict[tuple[str, str], None] = {}

    @quiet
    def add(self, note: Note) -> None:
        """Count the call that the note describes, unless it describes none or was counted."""
        call = read_call(note)
        if call is None or not self._is_new(call.key.provider, call.response_id):
            return
        it_wh = it_energy_wh(call.quantities, coefficients(call.key))
        self._it_wh[call.key] = self._it_wh.get(call.key, 0.0) + it_wh
        self._calls += 1

    def figures(self) -> Figures:
        """Return the totals so far."""
        footprints = [_of_energy(it_wh, coefficients(key)) for key, it_wh in self._it_wh.items()]
        return Figures(
            calls=self._calls,
            energy_wh=_sum(f.energy_wh for f in footprints),
            co2e_g=_sum(f.co2e_g_location for f in footprints),
            water_ml=_sum(w for f in footprints for w in (f.water_ml_onsite, f.water_ml_offsite)),
        )

    def _is_new(self, provider: str, response_id: str) -> bool:
        if not response_id:
            return True
        if (provider, response_id) in self._responses:
            return False
        if len(self._responses) >= RESPONSES_MAX:
            del self._responses[next(iter(self._responses))]
        self._responses[provider, response_id] = None
        return True


@lru_cache(maxsize=4096)
def coefficients(key: CallKey) -> Coefficients:
    """Return the coefficients of a key under the default factor set."""
    return resolve(key, FactorSet.load())


def _of_energy(it_wh: float, factors: Coefficients) -> Footprint:
    return footprint(Quantities(), replace(factors, wh_per_call=it_wh))


def _sum(ranges: Iterable[Range]) -> Range:
    parts = list(ranges)
    return Range(*(sum(bounds) for bounds in zip(*parts, strict=True))) if parts else _ZERO


_ZERO = Range(0.0, 0.0, 0.0)

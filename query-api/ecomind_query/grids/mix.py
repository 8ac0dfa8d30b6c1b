"""From generation by type to the carbon intensity of each hour.

    intensity = Σ generation × life-cycle factor of its type ÷ Σ generation

over the types that have a factor. That is what is generated in an area, not what is used there:
imports and exports are not in it. An hour is marked as estimated when a type that was reported on
the same day lacks a quarter of it, or when more than a twentieth of the generation has no factor.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from typing import NamedTuple

from ecomind_query.grids.entsoe import Output
from ecomind_query.grids.generation import Generation
from ecomind_query.grids.mtu import QUARTERS
from ecomind_receiver.grids.rows import hour_of, moment_of

LEFT_OUT_SHARE_MAX = 0.05
_Quarters = list[float | None]


class MixedHour(NamedTuple):
    """One hour; `hour` counts from 1970."""

    hour: int
    g_per_kwh: float
    estimated: bool


class Mix:
    """Power by hour and type, in quarters of the hour. What is added last stands."""

    def __init__(self, generation: Generation) -> None:
        self.incomplete_hours = 0
        self.left_out: defaultdict[str, float] = defaultdict(float)  # type → MWh
        self.total_mwh = 0.0
        self._generation = generation
        self._hours: dict[int, dict[str, _Quarters]] = {}
        self._types_of_day: defaultdict[date, set[str]] = defaultdict(set)

    def add(self, output: Output) -> None:
        """Take up what was reported. A little below zero is what a station used for itself."""
        if output.type_ in self._generation.stores:
            return
        start = output.unit.start
        self._types_of_day[start.date()].add(output.type_)
        if output.mw is not None:
            types = self._hours.setdefault(hour_of(start), {})
            quarters = types.setdefault(output.type_, [None] * QUARTERS)
            for quarter in output.unit.quarters():
                quarters[quarter] = max(output.mw, 0.0)

    def hours(self) -> Iterator[MixedHour]:
        """The hours in order; one that no type was reported for in full is counted instead."""
        for hour, types in sorted(self._hours.items()):
            if any(None not in quarters for quarters in types.values()):
                yield from self._mixed(hour, types)
            else:
                self.incomplete_hours += 1

    def _mixed(self, hour: int, types: dict[str, _Quarters]) -> Iterator[MixedHour]:
        grams = known = left_out = 0.0
        for type_, quarters in sorted(types.items()):
            mwh = _mean(quarters)
            factor = self._generation.g_per_kwh.get(type_)
            if factor is None:
                left_out += mwh
                self.left_out[type_] += mwh
            else:
                known += mwh
                grams += mwh * factor
        self.total_mwh += known + left_out
        if known == 0.0:
            self.incomplete_hours += 1
            return
        is_whole = self._is_whole(hour, types)
        estimated = not is_whole or left_out > LEFT_OUT_SHARE_MAX * (known + left_out)
        yield MixedHour(hour, grams / known, estimated)

    def _is_whole(self, hour: int, types: dict[str, _Quarters]) -> bool:
        expected = self._types_of_day[moment_of(hour).date()]
        return all(type_ in types and None not in types[type_] for type_ in expected)


def _mean(quarters: _Quarters) -> float:
    """MWh of the hour: the mean power of the quarters that were reported."""
    reported = [mw for mw in quarters if mw is not None]
    return sum(reported) / len(reported)

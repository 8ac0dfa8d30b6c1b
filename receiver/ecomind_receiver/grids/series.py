"""A table in memory: for each zone its hours in order, found by bisection.

Five million rows as Python objects are more than a gigabyte; as sorted arrays of plain numbers they
are 100 MB, and a look-up takes a few microseconds.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import NamedTuple

from ecomind_receiver.grids.errors import GridError
from ecomind_receiver.grids.rows import Row

SOURCES_MAX = 1000


class _Zone(NamedTuple):
    """Columns of one zone. A mark is twice the number of the source, plus one if estimated."""

    hours: array[int]
    g_per_kwh: array[float]
    marks: array[int]
    numbers: array[int]  # where each row stood, for messages


class HourTable:
    """Rows by zone and hour, never changed after they are read. Raises GridError."""

    def __init__(
        self, rows: Iterable[tuple[int, Row]] = (), name: str = "", counted_in: str = "line"
    ) -> None:
        self._where = f"{name}, {counted_in}"
        self._sources: list[str] = []
        self._zones: dict[str, _Zone] = {}
        self._fill(rows)
        for zone in self._zones:
            self._zones[zone] = self._ordered(self._zones[zone], zone)
        self.zones = frozenset(self._zones)
        self.rows = sum(len(zone.hours) for zone in self._zones.values())

    def find(self, zone: str, hour: int) -> Row | None:
        """The row of a zone and an hour."""
        columns = self._zones.get(zone)
        if columns is None:
            return None
        place = bisect_left(columns.hours, hour)
        if place == len(columns.hours) or columns.hours[place] != hour:
            return None
        source, estimated = divmod(columns.marks[place], 2)
        return Row(zone, hour, columns.g_per_kwh[place], self._sources[source], bool(estimated))

    def _fill(self, rows: Iterable[tuple[int, Row]]) -> None:
        known: dict[str, int] = {}
        for number, row in rows:
            source = known.setdefault(row.source, len(known))
            if source == SOURCES_MAX:
                raise GridError(
                    f"{self._where} {number}: there are more than {SOURCES_MAX} different sources;"
                    " name what published the figures, not each figure."
                )
            columns = self._zones.get(row.zone)
            if columns is None:
                columns = _Zone(array("i"), array("d"), array("i"), array("i"))
                self._zones[row.zone] = columns
            columns.hours.append(row.hour)
            columns.g_per_kwh.append(row.g_per_kwh)
            columns.marks.append(2 * source + row.estimated)
            columns.numbers.append(number)
        self._sources = list(known)

    def _ordered(self, columns: _Zone, zone: str) -> _Zone:
        """The columns by hour, each of which is there once."""
        hours = columns.hours
        if any(hours[at] > hours[at + 1] for at in range(len(hours) - 1)):
            order = sorted(range(len(hours)), key=hours.__getitem__)
            columns = _Zone(
                array("i", (hours[at] for at in order)),
                array("d", (columns.g_per_kwh[at] for at in order)),
                array("i", (columns.marks[at] for at in order)),
                array("i", (columns.numbers[at] for at in order)),
            )
        for at in range(len(columns.hours) - 1):
            if columns.hours[at] == columns.hours[at + 1]:
                first, second = sorted(columns.numbers[at : at + 2])
                raise GridError(
                    f"{self._where} {second}: the hour of {zone} was given before, in {first};"
                    " remove one of the two."
                )
        return columns._replace(numbers=array("i"))

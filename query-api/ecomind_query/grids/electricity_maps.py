"""Reads the CSV files of Electricity Maps' data portal: hourly, or finer, for one zone and year.

Their figures follow flows between zones, so they are of what is used, not of what is generated; the
life cycle is taken unless the direct emissions are asked for. They are averages: the portal's files
hold nothing marginal. The data are theirs (ODbL, or a contract): the table may be passed on only as
their terms allow.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from ecomind_processor.hourly import is_plausible, utc_hour
from ecomind_query.grids.errors import ImportRefused
from ecomind_receiver.grids.rows import Row, hour_of


class Boundary(StrEnum):
    """Which emissions are taken."""

    LIFE_CYCLE = "life-cycle"
    DIRECT = "direct"


_WORDS = {
    Boundary.LIFE_CYCLE: ("(life cycle)", "(lca)"),
    Boundary.DIRECT: ("(direct)",),
}
_MINUTES_PER_HOUR = 60


class Reading(NamedTuple):
    """One line of a file."""

    zone: str  # as the file names it
    start: datetime
    g_per_kwh: float | None
    estimated: bool


class Readings:
    """Lines of several files by zone. What is added last stands."""

    def __init__(self, boundary: Boundary) -> None:
        self.boundary = boundary
        self.incomplete_hours = 0
        self._zones: defaultdict[str, dict[datetime, Reading]] = defaultdict(dict)

    @property
    def zones(self) -> list[str]:
        """Zones as the files name them."""
        return sorted(self._zones)

    def add(self, reading: Reading) -> None:
        """Take up a line."""
        self._zones[reading.zone][reading.start] = reading

    def rows(self, ours: Mapping[str, str]) -> Iterator[Row]:
        """Whole hours of the zones that `ours` maps to zones of the factor set.

        Raises ImportRefused for a zone whose lines are further apart than an hour.
        """
        for theirs, zone in ours.items():
            readings = self._zones[theirs]
            lines_per_hour = _MINUTES_PER_HOUR // self._step_minutes(theirs)
            hours: defaultdict[datetime, list[Reading]] = defaultdict(list)
            for reading in readings.values():
                hours[utc_hour(reading.start)].append(reading)
            for hour, found in sorted(hours.items()):
                values = [r.g_per_kwh for r in found if r.g_per_kwh is not None]
                if len(values) < lines_per_hour:
                    self.incomplete_hours += 1
                    continue
                g_per_kwh = sum(values) / len(values)
                yield Row(
                    zone,
                    hour_of(hour),
                    round(g_per_kwh, 3),
                    f"Electricity Maps, {self.boundary.replace('-', ' ')}",
                    any(reading.estimated for reading in found),
                )

    def _step_minutes(self, zone: str) -> int:
        """Minutes between lines, the shortest of them."""
        moments = sorted(self._zones[zone])
        steps = [(after - before).total_seconds() / 60 for before, after in pairwise(moments)]
        step = int(min(steps, default=0))
        if not 0 < step <= _MINUTES_PER_HOUR:
            raise ImportRefused(
                f"The zone {zone} has no two lines within an hour: is it a daily, monthly or yearly"
                " file? Download the hourly one."
            )
        return step


def read(path: Path, lines: Iterable[str], boundary: Boundary) -> Iterator[Reading]:
    """The lines of a file. Raises ImportRefused."""
    rows = csv.reader(lines)
    header = [name.strip().lower() for name in next(rows, [])]
    start_at = _column(path, header, "datetime (utc)", ("datetime (utc)",))
    zone_at = _column(path, header, "zone id", ("zone id",))
    value_at = _column(path, header, "carbon intensity", _WORDS[boundary])
    flag_at = header.index("data estimated") if "data estimated" in header else None
    for number, cells in enumerate(rows, start=2):
        try:
            start = datetime.fromisoformat(cells[start_at])
            flag = flag_at is not None and cells[flag_at].strip().lower() == "true"
            yield Reading(
                cells[zone_at].strip(),
                start.astimezone(UTC) if start.tzinfo else start.replace(tzinfo=UTC),
                _figure(cells[value_at].strip()),
                flag,
            )
        except (IndexError, ValueError) as error:
            reason = "it has too few columns" if isinstance(error, IndexError) else str(error)
            raise ImportRefused.at(path, number, f"{reason}.") from error


def _figure(text: str) -> float | None:
    if not text:
        return None
    g_per_kwh = float(text)
    if not is_plausible(g_per_kwh):
        raise ValueError(f"{g_per_kwh} g/kWh is none that a grid can have")
    return g_per_kwh


def _column(path: Path, header: list[str], name: str, words: tuple[str, ...]) -> int:
    """The column whose name begins with `name` and holds one of `words`."""
    for place, column in enumerate(header):
        if column.startswith(name) and any(word in column for word in words):
            return place
    raise ImportRefused(
        f"{path} has no column {name!r} with {' or '.join(words)}. Download the hourly CSV file of"
        " a zone from Electricity Maps' data portal."
    )

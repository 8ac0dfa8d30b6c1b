"""From downloaded files to rows of a table, and what there is to say about them.

An import gives all of its rows or none: a hole in a table that nobody noticed would be filled with
yearly figures.
"""

from __future__ import annotations

import csv
import io
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from ecomind_processor.factors import FactorSet
from ecomind_query.grids import electricity_maps, entsoe
from ecomind_query.grids.electricity_maps import Boundary
from ecomind_query.grids.errors import ImportRefused
from ecomind_query.grids.generation import generation
from ecomind_query.grids.mix import Mix
from ecomind_receiver.grids.rows import COLUMNS, ROWS_MAX, Row, as_text, moment_of

Advance = Callable[[int], None]
ENTSOE_SOURCE = "ENTSO-E generation by type, life cycle (IPCC 2014; oil: NREL 2021)"
_LINES_PER_ADVANCE = 4096


class Publisher(StrEnum):
    """Whose files are imported."""

    ENTSOE = "entsoe"
    ELECTRICITY_MAPS = "electricity-maps"


@dataclass
class Imported:
    """Rows in order of zone and hour, and what became of the rest."""

    rows: list[Row]
    incomplete_hours: int = 0
    left_out: dict[str, float] = field(default_factory=dict)  # type → share of the generation
    unknown_zones: list[str] = field(default_factory=list)

    def summary(self) -> dict[str, object]:
        """For people and programs."""
        hours = [row.hour for row in self.rows]
        figures = [row.g_per_kwh for row in self.rows]
        return {
            "hours": dict(Counter(row.zone for row in self.rows)),
            "from": moment_of(min(hours)).isoformat(),
            "to": moment_of(max(hours) + 1).isoformat(),
            "g_per_kwh": {
                "min": min(figures),
                "mean": round(sum(figures) / len(figures), 3),
                "max": max(figures),
            },
            "estimated_hours": sum(row.estimated for row in self.rows),
            "incomplete_hours": self.incomplete_hours,
            "left_out_share": round(sum(self.left_out.values()), 6),
            "left_out": {type_: round(share, 6) for type_, share in self.left_out.items()},
            "unknown_zones": self.unknown_zones,
        }


def import_entsoe(files: Sequence[Path], zone: str, area: str, advance: Advance) -> Imported:
    """Hours of one zone from generation by type. Raises ImportRefused and OSError."""
    mix, chosen = Mix(generation()), entsoe.Area(area)
    for path in files:
        with _csv(path):
            for output in entsoe.read(path, _lines(path, advance), chosen):
                mix.add(output)
    rows = [
        Row(zone, hour, round(g_per_kwh, 3), ENTSOE_SOURCE, estimated)
        for hour, g_per_kwh, estimated in mix.hours()
    ]
    left_out = {type_: mwh / mix.total_mwh for type_, mwh in sorted(mix.left_out.items()) if mwh}
    return _checked(Imported(rows, mix.incomplete_hours, left_out))


def import_electricity_maps(
    files: Sequence[Path], zone: str, boundary: Boundary, advance: Advance
) -> Imported:
    """Hours of every zone in the files that the factor set knows.

    `zone`, if given, is what their only zone is taken for. Raises ImportRefused and OSError.
    """
    readings = electricity_maps.Readings(boundary)
    for path in files:
        with _csv(path):
            for reading in electricity_maps.read(path, _lines(path, advance), boundary):
                readings.add(reading)
    ours = _ours(readings.zones, zone)
    rows = sorted(readings.rows(ours))
    unknown = [theirs for theirs in readings.zones if theirs not in ours]
    return _checked(Imported(rows, readings.incomplete_hours, unknown_zones=unknown))


def write(path: Path, rows: Sequence[Row]) -> None:
    """Put a table in the place of the file, whole or not at all. Raises OSError."""
    fresh = path.with_name(path.name + ".new")
    with open(fresh, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(map(as_text, rows))
    os.replace(fresh, path)


def _ours(theirs: Sequence[str], zone: str) -> dict[str, str]:
    """Their zones → ours."""
    if zone:
        if len(theirs) > 1:
            names = ", ".join(theirs[:5])
            raise ImportRefused(f"--zone is for files of one zone; these hold {names}.")
        return dict.fromkeys(theirs, zone)
    known = FactorSet.load().zone_names
    ours = {name: known[name.lower()] for name in theirs if name.lower() in known}
    for twice in (name for name, count in Counter(ours.values()).items() if count > 1):
        both = " and ".join(name for name, zone_id in ours.items() if zone_id == twice)
        raise ImportRefused(f"{both} are both {twice} here. Import them one by one.")
    if not ours:
        names = ", ".join(theirs[:5]) or "no rows"
        raise ImportRefused(
            f"The factor set has no zone for {names}. Say with --zone what it is to be taken for."
        )
    return ours


def _checked(imported: Imported) -> Imported:
    if not imported.rows:
        raise ImportRefused("No hour is complete in these files, so there is nothing to write.")
    if len(imported.rows) > ROWS_MAX:
        raise ImportRefused(f"That is more than {ROWS_MAX:,} rows. Import fewer files at a time.")
    return imported


@contextmanager
def _csv(path: Path) -> Iterator[None]:
    try:
        yield
    except csv.Error as error:
        raise ImportRefused(f"{path} is no CSV: {error}. Download it again.") from error


def _lines(path: Path, advance: Advance) -> Iterator[str]:
    """The lines of a file, telling now and then how many bytes were read."""
    with open(path, "rb") as raw:
        told = 0
        text = io.TextIOWrapper(raw, "utf-8-sig", newline="")
        try:
            for number, line in enumerate(text):
                if number % _LINES_PER_ADVANCE == 0:
                    advance(raw.tell() - told)
                    told = raw.tell()
                yield line
        except UnicodeDecodeError as error:
            raise ImportRefused(f"{path} is not UTF-8 text. Save it as UTF-8.") from error
        advance(raw.tell() - told)

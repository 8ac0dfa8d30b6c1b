"""Reads "Actual Generation per Production Type", a data item of ENTSO-E's Transparency Platform.

Three layouts, told apart by their headers: the old website's, with a column for each type; the new
website's, with a row for each type; and the monthly files of its file library, with tabs and all of
Europe. Generation is read and consumption is not: what storage draws was generated elsewhere.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from ecomind_query.grids.errors import ImportRefused
from ecomind_query.grids.generation import folded
from ecomind_query.grids.mtu import Mtu, MtuReader

NONE_EXPECTED = "n/e"
"""What stands where a country has no generation of a type."""

NOT_REPORTED = frozenset({"", "-", "n/a", "nan"})
_COLUMN_OF_TYPE = re.compile(r"(.+?)\s+-\s+actual aggregated\s*[\[(]mw[\])]")
_MINUTES = {"PT15M": 15, "PT30M": 30, "PT60M": 60, "PT1H": 60}


class Output(NamedTuple):
    """Mean power of one folded type in one market time unit; None: it was not reported."""

    unit: Mtu
    type_: str
    mw: float | None


Cells = Sequence[str]
Reader = Callable[[Cells], Iterator[Output]]


class _Layout(NamedTuple):
    """Columns that say which area a row is of, and how a row is read."""

    areas: list[int]
    read: Reader


class Area:
    """The one area that an import reads; if none is wanted by name, the files hold only one."""

    def __init__(self, wanted: str = "") -> None:
        self.wanted = wanted
        self._only: Cells | None = None

    def takes(self, names: Cells) -> bool:
        """Whether a row with these names of its area is read. Raises ImportRefused for a second."""
        if self.wanted:
            return _is_of(self.wanted, names)
        self._only = self._only or names
        if names[:1] != self._only[:1]:
            one, other = (each[1] if len(each) > 1 else each[0] for each in (self._only, names))
            raise ImportRefused(
                f"The files hold several areas, such as {one} and {other}. Choose one with --area."
            )
        return True


def read(path: Path, lines: Iterable[str], area: Area) -> Iterator[Output]:
    """What a file reports for an area. Raises ImportRefused."""
    lines = iter(lines)
    first = next(lines, "")
    header = next(csv.reader([first], delimiter=_delimiter(first)), [])
    layout = _layout(path, [" ".join(name.lower().split()) for name in header])
    is_empty = True
    rows = csv.reader(lines, delimiter=_delimiter(first))
    for number, cells in enumerate(rows, start=2):
        try:
            if not area.takes([cells[place] for place in layout.areas]):
                continue
            is_empty = False
            for output in layout.read(cells):
                output.unit.quarters()  # raises for what is no part of an hour
                yield output
        except (IndexError, ValueError) as error:
            reason = "it has too few columns" if isinstance(error, IndexError) else str(error)
            raise ImportRefused.at(path, number, f"{reason}.") from error
    if is_empty:
        wanted = f" of the area {area.wanted}; write it as in the file" if area.wanted else ""
        raise ImportRefused(f"{path} holds no rows{wanted}.")


def _delimiter(header: str) -> str:
    return "\t" if "\t" in header else ","


def _layout(path: Path, header: list[str]) -> _Layout:
    units = [name for name in header if name.startswith("mtu")]
    if "productiontype" in header:
        return _library(header)
    if units and "production type" in header:
        return _rows(header, units[0])
    if units and any(map(_COLUMN_OF_TYPE.fullmatch, header)):
        return _columns(header, units[0])
    raise ImportRefused(
        f"{path} is no file of Actual Generation per Production Type from ENTSO-E: its first line"
        " names neither MTU and the types, nor ProductionType. Download that data item as CSV."
    )


def _columns(header: list[str], unit: str) -> _Layout:
    """A column for each type; where one is there twice, the second is consumption."""
    mtu, at = MtuReader(unit), header.index(unit)
    places: dict[str, int] = {}
    for place, name in enumerate(header):
        if found := _COLUMN_OF_TYPE.fullmatch(name):
            places.setdefault(folded(found[1]), place)

    def read_row(cells: Cells) -> Iterator[Output]:
        if moment := mtu.read(cells[at]):
            yield from (Output(moment, type_, _mw(cells[mw])) for type_, mw in places.items())

    return _Layout(_places(header, "area"), read_row)


def _rows(header: list[str], unit: str) -> _Layout:
    """A row for each type."""
    mtu, at, type_at = MtuReader(unit), header.index(unit), header.index("production type")
    mw_at = _first(header, "generation (mw)", "generation [mw]")

    def read_row(cells: Cells) -> Iterator[Output]:
        type_ = folded(cells[type_at])
        if moment := mtu.read(cells[at], type_):
            yield Output(moment, type_, _mw(cells[mw_at]))

    return _Layout(_places(header, "area"), read_row)


def _library(header: list[str]) -> _Layout:
    """A row for each type and area, in UTC. Names of columns have changed over the years."""
    type_at = header.index("productiontype")
    start_at = _first(header, "datetime(utc)", "datetime (utc)", "datetime")
    length_at = _first(header, "resolutioncode")
    mw_at = _first(header, "actualgenerationoutput[mw]", "actualgenerationoutput")
    areas = _places(header, "areacode", "areamapcode", "mapcode", "areadisplayname", "areaname")

    def read_row(cells: Cells) -> Iterator[Output]:
        minutes = _MINUTES.get(cells[length_at])
        if minutes is None:
            raise ValueError(f"the resolution {cells[length_at]!r} is unknown")
        start = datetime.fromisoformat(cells[start_at]).replace(tzinfo=UTC)
        yield Output(Mtu(start, minutes), folded(cells[type_at]), _mw(cells[mw_at]))

    return _Layout(areas, read_row)


def _mw(text: str) -> float | None:
    text = text.strip().lower()
    if text == NONE_EXPECTED:
        return 0.0
    if text in NOT_REPORTED:
        return None
    mw = float(text)
    if not math.isfinite(mw):
        raise ValueError(f"{text!r} is no power")
    return mw


def _first(header: list[str], *names: str) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise ImportRefused(f"The column {names[0]!r} is missing. Download the file again as CSV.")


def _places(header: list[str], *names: str) -> list[int]:
    return [header.index(name) for name in names if name in header]


def _is_of(area: str, names: Cells) -> bool:
    """Whether an area is meant by its code or name, or by the end of one such as `BZN|DE-LU`."""
    meant = area.casefold()
    return any(meant in (name.casefold(), name.casefold().rpartition("|")[2]) for name in names)

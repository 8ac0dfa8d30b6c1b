"""The table format: a line of `zone,hour,g_per_kwh`, with `source` and `estimated` if wanted.

Owns what a row may hold and the sentence for each thing that is wrong with one. The same format is
what an operator writes, what `ecomind grid import` makes and what the caches are stored in, so that
each of them can be looked at with anything that opens a CSV file.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from ecomind_processor.hourly import G_PER_KWH_MAX, is_plausible
from ecomind_receiver.grids.errors import GridError

REQUIRED = ("zone", "hour", "g_per_kwh")
OPTIONAL = ("source", "estimated")
COLUMNS = (*REQUIRED, *OPTIONAL)
ROWS_MAX = 5_000_000
SOURCE_MAX_CHARACTERS = 200
_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}
_SECONDS_PER_HOUR = 3600
_YEARS = range(2000, 2100)


class Row(NamedTuple):
    """One hour of one zone; `hour` counts hours since 1970 in UTC."""

    zone: str
    hour: int
    g_per_kwh: float
    source: str
    estimated: bool


class _Wrong(Exception):
    """What is wrong with a row, without where it is."""


def read_rows(
    lines: Iterable[str], name: str, zones: Collection[str], *, counted_in: str = "line"
) -> Iterator[tuple[int, Row]]:
    """Each row with its number, counted as people count: the line of the names is 1.

    `counted_in` is what the numbers count, for messages. Raises GridError, and UnicodeDecodeError
    from lines that are no text.
    """
    reader = csv.reader(lines, strict=True)
    number = 1
    try:
        places = _places(next(reader, []))
        for rows, cells in enumerate(filter(None, reader), start=1):
            number = reader.line_num if counted_in == "line" else rows
            if rows > ROWS_MAX:
                raise _Wrong(f"there are more than {ROWS_MAX:,} rows; split the table in two files")
            yield number, _row(cells, places, zones)
    except csv.Error as error:
        raise GridError(f"{name}, line {reader.line_num}: it is no CSV ({error}).") from error
    except _Wrong as wrong:
        raise GridError(f"{name}, {counted_in} {number}: {wrong}.") from None


def as_text(row: Row) -> tuple[str, str, str, str, str]:
    """The row as it is written, in the order of COLUMNS."""
    hour = moment_of(row.hour).strftime("%Y-%m-%dT%H:%MZ")
    flag = "true" if row.estimated else "false"
    return row.zone, hour, repr(row.g_per_kwh), row.source, flag


def hour_of(moment: datetime) -> int:
    """Hours from 1970 to the full hour that holds the moment."""
    return int(moment.timestamp()) // _SECONDS_PER_HOUR


def moment_of(hour: int) -> datetime:
    """The start of an hour that is counted from 1970, in UTC."""
    return datetime.fromtimestamp(hour * _SECONDS_PER_HOUR, UTC)


def _places(header: list[str]) -> dict[str, int]:
    """Column → its place."""
    names = [name.strip().lower() for name in header]
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        raise _Wrong(
            f"the column {missing[0]} is missing; the first line must name {', '.join(REQUIRED)}"
        )
    odd = [name for name in names if name not in COLUMNS or names.count(name) > 1]
    if odd:
        raise _Wrong(
            f"the column {odd[0][:40]!r} is unknown or there twice; use {', '.join(COLUMNS)}"
        )
    return {name: place for place, name in enumerate(names)}


def _row(cells: list[str], places: Mapping[str, int], zones: Collection[str]) -> Row:
    if len(cells) != len(places):
        raise _Wrong(f"it has {len(cells)} values for {len(places)} columns; give one for each")
    zone = cells[places["zone"]].strip()
    if zone not in zones:
        raise _Wrong(
            f"the zone {zone[:40]!r} is not in the factor set; use the id of one, such as DEU"
        )
    hour = _hour(cells[places["hour"]].strip())
    g_per_kwh = _intensity(cells[places["g_per_kwh"]].strip())
    source = cells[places["source"]].strip() if "source" in places else ""
    if len(source) > SOURCE_MAX_CHARACTERS:
        raise _Wrong(f"the source is longer than {SOURCE_MAX_CHARACTERS} characters; shorten it")
    flag = cells[places["estimated"]].strip().lower() if "estimated" in places else ""
    if flag not in _FLAGS:
        raise _Wrong(f"estimated is {flag[:40]!r}; write true or false")
    return Row(zone, hour, g_per_kwh, source, _FLAGS[flag])


def _hour(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _Wrong(f"the hour {text[:40]!r} is not a time; write 2026-11-01T13:00Z") from None
    if moment.tzinfo is None:
        raise _Wrong(f"the hour {text[:40]!r} has no time zone; add Z for UTC, or an offset")
    if moment.year not in _YEARS:
        raise _Wrong(f"the hour {text[:40]!r} must lie in {_YEARS[0]} to {_YEARS[-1]}")
    moment = moment.astimezone(UTC)
    if moment.minute or moment.second or moment.microsecond:
        raise _Wrong(f"the hour {text[:40]!r} is not a full hour in UTC; give one row an hour")
    return hour_of(moment)


def _intensity(text: str) -> float:
    try:
        g_per_kwh = float(text.replace("_", "?"))  # Python would take 1_000 for a number
    except ValueError:
        raise _Wrong(f"g_per_kwh is {text[:40]!r}, which is no number; write 123.4") from None
    if not is_plausible(g_per_kwh):
        raise _Wrong(
            f"g_per_kwh is {text[:40]}; it must be from 0 to {G_PER_KWH_MAX:g} grams per kWh"
        )
    return g_per_kwh

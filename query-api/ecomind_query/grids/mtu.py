"""Market time units as ENTSO-E's files write them: `29/10/2023 02:00 - 29/10/2023 02:15`.

Times are UTC or the clock of Brussels, as the header or a mark says. That clock shows an hour twice
in autumn. Some files mark the two (`(CEST)`, `(CET)`); where none does, the hour that comes first
in the file is the earlier one.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_TIME = r"(\d\d[./]\d\d[./]\d{4} \d\d:\d\d)(?::\d\d)?(?: \(([A-Z/]+)\))?"
_MTU = re.compile(rf"{_TIME} - {_TIME}")
_CLOCKS = frozenset({"CET", "CEST", "CET/CEST"})
ZONES = "UTC or CET/CEST"
QUARTERS, QUARTER_MINUTES = 4, 15


class MtuError(ValueError):
    """A text is no market time unit that can be read; the message says why."""


class Mtu(NamedTuple):
    """A start in UTC and a length."""

    start: datetime
    minutes: int

    def quarters(self) -> range:
        """Which quarters of its hour it covers, from 0. Raises MtuError if it is no part of one."""
        first, rest = divmod(self.start.minute, QUARTER_MINUTES)
        covered = range(first, first + self.minutes // QUARTER_MINUTES)
        if rest or self.minutes not in (15, 30, 60) or covered.stop > QUARTERS:
            raise MtuError(f"{self.minutes} minutes from {self.start:%H:%M} are no part of an hour")
        return covered


class MtuReader:
    """Reads the units of one file in order: which of two equal hours it is depends on what was.

    `column` is the name of their column, which may say the zone: `MTU (UTC)`.
    """

    def __init__(self, column: str) -> None:
        named = re.search(r"\(([A-Z/]+)\)", column.upper())
        self._zone = named[1] if named else ""
        self._seen: set[tuple[str, str]] = set()

    def read(self, text: str, series: str = "") -> Mtu | None:
        """The unit; None for an hour that clocks skip in spring. Raises MtuError.

        `series` tells apart what the file interleaves, such as types of generation.
        """
        found = _MTU.fullmatch(text.strip())
        if found is None:
            raise MtuError(f"{text[:60]!r} is no time unit such as 01/01/2024 00:00 - 01/01/2024 …")
        start, start_mark, end, end_mark = found.groups()
        minutes = int((_clock(end) - _clock(start)) / timedelta(minutes=1))
        zone = self._zone or start_mark or end_mark or ""
        if zone == "UTC":
            return Mtu(_clock(start).replace(tzinfo=UTC), minutes)
        if zone not in _CLOCKS:
            raise MtuError(f"{text[:60]!r} is in the zone {zone or '?'!r}; export in {ZONES}")
        second = self._is_second(start, series, start_mark)
        if minutes <= 0 or minutes > 60:  # the unit contains the change itself
            minutes = minutes + 60 if minutes <= 0 else minutes - 60
        return _in_brussels(_clock(start), second, minutes)

    def _is_second(self, start: str, series: str, mark: str | None) -> bool:
        """Whether clocks show the time for the second time, if they show it twice."""
        if mark in ("CET", "CEST"):
            return mark == "CET"
        moment = (start, series)
        if not _is_twice(_clock(start)):
            return False
        was_seen = moment in self._seen
        self._seen.add(moment)
        return was_seen


def _clock(text: str) -> datetime:
    day, month, year, hour, minute = map(int, re.split(r"[./ :]", text))
    try:
        return datetime(year, month, day, hour, minute)
    except ValueError:
        raise MtuError(f"{text!r} is no date; write the day first: 31/12/2024 23:00") from None


def _in_brussels(clock: datetime, second: bool, minutes: int) -> Mtu | None:
    start = clock.replace(tzinfo=_brussels(), fold=int(second)).astimezone(UTC)
    if start.astimezone(_brussels()).replace(tzinfo=None) != clock:
        return None
    return Mtu(start, minutes)


def _is_twice(clock: datetime) -> bool:
    first, second = (clock.replace(tzinfo=_brussels(), fold=fold) for fold in (0, 1))
    later: timedelta = second.astimezone(UTC) - first.astimezone(UTC)
    return later > timedelta(0)


@cache
def _brussels() -> ZoneInfo:
    try:
        return ZoneInfo("Europe/Brussels")
    except ZoneInfoNotFoundError as error:
        raise MtuError(
            "this machine has no time zones; install tzdata, or export in UTC"
        ) from error

"""Half-open UTC periods [start, end): how they are read from text, and how they meet whole hours.

The rollup knows whole hours only. A period is therefore answered from the rollup for the whole
hours inside it and from single calls for its two ragged ends, so that any instant is exact.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from ecomind_query.errors import BadParameter

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_LENGTH = re.compile(r"([1-9]\d{0,4})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_EXAMPLE = "Write it as 2026-11-01T00:00:00Z or 2026-11-01."


class Period(NamedTuple):
    """[start, end), both UTC."""

    start: datetime
    end: datetime

    def whole_hours(self) -> Period:
        """The whole hours inside it; empty, at `end`, when there are none."""
        first, last = full_hour(self.start), full_hour(self.end)
        if first < self.start:
            first += HOUR
        return Period(first, last) if first < last else Period(self.end, self.end)


def moment(name: str, text: str) -> datetime:
    """The instant that `text` means, in UTC; a date is its midnight. Raises BadParameter."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise BadParameter(name, f"{text[:40]!r} is not a time. {_EXAMPLE}") from None
    if _DATE.fullmatch(text):
        parsed = parsed.replace(tzinfo=UTC)
    if parsed.tzinfo is None:
        raise BadParameter(name, f"{text[:40]!r} has no time zone; add Z for UTC. {_EXAMPLE}")
    if not _EARLIEST <= parsed < _LATEST:
        raise BadParameter(name, f"{text[:40]!r} must lie in the years 2000 to 2099. {_EXAMPLE}")
    return parsed.astimezone(UTC)


def length(name: str, text: str) -> timedelta:
    """The duration that `30m`, `24h`, `7d` or `4w` means. Raises BadParameter."""
    match = _LENGTH.fullmatch(text.strip())
    if match is None:
        raise BadParameter(name, f"{text[:40]!r} is not a length. Write it as 30m, 24h, 7d or 4w.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def period(
    start: str | None, end: str | None, *, default_length: timedelta, now: datetime
) -> Period:
    """The period of a request.

    `to` defaults to now, `from` to the full hour at least the default length before it.
    """
    last = now if end is None else moment("to", end)
    first = full_hour(last - default_length) if start is None else moment("from", start)
    if first >= last:
        raise BadParameter(
            "from",
            f"{first.isoformat()} must be before to, {last.isoformat()}; a range is half-open,"
            " so a single day goes from its midnight to the next.",
        )
    return Period(first, last)


def midnight(instant: datetime) -> datetime:
    """The start of the UTC day that holds the instant."""
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def full_hour(instant: datetime) -> datetime:
    """The start of the hour that holds the instant."""
    return instant.replace(minute=0, second=0, microsecond=0)

"""Reads an answer of the Carbon Intensity API: half-hours in, hours out.

An hour needs both of its halves. It is measured only when both are and the hour is over: the
service gives an `actual` for a half-hour that still runs, and what is kept as measured never
changes.
Shape of an answer: https://carbon-intensity.github.io/api-definitions/
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from ecomind_processor.hourly import is_plausible
from ecomind_receiver.grids.cache import Hour
from ecomind_receiver.grids.errors import FetchError
from ecomind_receiver.grids.rows import hour_of, moment_of

HALF_HOUR = timedelta(minutes=30)


class _Half(NamedTuple):
    start: datetime
    figure: Hour


def read_hours(document: Any, asked: range, now: datetime, counts: Counter[str]) -> dict[int, Hour]:
    """The whole hours of an answer that were asked for, counted from 1970.

    A half-hour that can't be believed is left out and counted. Raises FetchError for a document
    that is no answer at all.
    """
    halves: dict[int, dict[datetime, Hour]] = {}
    for item in _items(document):
        half = _half(item)
        if half is None:
            counts["refused_values"] += 1
        elif hour_of(half.start) in asked:
            halves.setdefault(hour_of(half.start), {})[half.start] = half.figure
    return {hour: _hour(hour, found, now) for hour, found in halves.items() if len(found) == 2}


def _hour(hour: int, halves: dict[datetime, Hour], now: datetime) -> Hour:
    figures = list(halves.values())
    mean = math.fsum(figure.g_per_kwh for figure in figures) / len(figures)
    is_over = moment_of(hour + 1) <= now
    return Hour(mean, any(figure.estimated for figure in figures) or not is_over)


def _items(document: Any) -> Iterator[Any]:
    items = document.get("data") if isinstance(document, dict) else None
    if not isinstance(items, list):
        raise FetchError("not_an_answer", "its answer has no list of half-hours", retryable=True)
    yield from items


def _half(item: Any) -> _Half | None:
    """A half-hour, or None if anything about it is odd."""
    try:
        start, end = _moment(item["from"]), _moment(item["to"])
        actual, forecast = (item["intensity"].get(name) for name in ("actual", "forecast"))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
    figure = forecast if actual is None else actual
    if end - start != HALF_HOUR or start.minute not in (0, 30) or start.second:
        return None
    if isinstance(figure, bool) or not isinstance(figure, (int, float)) or not is_plausible(figure):
        return None
    return _Half(start, Hour(float(figure), actual is None))


def _moment(text: str) -> datetime:
    """A moment of an answer; all are UTC, and say so."""
    moment = datetime.fromisoformat(text)
    if moment.utcoffset() != timedelta(0):
        raise ValueError
    return moment.astimezone(UTC)

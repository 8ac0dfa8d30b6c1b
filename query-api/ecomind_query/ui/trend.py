"""The trend: CO2e by day and model as a chart, its legend and its table.

Stacks put the largest series at the bottom, where lengths compare best. Colours go by name
instead, so that a model keeps its colour when another overtakes it or the range of days changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ecomind_query.models import Overview, TrendPoint
from ecomind_query.ui import charts, format

SERIES_SHOWN = 6
"""Models with a colour of their own; the rest are "other", always the seventh colour."""
OTHER = "other"
UNNAMED = {"__other__": OTHER, OTHER: OTHER, "": "not stated"}
"""Values of a dimension that stand for many names or for none."""


@dataclass(frozen=True)
class Series:
    """A stacked series; `colour` is the number of its class."""

    name: str
    colour: int


def trend_context(overview: Overview) -> dict[str, Any]:
    """What the template prints: the chart, its legend, its table (newest day first)."""
    days = list(_days(overview.now, overview.trend_days))
    series = series_of(overview.trend)
    grid = _grid(overview.trend, series)
    bars = [_bar(day, age, series, grid[day], len(days)) for age, day in _ages(days)]
    chart = charts.stacked_bars(
        bars,
        _axis(max(sum(grid[day]) for day in days)),
        [one.colour for one in series],
        id="trend",
        title=f"CO₂e by day and model, the last {len(days)} days",
        desc="Stacked columns, one a day, today until now. The table below has every figure.",
    )
    table = [(format.day(day), grid[day]) for day in reversed(days)]
    return {"trend": chart, "legend": series, "trend_table": table}


def series_of(trend: Sequence[TrendPoint]) -> list[Series]:
    """Series in the order of the stack: the largest first, "other" last and only if needed."""
    sums: dict[str, float] = defaultdict(float)
    for point in trend:
        sums[_name(point)] += point.co2e_g
    named = sorted(sums.keys() - {OTHER}, key=lambda name: (-sums[name], name))
    shown = named[:SERIES_SHOWN]
    series = [Series(name, sorted(shown).index(name)) for name in shown]
    rest = [Series(OTHER, SERIES_SHOWN)] if OTHER in sums or named[SERIES_SHOWN:] else []
    return series + rest


def _grid(trend: Sequence[TrendPoint], series: list[Series]) -> dict[datetime, list[float]]:
    """Grams by day and series; what has no series of its own adds to the last, "other"."""
    column = {one.name: index for index, one in enumerate(series)}
    grid: dict[datetime, list[float]] = defaultdict(lambda: [0.0] * len(series))
    for point in trend:
        grid[_midnight(point.start)][column.get(_name(point), len(series) - 1)] += point.co2e_g
    return grid


def _bar(
    day: datetime, age: int, series: list[Series], values: list[float], days: int
) -> charts.Bar:
    lines = [f"{one.name}\t{format.mass(v)}" for one, v in zip(series, values, strict=True) if v]
    told = f"{day:%A} {format.day(day)}" + (", until now" if age == 0 else "")
    label = format.day(day) if age else "today"
    return charts.Bar(
        values=tuple(values),
        label=label if days <= 7 or age % 5 == 0 else "",
        tip="\n".join([f"{told}\t{format.mass(sum(values))}", *reversed(lines)]),
        minor=age % 2 == 1 if days <= 7 else age % 10 == 5,
        partial=age == 0,
    )


def _axis(largest: float) -> list[charts.Tick]:
    values = charts.ticks(largest)
    labels = format.axis(values, format.MASS)
    return [charts.Tick(value, label) for value, label in zip(values, labels, strict=True)]


def _ages(days: list[datetime]) -> Iterator[tuple[int, datetime]]:
    """Each day with its age in days; the last one is today, 0."""
    return ((len(days) - 1 - index, day) for index, day in enumerate(days))


def _name(point: TrendPoint) -> str:
    return UNNAMED.get(point.series, point.series)


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _days(now: datetime, count: int) -> Iterator[datetime]:
    today = _midnight(now)
    return (today - timedelta(days=age) for age in range(count - 1, -1, -1))

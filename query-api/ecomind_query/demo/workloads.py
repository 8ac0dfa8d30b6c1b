"""Which services call which models, how much and when: the table of the history, `workloads.yaml`.

It owns the shape of the month. Requests are placed by the inverse of their cumulative activity, so
a service has exactly `requests_per_day` × days of them, whatever its rhythm, growth and weekends.
"""

from __future__ import annotations

import bisect
import datetime
import itertools
import random
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from ecomind_semconv.units import NS_PER_SECOND, SECONDS_PER_DAY, SECONDS_PER_HOUR

HOURS_PER_DAY = SECONDS_PER_DAY // SECONDS_PER_HOUR
SATURDAY = 5


@dataclass(frozen=True)
class Rhythm:
    """Relative activity by hour of the UTC day, and of a weekend day to a weekday."""

    hours: tuple[float, ...]
    weekend: float

    def at(self, moment: datetime.datetime) -> float:
        """Relative activity at a moment."""
        day = self.weekend if moment.weekday() >= SATURDAY else 1.0
        return self.hours[moment.hour] * day


@dataclass(frozen=True, kw_only=True)
class Kind:
    """One kind of call; medians in tokens and seconds, parts between 0 and 1."""

    share: float
    provider: str
    model: str
    host: str
    input: int
    seconds: float
    operation: str = "chat"
    answers_as: str = ""
    region: str = ""
    tier: str = ""
    output: int = 0
    cached: float = 0.0
    written: float = 0.0
    reasoning: float = 0.0
    steps: int = 1
    usage: bool = True


@dataclass(frozen=True, kw_only=True)
class Workload:
    """One service of one team, and the kinds of call it makes."""

    service: str
    team: str
    environment: str
    rhythm: Rhythm
    requests_per_day: int
    growth: float
    error_rate: float
    users: int
    calls: tuple[Kind, ...]

    def request_times_ns(
        self, start_ns: int, end_ns: int, days: int, rng: random.Random
    ) -> list[int]:
        """Start times of all requests, ascending, in [start_ns, end_ns): nanoseconds since 1970."""
        buckets = days * HOURS_PER_DAY
        width_ns = (end_ns - start_ns) / buckets
        activity = (self._activity(start_ns, width_ns, i, buckets) for i in range(buckets))
        cumulative = list(itertools.accumulate(activity, initial=0.0))
        places = sorted(rng.random() for _ in range(self.requests_per_day * days))
        return [
            start_ns + int(width_ns * _inverse(cumulative, place * cumulative[-1]))
            for place in places
        ]

    def _activity(self, start_ns: int, width_ns: float, bucket: int, buckets: int) -> float:
        middle_seconds = (start_ns + (bucket + 0.5) * width_ns) / NS_PER_SECOND
        moment = datetime.datetime.fromtimestamp(middle_seconds, datetime.UTC)
        return self.rhythm.at(moment) * (1 + (self.growth - 1) * bucket / buckets)


def _inverse(cumulative: list[float], value: float) -> float:
    """Where a rising curve reaches `value`, in buckets, straight between its points."""
    bucket = bisect.bisect_right(cumulative, value) - 1
    return bucket + (value - cumulative[bucket]) / (cumulative[bucket + 1] - cumulative[bucket])


def load() -> tuple[Workload, ...]:
    """The workloads of `workloads.yaml`; an unknown key raises TypeError."""
    text = resources.files(__package__).joinpath("workloads.yaml").read_text("utf-8")
    table = yaml.safe_load(text)
    rhythms = {
        name: Rhythm(tuple(rhythm["hours"]), rhythm["weekend"])
        for name, rhythm in table["rhythms"].items()
    }
    return tuple(_workload(row, rhythms) for row in table["services"])


def _workload(row: dict[str, Any], rhythms: dict[str, Rhythm]) -> Workload:
    calls = tuple(Kind(**kind) for kind in row["calls"])
    return Workload(**row | {"rhythm": rhythms[row["rhythm"]], "calls": calls})

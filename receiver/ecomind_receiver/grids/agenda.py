"""Which hours a service is asked for next: what somebody wanted, and the hours around now.

The newest come first, because calls come from now and figures of last year can wait. What a service
does not know, or refuses, is left alone for a while. All of it lies within the hours that a cache
keeps, so it can't grow beyond them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

from ecomind_receiver.grids.cache import HOURS_MAX, HourCache
from ecomind_receiver.grids.rows import hour_of

RECENT_HOURS, COMING_HOURS = 24, 6
"""Around now, asked for whether anybody wants them or not."""

GAP_HOURS = 24
"""Hours further apart than this are asked for by requests of their own."""

LEAVE_ALONE = timedelta(hours=1)


class Agenda:
    """Hours of one cache that are open: unknown, or not measured yet. Hours count from 1970."""

    def __init__(self, cache: HourCache) -> None:
        self._cache = cache
        self._wanted: set[int] = set()
        self._guard = threading.Lock()  # of what is wanted
        self._not_before: dict[int, datetime] = {}

    def want(self, hour: int, now: datetime) -> bool:
        """Note an hour that somebody asks for; whether that was news. For any thread."""
        with self._guard:
            if hour in self._wanted or hour not in _window(now) or not self._is_open(hour):
                return False
            self._wanted.add(hour)
        return True

    def due(self, now: datetime, hours_max: int) -> list[range]:
        """The hours of each request to make now, `hours_max` at most; the newest come first."""
        window, hour = _window(now), hour_of(now)
        recent = range(hour - RECENT_HOURS, hour + COMING_HOURS)
        with self._guard:
            self._wanted = {h for h in self._wanted if h in window and self._is_open(h)}
            open_ = self._wanted.union(filter(self._is_open, recent))
        self._not_before = {h: at for h, at in self._not_before.items() if at > now}
        return _ranges(sorted(open_ - self._not_before.keys()), hours_max)

    def answered(self, asked: range, now: datetime) -> None:
        """The service has told what it knows of these hours, which the cache holds now."""
        old = range(asked.start, min(asked.stop, hour_of(now) - RECENT_HOURS))
        self.leave(filter(self._is_open, old), now)

    def leave(self, hours: Iterable[int], now: datetime) -> None:
        """Let these hours be for a while."""
        self._not_before |= dict.fromkeys(hours, now + LEAVE_ALONE)

    def _is_open(self, hour: int) -> bool:
        found = self._cache.get(hour)
        return found is None or found.estimated


def _window(now: datetime) -> range:
    """Hours that a cache keeps."""
    end = hour_of(now) + COMING_HOURS
    return range(end - HOURS_MAX, end)


def _ranges(hours: Iterable[int], hours_max: int) -> list[range]:
    ranges: list[range] = []
    for hour in hours:
        last = ranges[-1] if ranges else range(0)
        if last and hour - last.stop < GAP_HOURS and hour - last.start < hours_max:
            ranges[-1] = range(last.start, hour + 1)
        else:
            ranges.append(range(hour, hour + 1))
    return ranges[::-1]

"""How fast the loader empties the spool, and when there will be room for who must wait.

A time to retry after is worked out from what is known and not a constant: too short a one brings
everybody back to be refused again, too long a one leaves an idle loader and full exporters. Room
comes a segment at a time, oldest first, so the answer is when enough of them will be gone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_HALF_LIFE_SECONDS = 10.0
"""Of what was measured; a store that has become slower is believed soon."""

MIN_WAIT_SECONDS, MAX_WAIT_SECONDS = 1.0, 60.0
"""What a client is told, whatever is worked out: an exporter holds on to little for longer."""

UNKNOWN_WAIT_SECONDS = 5.0
"""Before anything was measured."""


class Draining:
    """The measured speed of the loader, over the time in which it had something to do.

    Safe to use from several threads. Times are those of a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guard = threading.Lock()
        self._bytes = self._seconds = 0.0
        self._busy_since: float | None = None  # or since the last segment was stored
        self._next_try: float | None = None

    def began(self) -> None:
        """There is something to load."""
        with self._guard:
            if self._busy_since is None:
                self._busy_since = self._clock()

    def loaded(self, size_bytes: int, still_busy: bool) -> None:
        """A segment of this size is stored; whether more waits."""
        with self._guard:
            now = self._clock()
            seconds = max(now - (now if self._busy_since is None else self._busy_since), 0.0)
            weight = 0.5 ** (seconds / _HALF_LIFE_SECONDS)
            self._bytes = self._bytes * weight + size_bytes
            self._seconds = self._seconds * weight + seconds
            self._busy_since = now if still_busy else None
            self._next_try = None

    def postponed(self, seconds: float) -> None:
        """A segment could not be stored and is tried again in so many seconds."""
        with self._guard:
            self._next_try = self._clock() + seconds

    def wait_seconds(self, size_bytes: int) -> float:
        """Seconds until so many bytes, counted from the oldest that waits, will be stored.

        While the store takes nothing, until it is tried again.
        """
        with self._guard:
            now = self._clock()
            if self._next_try is not None:
                return _bounded(self._next_try - now)
            if not self._bytes:
                return UNKNOWN_WAIT_SECONDS
            waited = 0.0 if self._busy_since is None else now - self._busy_since
            due = size_bytes * self._seconds / self._bytes - waited
            if due < 0:  # what is loaded now takes longer than it should: so will the rest
                due = size_bytes * (self._seconds + waited) / self._bytes - waited
            return _bounded(due)


def _bounded(seconds: float) -> float:
    return min(max(seconds, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS)

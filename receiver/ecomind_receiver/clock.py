"""When something was received, by a clock that may be set while we run.

A window that is closed takes nothing more: what came into it later would never be looked at, and
a re-send in it would count twice. So nothing is dated before the end of the last closed window,
however far the clock is set back. A jump is told of, because figures wait until the clock is there
again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger("ecomind.clock")

_JUMP_NS = 2_000_000_000
"""Clocks that are slewed differ by less between two looks."""


class Clock:
    """The wall clock, never before what `closed_until_ns` gives (ns since 1970)."""

    def __init__(self, closed_until_ns: Callable[[], int]) -> None:
        self.jumps = 0
        self.last_jump_seconds = 0.0
        self._closed_until_ns = closed_until_ns
        self._offset_ns = _offset_ns()

    def received_ns(self) -> int:
        """The date of what is received now, in ns since 1970."""
        self.look()
        return max(time.time_ns(), self._closed_until_ns())

    def behind_seconds(self) -> float:
        """How far the clock is before what is closed; 0 as a rule."""
        return max(self._closed_until_ns() - time.time_ns(), 0) / 1e9

    def look(self) -> None:
        """Notice whether the clock was set since the last look."""
        offset_ns = _offset_ns()
        jumped_ns = offset_ns - self._offset_ns
        self._offset_ns = offset_ns
        if abs(jumped_ns) > _JUMP_NS:
            self.jumps += 1
            self.last_jump_seconds = jumped_ns / 1e9
            log.warning("the clock was set", extra={"seconds": round(jumped_ns / 1e9, 3)})


def _offset_ns() -> int:
    """Wall clock minus time since the machine was switched on, sleep included."""
    return time.time_ns() - time.clock_gettime_ns(time.CLOCK_BOOTTIME)

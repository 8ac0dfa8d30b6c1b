"""Where a process may be ended: between any two steps of the spool, the loader and what closes.

Hooks are put around the product's methods from outside, in a process that is there to be ended.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any, NamedTuple

from ecomind_receiver import durable, loader, plan, segment
from ecomind_receiver.closing import Closer
from ecomind_receiver.pipeline import Pipeline
from ecomind_receiver.reconcile import Reconciler
from ecomind_receiver.spool import Spool, _OpenSegment
from ecomind_receiver.store import Store


class Point(NamedTuple):
    """The moment before or after the nth call of a function of `owner`."""

    owner: Any
    function: str
    before: bool = False
    most: int = 3  # the nth is drawn up to this


SPOOL = {
    "segment made": Point(_OpenSegment, "__init__", most=4),
    "chunk written, not synced": Point(os, "fdatasync", before=True, most=12),
    "chunk synced": Point(_OpenSegment, "write", most=12),
    "segment sealed": Point(_OpenSegment, "close", most=4),
    "segment handed over": Point(Spool, "_hand_over", most=4),
}
LOADER = {
    "segment read": Point(segment, "read_segment"),
    "decoded": Point(Pipeline, "_decode"),
    "lent": Point(Pipeline, "_lend"),
    "capped": Point(Pipeline, "_cap"),
    "plan drafted": Point(durable, "sync_directory", before=True),
    "plan written": Point(plan, "write"),
    "resolved": Point(Pipeline, "_resolve"),
    "losers marked": Point(Pipeline, "_mark_losers"),
    "stored": Point(Pipeline, "_load"),
    "outcomes recorded": Point(Pipeline, "_record_outcomes"),
    "tables emptied": Point(Pipeline, "load"),
    "key zeroed": Point(segment, "shred", before=True),
    "segment destroyed": Point(segment, "shred"),
    "counted": Point(loader.Loader, "_count"),
    "any statement": Point(Store, "command", most=90),
    "any insert": Point(Store, "insert", most=20),
}
RECONCILE = {
    "window's calls weighed": Point(Reconciler, "_spend_look_back", most=1),
    "corrections written down": Point(Reconciler, "_decide", most=1),
    "corrected": Point(Reconciler, "_correct", most=1),
    "window closed": Point(Reconciler, "_close", most=1),
    "day closed": Point(Closer, "_close", most=2),
    "closed days looked up": Point(Closer, "_due", most=1),
    "days marked as closed": Point(Closer, "_mark_closed", most=2),
    "rows of a day counted": Point(Closer, "_fresh", most=2),
    "any statement": Point(Store, "command", most=40),
    "any insert": Point(Store, "insert", most=8),
}


def end_at(point: Point, nth: int) -> None:
    """Have this process end itself (SIGKILL) at the nth time that the point is reached."""
    original: Callable[..., Any] = getattr(point.owner, point.function)
    calls = 0

    def hooked(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        due = calls >= nth
        if due and point.before:
            _end()
        result = original(*args, **kwargs)
        if due:
            _end()
        return result

    setattr(point.owner, point.function, hooked)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)

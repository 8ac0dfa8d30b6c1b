"""The reconcile job: closes one window after another and cancels what was counted twice.

A segment sees only itself; a client that re-sends after a lost ack, or the twin of a double
instrumentation, may arrive in the next one. A window is closed once it is over and everything
received in it is stored. Totals up to `until` are final; what comes after is provisional.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime

from ecomind_receiver.pipeline import RICHNESS
from ecomind_receiver.settings import Settings
from ecomind_receiver.spool import Spool
from ecomind_receiver.store import Store, describe, render

log = logging.getLogger("ecomind.reconcile")

_GRACE_SECONDS = 5
_NS_PER_S = 1_000_000_000


class Reconciler:
    """One thread that closes windows as they end."""

    def __init__(self, settings: Settings, store: Store, spool: Spool) -> None:
        self.corrections = 0
        self.error = ""
        self.until: datetime | None = None
        self._window = settings.reconcile_window_seconds
        self._store = store
        self._spool = spool
        self._closing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after the current window."""
        self._stopping.set()
        self._thread.join()

    def close_windows(self, now: float | None = None) -> int:
        """Close every window that has ended at `now` (seconds since 1970); how many were closed.

        One caller at a time: two that close the same window would each cancel its losers.
        """
        with self._closing:
            return self._close_ended(now)

    def _close_ended(self, now: float | None) -> int:
        stored_until = self._spool.oldest_ns() / _NS_PER_S if now is None else now
        limit = min(time.time() if now is None else now, stored_until) - _GRACE_SECONDS
        closed = 0
        while (start := self._next_start()) is not None and start + self._window <= limit:
            if self._stopping.is_set():
                break
            self._close(start, start + self._window)
            closed += 1
        return closed

    def _run(self) -> None:
        while not self._stopping.wait(min(self._window / 10, 10.0)):
            try:
                self.close_windows()
                self.error = ""
            except Exception as error:
                self.error = f"reconcile failed and will be tried again: {describe(error)}"
                log.error("reconcile failed", extra={"error": self.error})

    def _next_start(self) -> int | None:
        """Start of the first window, not closed yet, that holds calls; None if there is none."""
        done = self._store.query("SELECT toUnixTimestamp(max(window_end)) AS done FROM reconciled")[
            0
        ]["done"]
        if done:
            self.until = datetime.fromtimestamp(done, UTC)
        first = self._store.query(
            "SELECT toUnixTimestamp(min(received_at)) AS first, count() AS n FROM calls"
            " WHERE received_at >= toDateTime({done:UInt32}, 'UTC')",
            {"done": done},
        )[0]
        return int(first["first"]) // self._window * self._window if first["n"] else None

    def _close(self, start: int, end: int) -> None:
        times = {"from": f"toDateTime({start}, 'UTC')", "to": f"toDateTime({end}, 'UTC')"}
        before = self._negative_rows(times)
        self._store.command(
            render("reconcile.sql", richness=RICHNESS, look_back=self._window, **times)
        )
        corrections = self._negative_rows(times) - before
        self._store.insert("reconciled", ["window_end", "corrections"], [[end, corrections]])
        self.corrections += corrections
        self.until = datetime.fromtimestamp(end, UTC)

    def _negative_rows(self, times: dict[str, str]) -> int:
        sql = (
            f"SELECT count() AS n FROM calls WHERE sign = -1 AND received_at < {times['to']}"
            f" AND received_at >= {times['from']} - {self._window}"
        )
        return int(self._store.query(sql)[0]["n"])

"""The reconcile job: closes one window after another and corrects what only several segments show.

A segment sees only itself; a client that re-sends after a lost ack, or the twin of a double
instrumentation, may arrive in the next one, and so may the span that knows what a call lacks. A
window is closed once it is over and everything received in it is stored. Totals up to `until` are
final; what comes after is provisional. The corrections of a window are durable before any is made,
so that a crash at any point is made good.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime

from ecomind_processor.footprint import Coefficients
from ecomind_receiver.batch import Buffer
from ecomind_receiver.catalogue import COEFFICIENT_NUMBERS, NULLABLE_NUMBERS, Catalogue, ids
from ecomind_receiver.connections import Connections
from ecomind_receiver.counting import VERSION, lend, mark_losers
from ecomind_receiver.decode import literal
from ecomind_receiver.receivers import Receivers
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store, describe, render
from ecomind_semconv.usage import USAGE_ON_ITS_OWN_SPAN

log = logging.getLogger("ecomind.reconcile")

_GRACE_SECONDS = 5
_NS_PER_S = 1_000_000_000
_ROWS_PER_BUCKET = 4_000_000
_TABLES = ("suspects", "staging", "changed", "losers", "keys")
LENT = (
    "provider", "request_model", "response_model", "reasoning_tokens", "usage_states",
    "usage_quality",
)  # fmt: skip
"""Columns that a call may have from the span above it."""


class Reconciler:
    """One thread that closes windows as they end."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        spool: Buffer,
        catalogue: Catalogue,
        receivers: Receivers,
    ) -> None:
        self.corrections = 0
        self.error = ""
        self.until: datetime | None = None
        self._window = settings.reconcile_window_seconds
        self._resent_look_back = max(settings.resent_look_back_hours * 3600, self._window)
        self._store = store
        self._catalogue = catalogue
        self._receivers = receivers
        self._tables = {name: f"reconcile_{name}{receivers.name}" for name in _TABLES}
        described = store.query("DESCRIBE TABLE calls")
        self._columns = [row["name"] for row in described]
        self._nothing = [
            f"defaultValueOfTypeName({literal(row['type'])}) AS {row['name']}" for row in described
        ]
        self._spool = spool
        self._closing = threading.Lock()
        self._finished = False
        self._stopping = threading.Event()
        self._next_start()  # until when all is closed is known from the beginning
        self._thread = threading.Thread(target=self._run, name="reconcile", daemon=True)
        self._thread.start()

    def closed_until_ns(self) -> int:
        """The end of the last closed window, in ns since 1970; 0 if there is none."""
        return int(self.until.timestamp()) * _NS_PER_S if self.until else 0

    def stop(self) -> None:
        """End after the current window."""
        self._stopping.set()
        self._thread.join()

    def close_windows(self, now: float | None = None) -> int:
        """Close every window that has ended at `now` (seconds since 1970); how many were closed.

        One caller at a time in this process. Where several receivers share a store one of them
        does it; should two, the token of what is written down decides whose it is.
        """
        with self._closing, self._store.gate.writing():
            return self._close_ended(now)

    def settle(self) -> None:
        """Correct what was received so far, its window not being over; the window is closed later.

        For whoever fed a file and wants its figures: everything must be stored before.
        """
        with self._closing, self._store.gate.writing():
            self._close_ended(time.time())
            start, end = self._next_start(), int(time.time()) + 1
            while end % self._window == 0 or self._count("corrections", f"window_end = {_at(end)}"):
                end += 1  # a window's end names its corrections
            if start is not None:
                self._correct_window(start, end)

    def _close_ended(self, now: float | None) -> int:
        own_ns = self._spool.oldest_ns()
        stored_until = self._receivers.stored_until(own_ns) / _NS_PER_S if now is None else now
        limit = min(time.time() if now is None else now, stored_until) - _GRACE_SECONDS
        closed = 0
        if now is None and not self._receivers.leads:
            self._next_start()  # what another one has closed
            return closed
        if not self._finished:
            self._finish()
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
        """Decide what the window counted twice, write it down, and correct it.

        Each step may have been done already by a process that stopped before the next one.
        """
        corrections = self._correct_window(start, end)
        self._store.insert("reconciled", ["window_end", "corrections"], [[end, corrections]])
        self.until = datetime.fromtimestamp(end, UTC)

    def _correct_window(self, start: int, end: int) -> int:
        window = self._window_of(start, end)
        self._finished = False
        if not self._count("corrections", f"window_end = {window['to']}"):
            node = self._store.node(str(window["token"]))
            self._decide(node, window | {"spend_look_back": self._spend_look_back(start, end)})
        self._correct(window)
        corrections = self._count("corrections", f"window_end = {window['to']} AND sign = -1")
        self.corrections += corrections
        self._finished = True
        return corrections

    def _finish(self) -> None:
        """Make the corrections that a process which stopped had only written down."""
        left = self._store.query(
            "SELECT DISTINCT toUnixTimestamp(window_end) AS end FROM corrections"
            " WHERE window_end > (SELECT max(window_end) FROM reconciled) ORDER BY end"
        )
        for found in left:
            self._correct(self._window_of(int(found["end"]) - self._window, int(found["end"])))
        self._finished = True

    def _spend_look_back(self, start: int, end: int) -> int:
        """Seconds before `end` in which invoice lines of the window may have come before.

        One may be imported again as long as the first is kept. 0: the window holds none.
        """
        paid = f"received_at >= {_at(start)} AND received_at < {_at(end)} AND spend_microusd != 0"
        if not self._count("calls", paid):
            return 0
        first = self._store.query(
            "SELECT toUnixTimestamp(min(received_at)) AS first FROM calls"
            f" WHERE received_at < {_at(end)} AND spend_microusd != 0"
            f" AND (org_id, trace_hash) IN (SELECT org_id, trace_hash FROM calls WHERE {paid})"
        )[0]["first"]
        return end - int(first)

    def _window_of(self, start: int, end: int) -> dict[str, object]:
        return {
            "from": _at(start),
            "to": _at(end),
            "look_back": self._window,
            "resent_look_back": self._resent_look_back,
            "token": f"reconcile-{end}",
            "columns": self._columns,
            "nothing": self._nothing,
            "lent": LENT,
            "version": ", ".join(VERSION),
            "apart_scopes": USAGE_ON_ITS_OWN_SPAN,
            **self._tables,
        }

    def _decide(self, node: Connections, window: dict[str, object]) -> None:
        """Write down what is to be corrected. What it is found with lies where it is written."""
        tables = render(
            "reconcile_tables.sql",
            coefficient_numbers=COEFFICIENT_NUMBERS,
            nullable_numbers=NULLABLE_NUMBERS,
            **self._tables,
        )
        self._drop_tables(node)  # those of a process that was killed
        for statement in tables.split(";"):
            node.command(statement)
        try:
            rows = self._count(
                "calls", f"received_at >= {window['from']} AND received_at < {window['to']}"
            )
            buckets = rows // _ROWS_PER_BUCKET + 1
            for bucket in range(buckets):
                node.command(render("suspects.sql", buckets=buckets, bucket=bucket, **window))
            node.command(render("candidates.sql", **window))
            mark_losers(node, self._tables, "settled DESC,")
            self._lend(node)
            columns = ["window_end", *self._columns]
            decided = render("corrections.sql", **window)
            self._store.add_first("corrections", columns, decided, str(window["token"]))
        finally:
            self._drop_tables(node)

    def _drop_tables(self, node: Connections) -> None:
        for table in self._tables.values():
            node.command(f"DROP TABLE IF EXISTS {table}")

    def _lend(self, node: Connections) -> None:
        """Mark calls that lack what a span stored apart from them knows, to be replaced."""
        terms, by_hour = self._catalogue.terms(), self._catalogue.by_hour
        if lend(node, self._tables, ids(terms), by_hour):
            node.command(render("lent_apart.sql", **self._tables))
            known: dict[int, Coefficients] = {}
            self._catalogue.resolve_keys(
                node,
                f"(SELECT * FROM {self._tables['changed']} WHERE row IN"
                f" (SELECT row FROM {self._tables['losers']} WHERE verdict = 'lent'))",
                known,
                terms,
                by_hour,
            )
            self._catalogue.fill(node, self._tables["keys"], known)

    def _correct(self, window: dict[str, object]) -> None:
        months = self._store.query(
            "SELECT DISTINCT toYYYYMM(start_time, 'UTC') AS month FROM corrections"
            f" WHERE window_end = {window['to']} AND sign != 0 ORDER BY month"
        )
        for found in months:
            month = int(found["month"])
            rows = render("reconcile.sql", month=month, **window)
            self._store.add_first("calls", self._columns, rows, f"{window['token']}-{month}")

    def _count(self, table: str, condition: str) -> int:
        sql = f"SELECT count() AS n FROM {table} WHERE {condition}"
        return int(self._store.query(sql)[0]["n"])


def _at(seconds: int) -> str:
    return f"toDateTime({seconds}, 'UTC')"

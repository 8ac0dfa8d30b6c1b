"""The daily close: a day that is over becomes canonical rows of integers with a digest.

A day closes two days after its end, once everything received of it is reconciled. What comes later
opens a new generation, which holds the difference only; nothing that was closed is ever changed.
The digest is over integers and addresses of coefficients, never over a float sum, so it is the same
on any number of threads. Each step may be done again after a crash: rows are written under a token
that the closes so far decide, and a close is only recorded for rows that are durable.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from ecomind_processor.ledger import line, root
from ecomind_receiver.store import Store, describe, render

log = logging.getLogger("ecomind.closing")

DAY = timedelta(days=1)
CLOSES_AFTER = timedelta(days=2)
"""How long after its end a day is closed."""

_FIRST_WAIT_SECONDS, _WAIT_SECONDS = 5.0, 600.0
_LATE_SLACK = timedelta(hours=1)
"""Calls received this long before a close may have been reconciled after it."""

KEYS = (
    "project_id", "team", "service", "environment", "provider", "request_model", "response_model",
    "place", "operation", "service_tier", "usage_quality", "hour", "coef_id",
)  # fmt: skip
"""What tells the rows of a day apart."""

SUMS = (
    "calls", "adjusted_calls_milli", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "uncached_tokens", "input_tokens_over_8k",
    "input_tokens_over_32k", "input_tokens_over_128k", "measured_energy_mj", "images", "audio_ms",
    "video_ms", "generation_us", "generation_us_high", "duration_ms", "spend_microusd",
)  # fmt: skip
"""The integers of a row; a new one is the last."""
LATER = ("spend_microusd",)
"""Those that came after days were closed without them: a line ends before them where they are 0."""

_CLOSE_COLUMNS = ["org_id", "day", "generation", "closed_at", "rows", "calls", "root"]


class Closer:
    """One thread that closes days as they come due."""

    def __init__(self, store: Store, leads: Callable[[], bool] = lambda: True) -> None:
        """`leads`: whether this process closes days, of those that share the store."""
        self.error = ""
        self.until: date | None = None
        """The first day that is not closed yet; None while none is."""
        self._store = store
        self._leads = leads
        self._looked_at: dict[date, datetime] = {}
        # The days of all calls received before this were looked at; None before the first look.
        self._late_since: datetime | None = None
        self._closing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="closing", daemon=True)

    def start(self) -> None:
        """Begin to close days as they come due; without it only `close_days` does."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current day. May be called without `start`."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def close_days(self, now: datetime | None = None, threads: int = 1) -> int:
        """Close every day that is due at `now`, and days that had late calls; how many changed."""
        with self._closing, self._store.gate.writing():
            at, changed = now or datetime.now(UTC), 0
            due, over_before = self._due(at)
            for day in due:
                if self._stopping.is_set():
                    return changed
                changed += self._close(day, at, threads)
                self._mark_closed(day + DAY, at)
            self._mark_closed(over_before, at)
            for day in self._late(at):
                if self._stopping.is_set():
                    break
                changed += self._close(day, at, threads)
            return changed

    def _run(self) -> None:
        wait_seconds = _FIRST_WAIT_SECONDS
        while not self._stopping.wait(wait_seconds):
            wait_seconds = _WAIT_SECONDS
            try:
                if self._leads():
                    self.close_days()
                self.error = ""
            except Exception as error:
                self.error = f"closing a day failed and will be tried again: {describe(error)}"
                log.error("close failed", extra={"error": self.error})

    def _due(self, now: datetime) -> tuple[list[date], date]:
        """Days with usage that are to be closed, oldest first, and before which day all are."""
        found = self._one("SELECT max(day) AS last, count() AS n FROM closed_days")
        rows = self._store.query(
            "SELECT DISTINCT toDate(hour, 'UTC') AS day FROM usage_hourly"
            " WHERE hour >= {after:DateTime('UTC')} ORDER BY day",
            {"after": _end(found["last"]) if found["n"] else datetime.fromtimestamp(0, UTC)},
        )
        used, over_before = [row["day"] for row in rows], (now - CLOSES_AFTER).date()
        if found["n"]:
            self.until = found["last"] + DAY
        elif used:
            self.until = used[0]
        waiting = self._waiting()
        for place, day in enumerate(used):
            if day >= over_before or _end(day) > waiting:
                return used[:place], min(day, over_before)
        return used, over_before

    def _mark_closed(self, before: date, now: datetime) -> None:
        """Note that every day before this one is closed, those without usage too."""
        if self.until is not None and self.until < before:
            days = range((before - self.until).days)
            rows: list[list[object]] = [[self.until + n * DAY, now] for n in days]
            self._store.insert("closed_days", ["day", "closed_at"], rows)
            self.until = before

    def _late(self, now: datetime) -> list[date]:
        """Closed days of which calls were received since they were closed."""
        if self.until is None:
            return []
        since = self._late_since
        if since is None:
            since = _utc(self._one("SELECT min(closed_at) AS at FROM closed_days")["at"])
        rows = self._store.query(
            "SELECT toDate(start_time, 'UTC') AS day, max(received_at) AS last FROM calls"
            " WHERE received_at >= {since:DateTime('UTC')}"
            " AND toDate(start_time, 'UTC') IN (SELECT day FROM closed_days)"
            " GROUP BY day ORDER BY day",
            {"since": since - _LATE_SLACK},
        )
        seen, waiting = self._looked_at, self._waiting()
        late = [r["day"] for r in rows if r["day"] not in seen or _utc(r["last"]) > seen[r["day"]]]
        due = [day for day in late if _end(day) <= waiting]
        if due == late:  # else those that still wait are looked for again
            self._late_since = now
        return due

    def _waiting(self) -> datetime:
        """When the earliest call that still waits for its window began; none waits: for ever."""
        found = self._one(
            "SELECT min(start_time) AS first, count() AS n FROM calls"
            " WHERE received_at >= (SELECT max(window_end) FROM reconciled)"
        )
        return _utc(found["first"]) if found["n"] else datetime.max.replace(tzinfo=UTC)

    def _close(self, day: date, now: datetime, threads: int) -> bool:
        """Write the day's next generation, if there is anything new; whether there was."""
        closes = self._one(
            "SELECT count() AS n, sum(generation) AS generations FROM day_closes"
            " WHERE day = {day:Date}",
            {"day": day},
        )
        token = f"close-{day}-{closes['n']}-{closes['generations']}"
        fresh = render("close.sql", day=f"toDate('{day}')", keys=KEYS, sums=SUMS, threads=threads)
        columns = ["org_id", "day", "generation", *KEYS, *SUMS]
        self._store.add("closed_usage", columns, fresh, token)
        rows = [
            [row["org_id"], day, row["generation"], now, *digest(self._store, row["org_id"], day)]
            for row in self._fresh(day)
        ]
        if rows:
            self._store.insert("day_closes", _CLOSE_COLUMNS, rows, token)
        self._looked_at[day] = now - _LATE_SLACK
        return bool(rows)

    def _fresh(self, day: date) -> list[dict[str, Any]]:
        """Organisations with rows that no close vouches for, and the generation of those."""
        return self._store.query(
            "SELECT org_id, max(generation) AS generation FROM closed_usage AS c"
            " WHERE day = {day:Date} GROUP BY org_id HAVING (org_id, generation) NOT IN"
            " (SELECT org_id, generation FROM day_closes WHERE day = {day:Date}) ORDER BY org_id",
            {"day": day},
        )

    def _one(self, sql: str, params: dict[str, object] | None = None) -> dict[str, Any]:
        return self._store.query(sql, params)[0]


def digest(store: Store, org_id: str, day: date, threads: int = 1) -> tuple[int, int, str]:
    """Rows, calls and root of an organisation's day, worked out from its closed rows."""
    sums = ", ".join(f"sum(c.{name}) AS {name}" for name in SUMS)
    whole = " OR ".join(f"{name} != 0" for name in SUMS)
    rows = store.query(
        f"SELECT {', '.join(KEYS)}, {sums} FROM closed_usage AS c"
        " WHERE org_id = {org:String} AND day = {day:Date}"
        f" GROUP BY {', '.join(KEYS)} HAVING {whole}"
        f" SETTINGS max_threads = {threads:d}",
        {"org": org_id, "day": day},
    )
    return len(rows), sum(row["calls"] for row in rows), root(canonical(org_id, day, rows))


def canonical(org_id: str, day: date, rows: list[dict[str, Any]]) -> Iterator[bytes]:
    """The lines of a day: organisation, day, keys, then the integers.

    Of `LATER`, zeros at the end are left out, so that a day from before them keeps its digest.
    """
    for row in rows:
        hour = row["hour"].strftime("%Y-%m-%dT%H:00:00Z")
        keys = [row[name] for name in KEYS[:-2]]
        numbers = [int(row[name]) for name in SUMS]
        while len(numbers) > len(SUMS) - len(LATER) and not numbers[-1]:
            numbers.pop()
        yield line([org_id, day.isoformat(), *keys, hour, f"{row['coef_id']:016x}", *numbers])


def _end(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY


def _utc(moment: datetime) -> datetime:
    """What the engine answers, which is UTC, as an instant."""
    return moment.replace(tzinfo=UTC)

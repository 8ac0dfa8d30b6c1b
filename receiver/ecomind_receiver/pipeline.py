"""From one sealed segment to rows: a fixed sequence of engine statements, exactly once.

Python touches names, never spans: it resolves each distinct (provider, model, place, tier, day or
hour) once and leaves the arithmetic to the engine. The token of every insert is the segment's id,
which is random and never used for other content, so that a replay stores nothing twice.

A segment that the engine can't decode is searched for the records at fault. A record is poison if
it alone fails while an empty one passes; it goes to quarantine, encrypted, and the rest is loaded.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar

from ecomind_receiver import plan, quarantine, segment
from ecomind_receiver.batch import Batch
from ecomind_receiver.cardinality import COLUMNS, OTHER, Cardinality
from ecomind_receiver.catalogue import COEFFICIENT_NUMBERS, NULLABLE_NUMBERS, Catalogue, ids
from ecomind_receiver.counting import lend, mark_losers
from ecomind_receiver.decode import decode_sql, probe_sql
from ecomind_receiver.feed import Sink, feed
from ecomind_receiver.frame import read_record
from ecomind_receiver.kinds import Kind
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store, StoreError, describe, render

log = logging.getLogger("ecomind.loader")
T = TypeVar("T")

_OUTCOME_COLUMNS = ["received_at", "segment_id", "org_id", "project_id", "outcome", "spans"]
CALL_COLUMNS = (
    "org_id", "project_id", "team", "service", "environment", "provider", "request_model",
    "response_model", "place", "operation", "service_tier", "scope", "signal", "start_time",
    "duration_us", "time_to_first_us", "trace_hash", "span_id", "parent_span_id", "response_hash",
    "user_hash", "session_hash", "input_tokens", "cache_read_tokens", "cache_write_tokens",
    "output_tokens", "reasoning_tokens", "lent_reasoning", "measured_energy_mj", "images",
    "audio_ms", "video_ms", "spend_microusd", "usage_quality", "usage_states",
    "adjusted_calls_milli", "counted", "reason", "sign", "coef_id", "generation_us",
    "generation_us_high", "energy_wh", "co2e_g", "water_ml", "received_at", "segment_id",
    "retention_class",
)  # fmt: skip
"""Columns of `calls` in the order of load.sql."""

_RECENT_COLUMNS = (
    "received_at", "segment_id", "org_id", "project_id", "trace_id", "span_id", "service", "scope",
    "model", "outcome", "reason",
)  # fmt: skip
_TABLES = ("staging", "changed", "losers", "keys", "caps")
_EMPTY_RECORD = b"\x00"


@dataclass
class Job:
    """One segment on its way through the steps."""

    batch: Batch
    plan: plan.Plan
    contents: segment.Contents = segment.UNREAD
    damaged: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def segment_id(self) -> int:
        """The number under which it is stored."""
        return self.contents.segment_id

    @property
    def terms(self) -> dict[str, int]:
        """What tells the keys of organisations with terms of their own from all others."""
        return ids(self.plan.terms or {})


class Pipeline:
    """The tables and the memory of one loader thread."""

    def __init__(
        self,
        number: int,
        settings: Settings,
        store: Store,
        spool_key: bytes,
        catalogue: Catalogue,
        cardinality: Cardinality,
    ) -> None:
        self._settings = settings
        self._store = store
        self._engine = store.engine
        self._spool_key = spool_key
        self._catalogue = catalogue
        self._cardinality = cardinality
        self._tables = {name: f"{name}_{number}" for name in _TABLES}
        self._has_tables = False
        self._steps: tuple[Callable[[Job], None], ...] = (
            self._lend,
            self._cap,
            self._resolve,
            self._mark_losers,
            self._load,
            self._record_outcomes,
        )

    def load(self, item: Batch) -> Job:
        """Store one segment. Raises on any trouble; the same segment may then be loaded again."""
        decided = item.read_plan()
        if decided.terms is None:
            decided.terms = dict(self._catalogue.terms())
            decided.by_hour = self._catalogue.by_hour
        job = Job(item, decided)
        if not self._has_tables:
            self._make_tables()
        self._decode(job)
        for number, damaged in enumerate(job.contents.damaged):
            self._quarantine(job, f"damaged-{number}", damaged.raw, damaged.reason)
        job.damaged = [
            {"org_id": d.org_id, "project_id": d.project_id, "received_at": item.written_at(),
             "outcome": "quarantined", "spans": d.spans}
            for d in job.contents.damaged if d.spans
        ]  # fmt: skip
        if job.contents.spans:
            for step in self._steps:
                step(job)
            self._empty_tables()
        return job

    def rest(self) -> None:
        """Have the engine give back what it keeps of freed memory, since nothing waits."""
        with contextlib.suppress(Exception):  # else it keeps it, which costs nobody a span
            self._engine.command("SYSTEM JEMALLOC PURGE")

    def _decode(self, job: Job) -> None:
        """Fill staging, and learn what the segment holds."""
        if not job.plan.poison:
            job.contents, failure = self._fill_staging(job, job.batch.read)
            if failure is None:
                return
            self._find_poison(job, describe(failure))
        self._keep_out(job)

    def _fill_staging(self, job: Job, write: Callable[[Sink], T]) -> tuple[T, Exception | None]:
        self._empty_tables()
        return self._read(job, write, functools.partial(self._decode_sql, job))

    def _decode_sql(self, job: Job, path: str, kind: Kind) -> str:
        return decode_sql(
            path,
            self._tables["staging"],
            kind,
            retention_days=self._settings.retention_days,
            terms=job.terms,
            by_hour=job.plan.by_hour,
        )

    def _read(
        self, job: Job, write: Callable[[Sink], T], sql: Callable[[str, Kind], str]
    ) -> tuple[T, Exception | None]:
        """Have the engine read what `write` gives, once for each kind of record; see `feed`."""

        def read(kind: Kind, path: str) -> None:
            self._engine.command(sql(path, kind))

        for kind in job.batch.kinds():
            written, failure = feed(write, functools.partial(read, kind))
            if failure is not None:
                break
        return written, failure

    def _find_poison(self, job: Job, reason: str) -> None:
        """Which records can't be decoded even alone; they are in quarantine before this returns."""

        def decode(chosen: list[bytes]) -> Exception | None:
            return self._fill_staging(job, functools.partial(_write, chosen))[1]

        def probe(chosen: list[bytes]) -> Exception | None:
            return self._read(job, functools.partial(_write, chosen), probe_sql)[1]

        if failure := decode([_EMPTY_RECORD]):
            raise failure  # the engine is at fault, and not the data
        records = self._records(job)
        found = _failing(records, list(range(len(records))), probe)
        rest = sorted(set(range(len(records))) - set(found))
        found += _failing(records, rest, decode)
        job.plan.poison = sorted(found)
        for index in job.plan.poison:
            self._quarantine(job, str(index), records[index], reason)
        log.error("records quarantined", extra={"records": len(job.plan.poison), "error": reason})

    def _keep_out(self, job: Job) -> None:
        """Decode what is not poison; the spans of what is get an outcome of their own."""
        records = self._records(job)
        poison = set(job.plan.poison)
        sound = [record for index, record in enumerate(records) if index not in poison]
        if failure := self._fill_staging(job, functools.partial(_write, sound))[1]:
            raise failure
        written_at = job.batch.written_at()
        job.quarantined = [
            row for i in job.plan.poison for row in _outcomes_of(records[i], written_at)
        ]

    def _records(self, job: Job) -> list[bytes]:
        chunks: list[bytes] = []
        job.contents = job.batch.read(chunks.append)
        return list(segment.split_envelopes(chunks))

    def _lend(self, job: Job) -> None:
        """Give calls what only the span above them knows."""
        if lend(self._engine, self._tables, job.terms, job.plan.by_hour):
            self._exchange()

    def _exchange(self) -> None:
        staging, changed = self._tables["staging"], self._tables["changed"]
        self._engine.command(f"EXCHANGE TABLES {staging} AND {changed}")
        self._engine.command(f"TRUNCATE TABLE {changed}")

    def _cap(self, job: Job) -> None:
        """Rename what is beyond an organisation's allowance of names."""
        if job.plan.caps is None:
            job.plan.caps = self._cardinality.caps(self._tables["staging"])
        if not job.plan.caps:
            return
        rows: list[list[object]] = [
            [c.org_id, date.fromisoformat(c.day), c.dimension, value]
            for c in job.plan.caps
            for value in c.values
        ]
        names = ["org_id", "day", "dimension", "value"]
        self._engine.insert(self._tables["caps"], names, rows)
        self._engine.command(
            render(
                "cap.sql",
                columns=COLUMNS,
                other=OTHER,
                terms=job.terms,
                by_hour=job.plan.by_hour,
                **self._tables,
            )
        )
        self._exchange()

    def _resolve(self, job: Job) -> None:
        """Coefficients of each distinct key, made durable before they are used."""
        known, terms = job.plan.coefficients, job.plan.terms or {}
        staging, by_hour = self._tables["staging"], job.plan.by_hour
        used = self._catalogue.resolve_keys(self._engine, staging, known, terms, by_hour)
        job.plan.terms = {org_id: each for org_id, each in terms.items() if each.id in used}
        job.batch.keep_plan(job.plan)
        self._catalogue.fill(self._engine, self._tables["keys"], known)

    def _mark_losers(self, job: Job) -> None:
        """Rows that are not calls of their own, by the rules of `counting.py`."""
        mark_losers(self._engine, self._tables)

    def _load(self, job: Job) -> None:
        staging, keys = self._tables["staging"], self._tables["keys"]
        missing = self._engine.query(
            f"SELECT count() AS n FROM {staging} WHERE outcome = 'stored'"
            f" AND resolve_key NOT IN (SELECT resolve_key FROM {keys})"
        )[0]["n"]
        if missing:
            raise StoreError(f"{missing} spans of {job.batch.name} have no coefficients")
        months = self._engine.query(
            f"SELECT DISTINCT toYYYYMM(start_time, 'UTC') AS month FROM {staging}"
            " WHERE outcome = 'stored' ORDER BY month"
        )
        timed = any(c.counts_time for c in job.plan.coefficients.values())
        for found in months:
            values = {"timed": timed, "segment_id": job.segment_id, **self._tables}
            self._store.load(
                "calls",
                CALL_COLUMNS,
                render("load.sql", month=found["month"], **values),
                f"{job.segment_id:016x}-{found['month']}",
            )

    def _record_outcomes(self, job: Job) -> None:
        """What became of every span, and the last ones by name; both once per segment."""
        token = f"{job.segment_id:016x}-outcomes"
        stored = self._engine.query(render("outcomes.sql", **self._tables))
        job.outcomes = [
            {**found, "segment_id": job.segment_id}
            for found in stored + job.quarantined + job.damaged
        ]
        missing = job.contents.spans - sum(found["spans"] for found in job.outcomes)
        if missing:
            log.error(
                "spans without an outcome", extra={"spans": missing, "segment": job.batch.name}
            )
            job.outcomes += self._unread(job)
        if job.outcomes:
            rows = [[found[name] for name in _OUTCOME_COLUMNS] for found in job.outcomes]
            self._store.insert("span_outcomes", _OUTCOME_COLUMNS, rows, token)
        recent = render("recent.sql", segment_id=job.segment_id, **self._tables)
        self._store.load("recent_spans", _RECENT_COLUMNS, recent, token)

    def _unread(self, job: Job) -> list[dict[str, Any]]:
        """What was acknowledged and the engine did not see: behind a JSON key that is there twice.

        Whose it was is read from the records.
        """
        missing: Counter[tuple[str, str]] = Counter()
        for record in self._records(job):
            found = read_record(segment.without_length(record))
            missing[found.org_id, found.project_id] += found.spans
        for told in job.outcomes:
            missing[told["org_id"], told["project_id"]] -= told["spans"]
        row = {
            "outcome": "unread",
            "segment_id": job.segment_id,
            "received_at": job.batch.written_at(),
        }
        return [
            {"org_id": org_id, "project_id": project_id, "spans": items, **row}
            for (org_id, project_id), items in sorted(missing.items())
            if items > 0
        ]

    def _quarantine(self, job: Job, name: str, raw: bytes, reason: str) -> None:
        directory = self._settings.data_dir / "quarantine"
        quarantine.keep(directory, self._spool_key, f"{job.segment_id:016x}-{name}", raw, reason)

    def _make_tables(self) -> None:
        script = render(
            "staging.sql",
            coefficient_numbers=COEFFICIENT_NUMBERS,
            nullable_numbers=NULLABLE_NUMBERS,
            **self._tables,
        )
        for statement in script.split(";"):
            self._engine.command(statement)
        self._has_tables = True

    def _empty_tables(self) -> None:
        for table in self._tables.values():
            self._engine.command(f"TRUNCATE TABLE {table}")


def _outcomes_of(poison: bytes, received_at: datetime) -> list[dict[str, Any]]:
    """What became of a record's spans: refused before the ack, or quarantined with it."""
    record = read_record(segment.without_length(poison))
    counts = {"quarantined": record.spans - record.refused, "bad_id": record.refused}
    whose = {"org_id": record.org_id, "project_id": record.project_id, "received_at": received_at}
    return [{**whose, "outcome": name, "spans": n} for name, n in counts.items() if n]


def _failing(
    records: list[bytes],
    indexes: list[int],
    read: Callable[[list[bytes]], Exception | None],
) -> list[int]:
    """Which of these records can't be read even alone."""
    if read([records[i] for i in indexes]) is None:
        return []
    middle = len(indexes) // 2
    if not middle:
        return indexes
    first, second = indexes[:middle], indexes[middle:]
    return _failing(records, first, read) + _failing(records, second, read)


def _write(records: list[bytes], sink: Sink) -> None:
    for record in records:
        sink(record)

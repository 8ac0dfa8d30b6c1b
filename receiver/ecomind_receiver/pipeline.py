"""From one sealed segment to rows: a fixed sequence of engine statements, exactly once.

Python touches names, never spans: it resolves each distinct (provider, model, place, tier, day or
hour) once and leaves the arithmetic to the engine. The token of every insert is the segment's id,
which is random and never used for other content, so that a replay stores nothing twice.

A segment that the engine can't decode is searched for the records at fault. A record is poison if
it alone fails while an empty one passes; it goes to quarantine, encrypted, and the rest is loaded.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from ecomind_receiver import plan, quarantine, segment
from ecomind_receiver.batch import Batch
from ecomind_receiver.cardinality import COLUMNS, OTHER, Cardinality
from ecomind_receiver.catalogue import COEFFICIENT_NUMBERS, NULLABLE_NUMBERS, Catalogue, ids
from ecomind_receiver.counting import lend, mark_losers
from ecomind_receiver.decode import decode_sql, probe_sql
from ecomind_receiver.frame import read_record
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store, StoreError, describe, render

log = logging.getLogger("ecomind.loader")

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
    segment_id: int
    contents: segment.Contents
    plan: plan.Plan
    damaged: list[dict[str, Any]] = field(default_factory=list)
    quarantined: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[dict[str, Any]] = field(default_factory=list)

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
        self._memory = _MemoryFile()
        self._has_tables = False
        self._steps: tuple[Callable[[Job], None], ...] = (
            self._decode,
            self._lend,
            self._cap,
            self._resolve,
            self._mark_losers,
            self._load,
            self._record_outcomes,
        )

    def load(self, item: Batch) -> Job:
        """Store one segment. Raises on any trouble; the same segment may then be loaded again."""
        self._memory.restart()
        contents = item.read(self._memory.write)
        self._memory.finish()
        decided = item.read_plan()
        if decided.terms is None:
            decided.terms = dict(self._catalogue.terms())
            decided.by_hour = self._catalogue.by_hour
        job = Job(item, contents.segment_id, contents, decided)
        for number, damaged in enumerate(contents.damaged):
            self._quarantine(job, f"damaged-{number}", damaged.raw, damaged.reason)
        job.damaged = [
            {"org_id": d.org_id, "project_id": d.project_id, "received_at": item.written_at(),
             "outcome": "quarantined", "spans": d.spans}
            for d in contents.damaged if d.spans
        ]  # fmt: skip
        if contents.spans:
            if not self._has_tables:
                self._make_tables()
            for step in self._steps:
                step(job)
            self._empty_tables()
        return job

    def rest(self) -> None:
        """Forget the last segment: what the memory holds is plaintext, and nobody waits for it."""
        self._memory.replace(())

    def close(self) -> None:
        """Give the memory back."""
        self._memory.close()

    def _decode(self, job: Job) -> None:
        if job.plan.poison:
            self._keep_out(job)
        try:
            self._fill_staging(job)
        except Exception as error:
            self._find_poison(job, describe(error))
            self._keep_out(job)
            self._fill_staging(job)

    def _fill_staging(self, job: Job) -> None:
        """Decode what the memory file holds."""
        self._empty_tables()
        staging, days = self._tables["staging"], self._settings.retention_days
        for kind in job.contents.kinds:
            sql = decode_sql(
                self._memory.path,
                staging,
                kind,
                retention_days=days,
                terms=job.terms,
                by_hour=job.plan.by_hour,
            )
            self._engine.command(sql)

    def _find_poison(self, job: Job, reason: str) -> None:
        """Which records can't be decoded even alone; they are in quarantine before this returns."""
        records = self._records(job)
        self._memory.replace([_EMPTY_RECORD])
        self._fill_staging(job)  # if not even this passes, the engine is at fault and not the data

        found = self._failing(records, list(range(len(records))), lambda: self._probe(job))
        rest = sorted(set(range(len(records))) - set(found))
        found += self._failing(records, rest, lambda: self._fill_staging(job))
        job.plan.poison = sorted(found)
        for index in job.plan.poison:
            self._quarantine(job, str(index), records[index], reason)
        log.error("records quarantined", extra={"records": len(job.plan.poison), "error": reason})

    def _failing(
        self, records: list[bytes], indexes: list[int], read: Callable[[], None]
    ) -> list[int]:
        """Which of these records can't be read even alone."""
        self._memory.replace(records[i] for i in indexes)
        try:
            read()
        except Exception:
            middle = len(indexes) // 2
            if not middle:
                return indexes
            first, second = indexes[:middle], indexes[middle:]
            return self._failing(records, first, read) + self._failing(records, second, read)
        return []

    def _probe(self, job: Job) -> None:
        """Read what the memory file holds, and do nothing with it."""
        for kind in job.contents.kinds:
            self._engine.query(probe_sql(self._memory.path, kind))

    def _keep_out(self, job: Job) -> None:
        """The memory file without the poison; its spans get an outcome of their own."""
        records = self._records(job)
        poison = set(job.plan.poison)
        self._memory.replace(r for i, r in enumerate(records) if i not in poison)
        written_at = job.batch.written_at()
        job.quarantined = [
            row for i in job.plan.poison for row in _outcomes_of(records[i], written_at)
        ]

    def _records(self, job: Job) -> list[bytes]:
        chunks: list[bytes] = []
        job.batch.read(chunks.append)
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


class _MemoryFile:
    """Plaintext for the engine that never touches a disk.

    Its pages serve segment after segment while any waits: to make them anew would cost 0.18 µs a
    span, a twentieth of the load.
    """

    def __init__(self) -> None:
        self._descriptor = os.memfd_create("ecomind-segment", os.MFD_CLOEXEC)
        self._size = 0
        self.path = f"/proc/self/fd/{self._descriptor}"

    def restart(self) -> None:
        """Write from the beginning again."""
        self._size = 0

    def write(self, data: bytes) -> None:
        """Append."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._descriptor, view, self._size)
            self._size += written
            view = view[written:]

    def finish(self) -> None:
        """Cut what is left of a longer segment."""
        os.ftruncate(self._descriptor, self._size)

    def replace(self, parts: Iterable[bytes]) -> None:
        """Hold these parts and nothing else."""
        self.restart()
        for part in parts:
            self.write(part)
        self.finish()

    def close(self) -> None:
        """Give the memory back."""
        os.close(self._descriptor)

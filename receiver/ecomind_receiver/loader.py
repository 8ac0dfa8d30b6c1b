"""From a sealed segment to rows: a fixed pipeline of engine statements, exactly once.

Python touches names, never spans: it resolves each distinct (provider, model, place, tier, day)
once and leaves the arithmetic to the engine. What was resolved is written and synced beside the
segment before anything is stored, so that a replay after a crash enriches identically; the token
of every insert is the segment's content hash, so that a replay stores nothing twice.

A segment that the engine can't decode is searched for the records at fault. A record is poison if
it alone fails while an empty one passes; it goes to quarantine, encrypted, and the rest is loaded.
"""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opentelemetry import trace

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import COEFFICIENT_NAMES, Coefficients
from ecomind_processor.resolution import CallKey, resolve
from ecomind_receiver import quarantine, segment
from ecomind_receiver.decode import decode_sql
from ecomind_receiver.frame import read_record
from ecomind_receiver.settings import Settings
from ecomind_receiver.spool import Sealed, Spool
from ecomind_receiver.store import Store, StoreError, describe, render

log = logging.getLogger("ecomind.loader")
_tracer = trace.get_tracer("ecomind")

COEFFICIENT_NUMBERS = COEFFICIENT_NAMES[COEFFICIENT_NAMES.index("wh_per_call") :]
RICHNESS = (
    "usage_quality = 'reported' DESC, cache_read_tokens + cache_write_tokens > 0 DESC,"
    " reasoning_tokens > 0 DESC, input_tokens DESC, output_tokens DESC, start_time"
)
"""Which of several spans of one call is kept: the one that knows most. Shared with reconcile."""
_MAX_BACKOFF_SECONDS = 30.0


@dataclass
class Job:
    """One segment on its way through the steps."""

    item: Sealed
    header: segment.Header
    contents: segment.Contents
    tables: dict[str, str]
    poison: list[int] = field(default_factory=list)  # indexes of records kept out
    coefficients: dict[int, Coefficients] = field(default_factory=dict)

    @property
    def quarantined(self) -> list[dict[str, Any]]:
        """The outcome rows of the records kept out."""
        if not self.poison:
            return []
        envelopes = list(segment.split_envelopes(self.contents.chunks))
        received_at = datetime.fromtimestamp(self.header.created_ns // 1_000_000_000, UTC)
        return [
            {
                **read_record(segment.without_length(envelopes[i]))._asdict(),
                "outcome": "quarantined",
                "received_at": received_at,
            }
            for i in self.poison
        ]

    @property
    def plan_path(self) -> Path:
        """Where what was resolved is kept until the segment is stored."""
        return self.item.path.with_suffix(".plan")


class Loader:
    """Worker threads that empty the spool into the store."""

    def __init__(
        self, settings: Settings, store: Store, spool: Spool, spool_key: bytes, factors: FactorSet
    ) -> None:
        self.error = ""
        self.spans: dict[str, int] = {}
        self.segments = 0
        self.quarantined_records = 0
        self.observe: Callable[[float], None] = lambda seconds: None
        self._settings = settings
        self._store = store
        self._spool = spool
        self._spool_key = spool_key
        self._factors = factors
        self._quarantine = settings.data_dir / "quarantine"
        self._resolved: dict[CallKey, Coefficients] = {}
        self._stored_coefficients: set[int] | None = None
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._steps: tuple[Callable[[Job], None], ...] = (
            self._decode,
            self._resolve,
            self._store_coefficients,
            self._mark_losers,
            self._load,
            self._record_outcomes,
        )
        self._threads = [
            threading.Thread(target=self._run, args=(n,), name=f"loader-{n}", daemon=True)
            for n in range(settings.loader_threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Load what is sealed, then end. The spool must be closed before."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        tables = {name: f"{name}_{number}" for name in ("staging", "losers", "keys")}
        backoff_seconds = 0.5
        while True:
            item = self._spool.sealed.get()
            if item is None:
                self._spool.sealed.put(None)  # for the other workers
                return
            while True:
                started = time.monotonic()
                try:
                    with _tracer.start_as_current_span("load segment"):
                        self._load_segment(item, tables)
                except Exception as error:
                    self.error = f"{item.path.name} could not be loaded: {describe(error)}"
                    log.error(
                        "a segment waits", extra={"segment": item.path.name, "error": self.error}
                    )
                    if self._stopping.is_set():
                        return  # it stays in the spool; the next start loads it
                    time.sleep(backoff_seconds)
                    backoff_seconds = min(backoff_seconds * 2, _MAX_BACKOFF_SECONDS)
                else:
                    self.error, backoff_seconds = "", 0.5
                    self.observe(time.monotonic() - started)
                    break

    def _load_segment(self, item: Sealed, tables: dict[str, str]) -> None:
        try:
            header, contents = segment.load_segment(item.path, self._spool_key)
        except segment.SegmentError as error:
            raise StoreError(f"Spool segment {item.path} can't be read: {error}") from error
        for number, raw in enumerate(contents.damaged):
            quarantine.keep(
                self._quarantine,
                self._spool_key,
                f"{header.segment_id:016x}-damaged-{number}",
                raw,
                "the chunk fails its integrity check: the disk altered it after it was synced",
            )
        job = Job(item, header, contents, tables)
        if contents.chunks:
            for statement in render(
                "staging.sql", coefficient_numbers=COEFFICIENT_NUMBERS, **tables
            ).split(";"):
                self._store.command(statement)
            for step in self._steps:
                step(job)
            for table in tables.values():
                self._store.command(f"TRUNCATE TABLE {table}")
        self._spool.loaded(item)
        job.plan_path.unlink(missing_ok=True)
        with self._guard:
            self.segments += 1

    def _decode(self, job: Job) -> None:
        plan = _read_plan(job.plan_path)
        job.poison = plan.get("poison", [])
        job.coefficients = {
            int(key): Coefficients(**values) for key, values in plan.get("coefficients", {}).items()
        }
        try:
            self._fill_staging(job, _without(job.contents.chunks, job.poison))
        except Exception as error:
            job.poison = self._find_poison(job, describe(error))
            self._fill_staging(job, _without(job.contents.chunks, job.poison))

    def _fill_staging(self, job: Job, chunks: list[bytes]) -> None:
        for table in job.tables.values():
            self._store.command(f"TRUNCATE TABLE {table}")
        with _MemoryFile(chunks) as path:
            for json_requests in (False, True):
                if json_requests and not job.contents.json_requests:
                    continue
                self._store.command(
                    decode_sql(
                        path,
                        job.tables["staging"],
                        json=json_requests,
                        retention_days=self._settings.retention_days,
                    )
                )

    def _find_poison(self, job: Job, reason: str) -> list[int]:
        """Indexes of the records that can't be decoded even alone; quarantined before returning."""
        records = list(segment.split_envelopes(job.contents.chunks))
        self._fill_staging(
            job, [b"\x00"]
        )  # if even nothing can't be decoded, the engine is at fault
        poison: list[int] = []

        def search(indexes: list[int]) -> None:
            try:
                self._fill_staging(job, [records[i] for i in indexes])
            except Exception:
                if len(indexes) == 1:
                    poison.extend(indexes)
                    return
                middle = len(indexes) // 2
                search(indexes[:middle])
                search(indexes[middle:])

        search(list(range(len(records))))
        for index in poison:
            name = f"{job.header.segment_id:016x}-{index}"
            quarantine.keep(self._quarantine, self._spool_key, name, records[index], reason)
        with self._guard:
            self.quarantined_records += len(poison)
        log.error("records quarantined", extra={"records": len(poison), "error": reason})
        return poison

    def _resolve(self, job: Job) -> None:
        """Coefficients of each distinct key, synced beside the segment before they are used."""
        rows = self._store.query(render("distinct_keys.sql", **job.tables))
        for row in rows:
            if row["resolve_key"] not in job.coefficients:
                key = CallKey(
                    row["provider"], row["request_model"], row["response_model"], row["place"],
                    row["service_tier"], row["day"], bool(row["measured"]),
                )  # fmt: skip
                job.coefficients[row["resolve_key"]] = self._coefficients(key)
        _write_plan(job.plan_path, job.poison, job.coefficients)

    def _coefficients(self, key: CallKey) -> Coefficients:
        found = self._resolved.get(key)
        if found is None:
            if len(self._resolved) >= self._settings.resolver_cache_entries:
                self._resolved.clear()
            found = self._resolved[key] = resolve(key, self._factors)
        return found

    def _store_coefficients(self, job: Job) -> None:
        if self._stored_coefficients is None:
            rows = self._store.query("SELECT DISTINCT coef_id FROM coefficients")
            self._stored_coefficients = {row["coef_id"] for row in rows}
        used = {c.coef_id: c for c in job.coefficients.values()}
        fresh = {i: c for i, c in used.items() if i not in self._stored_coefficients}
        if fresh:
            self._store.insert(
                "coefficients",
                ["coef_id", *COEFFICIENT_NAMES],
                [
                    [i, *(getattr(c, name) for name in COEFFICIENT_NAMES)]
                    for i, c in sorted(fresh.items())
                ],
                token=f"{job.contents.token}-coefficients",
            )
            self._stored_coefficients |= fresh.keys()
        if job.coefficients:
            self._store.insert(
                job.tables["keys"],
                ["resolve_key", "coef_id", *COEFFICIENT_NUMBERS],
                [
                    [key, c.coef_id, *(getattr(c, name) for name in COEFFICIENT_NUMBERS)]
                    for key, c in job.coefficients.items()
                ],
            )

    def _mark_losers(self, job: Job) -> None:
        self._store.command(render("losers.sql", richness=RICHNESS, **job.tables))

    def _load(self, job: Job) -> None:
        staging = job.tables["staging"]
        missing = self._store.query(
            f"SELECT count() AS n FROM {staging} WHERE outcome = 'stored'"
            f" AND resolve_key NOT IN (SELECT resolve_key FROM {job.tables['keys']})"
        )[0]["n"]
        if missing:
            raise StoreError(f"{missing} spans of {job.item.path.name} have no coefficients")
        months = self._store.query(
            f"SELECT DISTINCT toYYYYMM(start_time, 'UTC') AS month FROM {staging}"
            " WHERE outcome = 'stored' ORDER BY month"
        )
        for row in months:
            self._store.command(
                render(
                    "load.sql",
                    month=row["month"],
                    token=f"{job.contents.token}-{row['month']}",
                    segment_id=job.header.segment_id,
                    **job.tables,
                )
            )

    def _record_outcomes(self, job: Job) -> None:
        """What became of every span, and the last ones by name; both once per segment."""
        segment_id, token = job.header.segment_id, f"{job.contents.token}-outcomes"
        outcomes = self._store.query(render("outcomes.sql", **job.tables)) + job.quarantined
        columns = ["received_at", "segment_id", "org_id", "project_id", "outcome", "spans"]
        rows = [[{"segment_id": segment_id, **row}[name] for name in columns] for row in outcomes]
        if rows:
            self._store.insert("span_outcomes", columns, rows, token)
        self._store.command(render("recent.sql", segment_id=segment_id, token=token, **job.tables))
        with self._guard:
            for row in outcomes:
                self.spans[row["outcome"]] = self.spans.get(row["outcome"], 0) + row["spans"]


class _MemoryFile:
    """Plaintext for the engine that never touches a disk."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._descriptor = os.memfd_create("ecomind-segment", os.MFD_CLOEXEC)
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def __enter__(self) -> str:
        return f"/proc/self/fd/{self._descriptor}"

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _without(chunks: list[bytes], poison: list[int]) -> list[bytes]:
    if not poison:
        return chunks
    return [r for i, r in enumerate(segment.split_envelopes(chunks)) if i not in set(poison)]


def _read_plan(path: Path) -> dict[str, Any]:
    try:
        plan: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return plan


def _write_plan(path: Path, poison: list[int], coefficients: dict[int, Coefficients]) -> None:
    plan = {"poison": poison, "coefficients": {key: asdict(c) for key, c in coefficients.items()}}
    draft = path.with_suffix(".draft")
    with open(draft, "w") as file:
        json.dump(plan, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)

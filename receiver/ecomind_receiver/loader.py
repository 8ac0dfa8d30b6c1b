"""Threads that empty the spool into the store, and never give up on a segment.

A segment that can't be stored waits in the spool and is tried again, with growing pauses; meanwhile
requests are accepted until the spool is full.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from opentelemetry import trace

from ecomind_receiver.batch import Batch, Buffer
from ecomind_receiver.cardinality import Cardinality
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.pipeline import Job, Pipeline
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store, describe

log = logging.getLogger("ecomind.loader")
_tracer = trace.get_tracer("ecomind")

_MIN_BACKOFF_SECONDS, _MAX_BACKOFF_SECONDS = 0.5, 30.0


class Loader:
    """The loader threads of one spool, and their counts since start."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        spool: Buffer,
        spool_key: bytes,
        catalogue: Catalogue,
    ) -> None:
        self.error = ""
        self.failures = 0  # tries to load a segment that failed
        self.waiting_since: float | None = None  # of the first of them, in seconds since 1970
        self.spans: dict[str, int] = {}  # by outcome
        self.segments = 0
        self.quarantined_records = 0
        self.ignored_claims = 0  # spans and resources that named another tenant
        self.observe: Callable[[float], None] = lambda seconds: None
        self._spool = spool
        self._gate = store.gate
        cardinality = Cardinality(store, settings.names_per_day_max)
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(
                target=self._run,
                args=(Pipeline(n, settings, store, spool_key, catalogue, cardinality),),
                name=f"loader-{n}",
                daemon=True,
            )
            for n in range(settings.loader_threads)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Load what is sealed, then end. The spool must be closed before."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self, pipeline: Pipeline) -> None:
        while (item := self._spool.sealed.get()) is not None:
            with self._gate.writing():  # also between tries: half a segment is nobody's backup
                is_stored = self._load(pipeline, item)
            if not is_stored:
                break
            if self._spool.sealed.empty():
                pipeline.rest()
        self._spool.sealed.put(None)  # the other threads end too

    def _load(self, pipeline: Pipeline, item: Batch) -> bool:
        """Load one segment, however long it takes; False if the process stops before.

        Unless another process is to load it instead.
        """
        backoff_seconds = _MIN_BACKOFF_SECONDS
        while True:
            started = time.monotonic()
            try:
                with _tracer.start_as_current_span(
                    "load segment",
                    record_exception=False,  # an engine's message may quote data
                    set_status_on_exception=False,
                ):
                    job = pipeline.load(item)
                    item.destroy()
            except Exception as error:
                if not item.wanted:
                    self._spool.loaded(item)
                    return True
                self._failed(f"{item.name} could not be loaded: {describe(error)}")
                log.error("a segment waits", extra={"error": self.error})
                self._spool.postponed(item, backoff_seconds)
                if self._stopping.wait(backoff_seconds):
                    return False  # it stays in the spool; the next start loads it
                backoff_seconds = min(backoff_seconds * 2, _MAX_BACKOFF_SECONDS)
            else:
                self._count(job)
                self.observe(time.monotonic() - started)
                self._spool.loaded(item)  # last: who waits for it finds it counted
                return True

    def _failed(self, error: str) -> None:
        with self._guard:
            self.failures += 1
            if self.waiting_since is None:
                self.waiting_since = time.time()
            since = datetime.fromtimestamp(self.waiting_since, UTC)
            self.error = f"{error} (since {since:%Y-%m-%d %H:%M:%S} UTC, tried again and again)"

    def _count(self, job: Job) -> None:
        with self._guard:
            self.error = ""
            self.waiting_since = None
            self.segments += 1
            self.quarantined_records += len(job.plan.poison) + len(job.contents.damaged)
            for row in job.outcomes:
                self.spans[row["outcome"]] = self.spans.get(row["outcome"], 0) + row["spans"]
                self.ignored_claims += row.get("claims", 0)

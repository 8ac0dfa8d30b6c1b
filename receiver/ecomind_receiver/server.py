"""One receiving process: who starts what, in which order, and how it stops without loss."""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ecomind_processor.factors import FactorSet
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.http_server import HttpServer, join_address
from ecomind_receiver.ingest import Ingest
from ecomind_receiver.keys import Keys
from ecomind_receiver.loader import Loader
from ecomind_receiver.otlp_grpc import serve_grpc
from ecomind_receiver.otlp_http import OtlpHttp
from ecomind_receiver.reconcile import Reconciler
from ecomind_receiver.settings import Settings
from ecomind_receiver.spool import Spool
from ecomind_receiver.store import Store
from ecomind_receiver.telemetry import Telemetry
from ecomind_receiver.tenants import Tenant

_DRAIN_POLL_SECONDS = 0.02
_GRPC_GRACE_SECONDS = 5.0


class StartError(Exception):
    """The process can't start as configured; the message says what to change."""


@dataclass(frozen=True)
class Status:
    """What the process is doing now. Counts are since start; empty errors mean all is well."""

    ready: bool
    spool_error: str
    store_error: str
    spool_bytes: int
    spool_max_bytes: int
    spool_segments: int
    requests: dict[tuple[str, str], int]  # (transport, outcome) → requests
    acked_spans: int
    stored_spans: int
    dropped_spans: dict[str, int]
    quarantined_records: int
    loaded_segments: int
    load_lag_seconds: float
    reconciled_until: datetime | None
    corrections: int


class Receiver:
    """OTLP listeners, spool, loader and reconcile over one data directory."""

    store: Store
    spool: Spool
    reconciler: Reconciler
    grpc_port = 0
    http_port = 0

    def __init__(self, settings: Settings, *, listeners: bool = True) -> None:
        self.settings = settings
        self.factors = FactorSet.load()
        self._listeners = listeners
        self._http: HttpServer | None = None
        self._grpc: Any = None
        self.telemetry: Telemetry | None = None

    async def start(self) -> None:
        """Open the store and the spool, then the ports.

        Raises StartError, StoreError, SecretError or OSError, each with a sentence.
        """
        settings = self.settings
        require_loopback(settings.host)
        keys = Keys(settings.key_dir, settings.data_dir)
        self.store = await asyncio.to_thread(Store, settings)
        self.spool = Spool(settings, keys.spool)
        catalogue = Catalogue(self.store, self.factors, settings.resolver_cache_entries)
        self._loader = Loader(settings, self.store, self.spool, keys.spool, catalogue)
        self.reconciler = Reconciler(settings, self.store, self.spool)
        self._ingest = Ingest(self.spool, keys, settings.request_max_bytes)
        try:
            if self._listeners:
                await self._listen()
            self.telemetry = Telemetry(settings, self)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening, finish requests in flight, load what was acknowledged, close."""
        if self._http:
            await self._http.stop()
        if self._grpc:
            await self._grpc.stop(_GRPC_GRACE_SECONDS)
        await asyncio.to_thread(self._close)

    async def accept(self, tenant: Tenant, body: bytes, media_type: str, encoding: str = "") -> int:
        """Spans of an ExportTraceServiceRequest, durable on return. Raises IngestError."""
        return await self._ingest.accept(tenant, body, media_type, encoding)

    async def drain(self) -> None:
        """Return once everything accepted so far is stored and rolled up."""
        self.spool.seal()
        while self.spool.busy:
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def status(self) -> Status:
        """A snapshot for /ready, /metrics and doctor."""
        spans = dict(self._loader.spans)
        full = self.spool.size_bytes >= self.settings.spool_max_bytes
        spool_error = self.spool.error or (
            "the spool is above its high-water mark (ECOMIND_SPOOL_MAX_BYTES)" if full else ""
        )
        return Status(
            ready=not spool_error,
            spool_error=spool_error,
            store_error=self._loader.error or self.reconciler.error,
            spool_bytes=self.spool.size_bytes,
            spool_max_bytes=self.settings.spool_max_bytes,
            spool_segments=self.spool.segments,
            requests=dict(self._ingest.requests),
            acked_spans=self._ingest.acked_spans,
            stored_spans=spans.pop("stored", 0),
            dropped_spans=spans,
            quarantined_records=self._loader.quarantined_records,
            loaded_segments=self._loader.segments,
            load_lag_seconds=self.spool.lag_seconds(),
            reconciled_until=self.reconciler.until,
            corrections=self.reconciler.corrections,
        )

    def on_segment_loaded(self, observe: Callable[[float], None]) -> None:
        """Call `observe` with the seconds that each segment took to load."""
        self._loader.observe = observe

    async def _listen(self) -> None:
        settings = self.settings
        self._http = HttpServer(
            OtlpHttp(self._ingest, settings.request_max_bytes),
            settings.host,
            settings.otlp_http_port,
        )
        self.http_port = await self._http.start()
        self._grpc, self.grpc_port = await serve_grpc(
            self._ingest,
            join_address(settings.host, settings.otlp_grpc_port),
            settings.request_max_bytes,
        )

    def _close(self) -> None:
        self.reconciler.stop()
        self.spool.close()
        self._loader.stop()
        if self.telemetry:
            self.telemetry.close()
        self.store.close()


def require_loopback(host: str) -> None:
    """Without keys whoever reaches a port is the local organisation: refuse other addresses."""
    try:
        allowed = ipaddress.ip_address(host).is_loopback
    except ValueError:
        allowed = host == "localhost"
    if not allowed:
        raise StartError(
            f"Ecomind has no API keys yet, so it binds loopback only; {host} would let anyone in."
            " Set ECOMIND_HOST to 127.0.0.1; put an authenticating proxy in front if others must"
            " reach it."
        )

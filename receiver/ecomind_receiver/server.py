"""One receiving process: who starts what, in which order, and how it stops without loss."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime

import grpc

from ecomind_processor.factors import choose
from ecomind_receiver import quarantine
from ecomind_receiver.agreements import Agreements
from ecomind_receiver.answers import Accepted
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.authentication import Door, Keyring, OpenDoor
from ecomind_receiver.backup.last import LastBackup
from ecomind_receiver.backup.making import Backups
from ecomind_receiver.batch import Buffer, Topics
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.clock import Clock
from ecomind_receiver.closing import Closer
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.grids.factory import ConfiguredGrids, grids_from
from ecomind_receiver.http_server import HttpServer, join_address
from ecomind_receiver.in_flight import InFlight
from ecomind_receiver.ingest import Ingest
from ecomind_receiver.kafka.config import import_client
from ecomind_receiver.limits import UNLIMITED, Limits, LocalLimits, Quotas
from ecomind_receiver.loader import Loader
from ecomind_receiver.otlp_grpc import serve_grpc
from ecomind_receiver.otlp_http import OtlpHttp
from ecomind_receiver.otlp_protocol import OtlpProtocol
from ecomind_receiver.receivers import Receivers
from ecomind_receiver.reconcile import Reconciler
from ecomind_receiver.redis_limits import RedisLimits
from ecomind_receiver.restating import Restater
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.settings import Settings, is_loopback
from ecomind_receiver.signals import TRACES, Signal
from ecomind_receiver.spool import Spool
from ecomind_receiver.store import Store
from ecomind_receiver.telemetry import Telemetry
from ecomind_receiver.tenants import Scope, Tenant
from ecomind_receiver.tls import Tls, load

log = logging.getLogger("ecomind.server")

_DRAIN_POLL_SECONDS, _DRAIN_SEAL_POLLS = 0.02, 500
_GRPC_GRACE_SECONDS = 5.0


class StartError(Exception):
    """The process can't start as configured; the message says what to change."""


@dataclass(frozen=True)
class Status:
    """What the process is doing now. Counts are since start; empty errors mean all is well."""

    ready: bool
    spool_error: str
    spool_writable: bool
    store_error: str
    control_error: str | None  # None: no keys are asked for, so there is nothing to read
    terms_error: str
    spool_bytes: int
    spool_max_bytes: int
    spool_segments: int
    topics: Topics | None  # None: nothing waits in Kafka
    requests: dict[tuple[str, str, str], int]  # (transport, outcome, signal) → requests
    items: dict[tuple[str, str], int]  # (outcome, signal) → spans, log records, metrics
    refused_keys: dict[str, int]  # why → requests
    over_quota: dict[str, int]  # whose quota → requests
    not_now: dict[str, int]  # why → requests that are to be sent again
    in_flight_bytes: int
    limits_degraded: bool
    ignored_claims: dict[str, int]  # where another tenant was named → times
    stored_spans: int
    dropped_spans: dict[str, int]
    quarantined_records: int
    quarantine_kept: int  # records in quarantine now
    loaded_segments: int
    load_lag_seconds: float
    load_failures: int
    clock_jumps: int
    clock_behind_seconds: float
    last_backup: LastBackup | None
    reconciled_until: datetime | None
    corrections: int

    @property
    def acked_spans(self) -> int:
        """Spans and log records that were acknowledged and are kept."""
        return sum(n for (outcome, _), n in self.items.items() if outcome == "accepted")


class Receiver:
    """OTLP listeners, spool, loader and reconcile over one data directory."""

    door: Door
    store: Store
    agreements: Agreements
    spool: Buffer
    reconciler: Reconciler
    closer: Closer
    restater: Restater
    backups: Backups
    grids: ConfiguredGrids
    telemetry: Telemetry
    tls: Tls | None
    grpc_port = 0
    http_port = 0

    def __init__(self, settings: Settings, *, listeners: bool = True) -> None:
        self.settings = settings
        self.factors = choose(settings.factor_set, settings.factor_dir)
        self._listeners = listeners
        self._open = AsyncExitStack()

    async def start(self) -> None:
        """Open the door, the store and the spool, then the ports.

        Raises StartError, StoreError, SecretError, ControlError, TlsError, GridError or OSError,
        each with a sentence.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop listening, finish requests in flight, load what was acknowledged, close."""
        await self._open.aclose()

    async def _start(self) -> None:
        settings, on_close = self.settings, self._open.push_async_callback
        secrets = Secrets(settings)
        self.tls = load(settings)
        self.door = await _door(settings, secrets) if self._listeners else OpenDoor(settings)
        on_close(self.door.close)
        self._limits = _limits(settings)
        on_close(self._limits.close)
        self.store = await asyncio.to_thread(Store, settings)
        on_close(asyncio.to_thread, self.store.close)
        if self._listeners:
            await asyncio.to_thread(self.store.keep_calls, settings.retention_days)
        several = not isinstance(self.door, OpenDoor)
        self.spool = await asyncio.to_thread(_buffer, settings, secrets, self.store, several)
        self.agreements = await asyncio.to_thread(Agreements, settings)
        on_close(asyncio.to_thread, self.agreements.stop)
        self.grids = await asyncio.to_thread(grids_from, settings, self.factors.zones)
        self.grids.start()
        on_close(asyncio.to_thread, self.grids.stop)
        catalogue = Catalogue(
            self.store,
            self.factors,
            settings.resolver_cache_entries,
            lambda: self.agreements.current,
            self.grids,
        )
        receivers = Receivers(self.store, settings.data_dir)
        await asyncio.to_thread(receivers.stored_until, self.spool.oldest_ns())
        on_close(asyncio.to_thread, self._leave, receivers)  # the last word, once all is stored
        self._loader = Loader(settings, self.store, self.spool, secrets.spool, catalogue)
        on_close(asyncio.to_thread, self._loader.stop)
        on_close(asyncio.to_thread, self.spool.close)  # before the loader, which then empties it
        self.reconciler = Reconciler(settings, self.store, self.spool, catalogue, receivers)
        on_close(asyncio.to_thread, self.reconciler.stop)
        self.restater = Restater(self.store, catalogue)
        self.closer = Closer(self.store, lambda: receivers.leads)
        self.closer.start()
        on_close(asyncio.to_thread, self.closer.stop)
        loader = self._loader
        self.backups = Backups(settings, self.store, self.spool, lambda: loader.error)
        on_close(asyncio.to_thread, self.backups.stop)
        self._clock = Clock(self.reconciler.closed_until_ns)
        in_flight = InFlight(settings.in_flight_max_bytes, shared=several)
        self._ingest = Ingest(
            self.spool,
            secrets,
            self._limits,
            settings.request_max_bytes,
            in_flight,
            self._clock,
        )
        on_close(asyncio.to_thread, self._ingest.close)
        if self._listeners:
            await self._listen()
        self.telemetry = Telemetry(settings, self)
        on_close(asyncio.to_thread, self.telemetry.close)

    async def accept(
        self,
        tenant: Tenant,
        body: bytes,
        media_type: str,
        encoding: str = "",
        *,
        signal: Signal = TRACES,
        quotas: Quotas = UNLIMITED,
    ) -> Accepted:
        """What became of an Export request, durable on return. Raises RequestRefused."""
        with self._ingest.in_flight.request(tenant.org_id) as held:
            return await self._ingest.accept(
                tenant, body, media_type, encoding, held=held, signal=signal, quotas=quotas
            )

    def ignore_claims(self, source: str, claims: int) -> None:
        """Count what named another tenant than the key does."""
        self._ingest.ignore_claims(source, claims)

    async def drain(self) -> None:
        """Return once everything accepted so far is stored and rolled up."""
        for polls in itertools.count():
            if polls % _DRAIN_SEAL_POLLS == 0:
                self.spool.seal()
            if not self.spool.busy:
                return
            await asyncio.sleep(_DRAIN_POLL_SECONDS)

    def status(self) -> Status:
        """A snapshot for /ready, /metrics and doctor."""
        spans = dict(self._loader.spans)
        self._clock.look()
        full = self.spool.size_bytes >= self.spool.max_bytes
        spool_error = self.spool.error or (
            "the spool is above its high-water mark (ECOMIND_SPOOL_MAX_BYTES)" if full else ""
        )
        return Status(
            ready=not spool_error,
            spool_error=spool_error,
            spool_writable=not self.spool.error,
            store_error=self._loader.error or self.reconciler.error or self.closer.error,
            control_error=self.door.error if isinstance(self.door, Keyring) else None,
            terms_error=self.agreements.error,
            spool_bytes=self.spool.size_bytes,
            spool_max_bytes=self.spool.max_bytes,
            spool_segments=self.spool.segments,
            topics=self.spool.topics,
            requests=dict(self._ingest.requests),
            items=dict(self._ingest.items),
            refused_keys=dict(self.door.failures),
            over_quota=dict(self._ingest.over_quota),
            not_now=dict(self._ingest.not_now),
            in_flight_bytes=self._ingest.in_flight.size_bytes,
            limits_degraded=self._limits.degraded,
            ignored_claims={**self._ingest.ignored_claims, "span": self._loader.ignored_claims},
            stored_spans=spans.pop("stored", 0),
            dropped_spans=spans,
            quarantined_records=self._loader.quarantined_records,
            quarantine_kept=quarantine.kept(self.settings.data_dir / "quarantine"),
            loaded_segments=self._loader.segments,
            load_lag_seconds=self.spool.lag_seconds(),
            load_failures=self._loader.failures,
            clock_jumps=self._clock.jumps,
            clock_behind_seconds=self._clock.behind_seconds(),
            last_backup=self.backups.last,
            reconciled_until=self.reconciler.until,
            corrections=self.reconciler.corrections,
        )

    def on_segment_loaded(self, observe: Callable[[float], None]) -> None:
        """Call `observe` with the seconds that each segment took to load."""
        self._loader.observe = observe

    def _leave(self, receivers: Receivers) -> None:
        receivers.leave(self.spool.oldest_ns(), waiting=self.spool.segments > 0)

    async def _listen(self) -> None:
        settings = self.settings
        app = OtlpHttp(self._ingest, self.door)
        http = HttpServer(
            app, settings.host, settings.otlp_http_port, self.tls, protocol=OtlpProtocol
        )
        self.http_port = await http.start()
        self._open.push_async_callback(http.stop)
        server, self.grpc_port = await serve_grpc(
            self._ingest,
            self.door,
            join_address(settings.host, settings.otlp_grpc_port),
            settings.request_max_bytes,
            self.tls,
        )
        self._open.push_async_callback(_stop_grpc, server)


def _buffer(settings: Settings, secrets: Secrets, store: Store, shared: bool) -> Buffer:
    """Where accepted requests wait, as configured."""
    if not settings.kafka_brokers:
        return Spool(settings, secrets.spool, shared=shared)
    import_client()
    from ecomind_receiver.kafka.buffer import KafkaBuffer  # which needs the client

    return KafkaBuffer(settings, secrets, store, shared=shared)


async def _stop_grpc(server: grpc.aio.Server) -> None:
    """Stop the gRPC listener; rarely, after a failed handshake, it never says that it has."""
    try:
        async with asyncio.timeout(2 * _GRPC_GRACE_SECONDS):
            await server.stop(_GRPC_GRACE_SECONDS)
    except TimeoutError:
        log.error("the gRPC listener did not stop", extra={"seconds": 2 * _GRPC_GRACE_SECONDS})


async def _door(settings: Settings, secrets: Secrets) -> Door:
    local = is_loopback(settings.host)
    keyring = await open_keyring(settings, secrets)
    if settings.auth == "auto" and local:
        return OpenDoor(settings, keyring)
    if not local and not keyring.has(Scope.INGEST):
        lost = keyring.lost
        await keyring.close()
        raise StartError(_no_key(settings.host, lost))
    if not local and settings.tls_cert_file is None:
        log.warning("keys travel unencrypted: set ECOMIND_TLS_CERT_FILE, or end TLS in front")
    return keyring


def _no_key(host: str, lost: int) -> str:
    beyond = f"Ecomind listens beyond loopback ({host}) only with API keys, and there is none"
    if lost:
        return (
            f"{beyond} that can be checked: {lost} were made with another pepper. Set"
            " ECOMIND_KEY_PEPPER, or ECOMIND_KEY_DIR where it lies in a file, to the one they were"
            " made with, or make a key with `ecomind keys create`."
        )
    return (
        f"{beyond} that may send. Make one with `ecomind seed` or `ecomind keys create`, or set"
        " ECOMIND_HOST to 127.0.0.1."
    )


async def open_keyring(settings: Settings, secrets: Secrets) -> Keyring:
    """The keys of the control store, which is made or migrated first. Raises ControlError."""
    store = await asyncio.to_thread(ControlStore, default_url(settings))
    keyring = Keyring(store, Peppers(secrets.peppers), settings)
    try:
        await asyncio.to_thread(store.migrate)
        await keyring.open()
    except BaseException:
        await keyring.close()
        raise
    return keyring


def _limits(settings: Settings) -> Limits:
    if settings.redis_url is None:
        return LocalLimits(share=1 / settings.receivers)
    return RedisLimits(settings.redis_url.get_secret_value(), settings.receivers)

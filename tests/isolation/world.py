"""One real server for a whole run, spoken to as clients and operators do.

It runs on an event loop of its own in a thread, so that what it does by itself (reading keys
again, sealing, loading) goes on between requests. OTLP goes over its real ports; the API is called
in process, through everything that a request passes. Segments are sealed when the test says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import grpc
import httpx
from isolation.canaries import Canaries
from support.backends import Backend
from support.receiver import make_settings

from ecomind_query.app import create_app
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.authentication import Keyring
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.notices import publish
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings

T = TypeVar("T")
_EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
_PATIENCE_SECONDS = 30.0
_TRIES = 4
CHANGED_KEYS_SECONDS = 1.0
"""After so long, every receiver knows that a key is new, or over."""


class Failures(logging.Handler):
    """What the server logged with a traceback: an answer of 500 says no more than that."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a traceback."""
        if record.exc_info:
            self.texts.append(logging.Formatter().format(record))


class World:
    """A started server, its control store, and every canary of the run."""

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self.canaries = Canaries()
        self.settings = settings
        self.backend = backend
        self.steps = self.examples = 0
        self.failures = Failures()
        logging.getLogger("ecomind").addHandler(self.failures)
        self.asked: Counter[tuple[str, str]] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server")
        self._thread.start()
        self.control = ControlStore(default_url(settings))
        self.control.migrate()
        self.peppers = Peppers(Secrets(settings).peppers)
        self.receiver = Receiver(settings)
        self._call(self.receiver.start())
        self.app = create_app(self.receiver, settings)
        transport = httpx.ASGITransport(app=self.app, client=("192.0.2.7", 50_000))
        self._api = httpx.AsyncClient(transport=transport, base_url="http://localhost")
        self._otlp = httpx.Client(base_url=f"http://127.0.0.1:{self.receiver.http_port}")
        self._channel = grpc.insecure_channel(f"127.0.0.1:{self.receiver.grpc_port}")
        self._export = self._channel.unary_unary(_EXPORT)
        self._stopped = False

    def api(
        self, method: str, path: str, headers: dict[str, str], **options: Any
    ) -> httpx.Response:
        """Ask the API or the page."""
        return self._call(self._api.request(method, path, headers=headers, **options))

    def otlp(self, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Send over OTLP/HTTP; again where the end of the connection overtook the answer.

        What is refused before its body is read may be cut off so. Had a request been taken and sent
        again nevertheless, the totals would say so.
        """
        for _ in range(_TRIES - 1):
            with contextlib.suppress(httpx.ReadError, httpx.RemoteProtocolError):
                return self._otlp.post("/v1/traces", content=body, headers=headers)
        return self._otlp.post("/v1/traces", content=body, headers=headers)

    def grpc(self, body: bytes, headers: dict[str, str]) -> tuple[grpc.StatusCode, str]:
        """Send over OTLP/gRPC: the status and what is said about it."""
        try:
            metadata = tuple(headers.items())
            self._export(body, metadata=metadata, timeout=_PATIENCE_SECONDS)
        except grpc.RpcError as error:
            return error.code(), error.details()
        return grpc.StatusCode.OK, ""

    def drain(self) -> None:
        """Return once everything acknowledged is stored."""
        self._call(self.receiver.drain())

    def reconcile(self) -> None:
        """Twins and re-sends are cancelled; a test can't wait for the end of a window."""
        self.drain()
        self.receiver.reconciler.settle()

    def keys_changed(self) -> None:
        """What an operator's command does after it changed keys or quotas."""
        if self.backend.redis_url:
            publish(self.backend.redis_url)
        elif isinstance(self.receiver.door, Keyring):
            self._call(self.receiver.door.refresh())  # as it does by itself twice a second

    def soon(self, holds: Callable[[], bool]) -> bool:
        """Whether it holds within the time that a change of keys may take."""
        deadline = time.monotonic() + CHANGED_KEYS_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def stop(self) -> None:
        """Stop as a process does at its end; again: nothing."""
        if self._stopped:
            return
        self._stopped = True
        logging.getLogger("ecomind").removeHandler(self.failures)
        self._otlp.close()
        self._channel.close()
        self._call(self._api.aclose())
        self._call(self.receiver.stop())
        self.control.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE_SECONDS)


@contextlib.contextmanager
def running(folder: Path, backend: Backend) -> Iterator[World]:
    """A server that asks for keys, over an empty data directory."""
    settings = make_settings(
        folder,
        auth="keys",
        spool_segment_max_seconds=_PATIENCE_SECONDS,
        reconcile_window_seconds=3600,
        **backend.settings,
    )
    world = World(settings, backend)
    try:
        yield world
    finally:
        world.stop()

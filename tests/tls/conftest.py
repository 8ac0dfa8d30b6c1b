"""Certificates made for one test, a tiny application, and servers that speak TLS on free ports."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import trustme
import uvloop

from ecomind_receiver.http_server import HttpServer
from ecomind_receiver.tls import Tls


class Pair(NamedTuple):
    """A certificate with its chain, and its key, as files."""

    cert: Path
    key: Path


class Authority:
    """A certificate authority and what it signs, in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._authority = trustme.CA()
        self.file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(self.file)

    def issue(
        self,
        name: str = "127.0.0.1",
        *,
        to: Pair | None = None,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> Pair:
        """A fresh pair for a host, in new files or in place of others."""
        issued = self._authority.issue_cert(name, not_before=not_before, not_after=not_after)
        number = len(list(self._folder.iterdir()))
        to = to or Pair(self._folder / f"{number}.pem", self._folder / f"{number}.key")
        for path, blobs in ((to.cert, issued.cert_chain_pems), (to.key, [issued.private_key_pem])):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(b"".join(blob.bytes() for blob in blobs))
            fresh.chmod(0o600)
            fresh.replace(path)
        return to


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


@pytest.fixture
def foreign(tmp_path: Path) -> Authority:
    """Another authority, which nobody here trusts."""
    return Authority(tmp_path / "foreign")


@pytest.fixture
def old_client(authority: Authority) -> ssl.SSLContext:
    """A client that speaks TLS 1.1 and nothing else."""
    context = ssl.create_default_context(cafile=str(authority.file))
    context.set_ciphers("DEFAULT:@SECLEVEL=0")  # or it would refuse to try at all
    only_1_1(context)
    return context


def only_1_1(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it is old on purpose
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1


class Application:
    """Answers every request with what the connection was; remembers the requests."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.status = 200
        self.headers: list[tuple[bytes, bytes]] = []
        self.body: Callable[[str], bytes] = lambda path: b"{}"

    async def __call__(
        self,
        scope: dict[str, Any],
        receive: Callable[[], Awaitable[dict[str, Any]]],
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        given = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.requests.append((f"{scope['scheme']} {scope['method']} {scope['path']}", given))
        while (await receive()).get("more_body"):
            pass
        start = {"type": "http.response.start", "status": self.status}
        await send(start | {"headers": [(b"content-type", b"application/json"), *self.headers]})
        await send({"type": "http.response.body", "body": self.body(scope["path"])})


@pytest.fixture
def application() -> Application:
    return Application()


Served = Callable[[Any, Tls | None], AbstractAsyncContextManager[int]]


@pytest.fixture
def served() -> Served:
    """`async with served(app, tls) as port`."""

    @asynccontextmanager
    async def serve(app: Any, tls: Tls | None) -> AsyncIterator[int]:
        server = HttpServer(app, "127.0.0.1", 0, tls)
        port = await server.start()
        try:
            yield port
        finally:
            await server.stop()

    return serve


Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    """Runs a coroutine on each of the event loops that a server may have."""
    runner: Run = asyncio.run if request.param == "asyncio" else uvloop.run
    return runner

"""Files that are replaced while the process runs: taken up all together, or not at all."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from ecomind_receiver.tls import Files, Tls

from .conftest import Application, Authority, Pair, Run, Served

Listening = Callable[[Tls], AbstractAsyncContextManager[int]]


@asynccontextmanager
async def grpc_listener(tls: Tls) -> AsyncIterator[int]:
    """A gRPC port without services: enough to show a certificate."""
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", tls.grpc_credentials())
    await server.start()
    try:
        yield port
    finally:
        await server.stop(None)


@pytest.fixture(params=["http", "grpc"])
def listening(
    request: pytest.FixtureRequest, application: Application, served: Served
) -> Listening:
    return grpc_listener if request.param == "grpc" else lambda tls: served(application, tls)


async def shown(port: int) -> bytes:
    """The certificate that a new connection is shown."""
    pem = await asyncio.to_thread(ssl.get_server_certificate, ("127.0.0.1", port), timeout=20)
    return ssl.PEM_cert_to_DER_cert(pem)


def leaf(pair: Pair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.cert.read_text())


def test_a_new_pair_is_shown_on_the_next_connection(
    authority: Authority, listening: Listening
) -> None:
    pair = authority.issue()
    first = leaf(pair)

    async def scenario() -> list[bytes]:
        async with listening(Tls(Files(*pair), check_seconds=0)) as port:
            seen = [await shown(port), await shown(port)]
            authority.issue(to=pair)
            return [*seen, await shown(port), await shown(port)]

    second = asyncio.run(scenario())
    assert first != leaf(pair)
    assert second == [first, first, leaf(pair), leaf(pair)]


def test_files_are_looked_at_once_a_minute(authority: Authority, listening: Listening) -> None:
    pair = authority.issue()
    first = leaf(pair)

    async def scenario() -> bytes:
        async with listening(Tls(Files(*pair))) as port:
            authority.issue(to=pair)
            return await shown(port)

    assert asyncio.run(scenario()) == first


def test_half_a_renewal_keeps_the_old_certificate(
    authority: Authority, listening: Listening, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ecomind.tls")
    pair = authority.issue()
    first, key = leaf(pair), pair.key.read_bytes()

    async def scenario() -> list[bytes]:
        async with listening(Tls(Files(*pair), check_seconds=0)) as port:
            authority.issue(to=pair)
            fresh = pair.key.read_bytes()
            pair.key.write_bytes(key)
            seen = [await shown(port)]
            pair.key.unlink()
            seen.append(await shown(port))
            pair.key.touch(0o600)
            pair.key.write_bytes(fresh)
            return [*seen, await shown(port)]

    assert asyncio.run(scenario()) == [first, first, leaf(pair)]
    told = [(record.message, getattr(record, "error", "")) for record in caplog.records]
    assert [message for message, _ in told] == [
        "certificate not renewed",
        "certificate not renewed",
        "certificate renewed",
    ]
    assert "does not belong to" in told[0][1] and "can't be read" in told[1][1]


def test_a_replaced_authority_decides_about_new_clients(
    authority: Authority, foreign: Authority, application: Application, served: Served, run: Run
) -> None:
    accepted = authority.file.with_name("clients.pem")
    accepted.write_bytes(authority.file.read_bytes())
    tls = Tls(Files(*authority.issue(), accepted), check_seconds=0)
    old, new = authority.issue("client.example"), foreign.issue("client.example")

    def get(port: int, pair: Pair) -> int | str:
        context = ssl.create_default_context(cafile=str(authority.file))
        context.load_cert_chain(pair.cert, pair.key)
        try:
            with httpx.Client(verify=context, trust_env=False, timeout=20) as client:
                return client.get(f"https://127.0.0.1:{port}/").status_code
        except httpx.TransportError:
            return "refused"

    async def scenario() -> list[int | str]:
        async with served(application, tls) as port:
            seen = [await asyncio.to_thread(get, port, pair) for pair in (old, new)]
            accepted.write_bytes(foreign.file.read_bytes())
            return seen + [await asyncio.to_thread(get, port, pair) for pair in (old, new)]

    assert run(scenario()) == [200, "refused", "refused", 200]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_no_session_outlives_the_authority_that_let_it_in(
    authority: Authority,
    foreign: Authority,
    application: Application,
    served: Served,
    run: Run,
    version: ssl.TLSVersion,
) -> None:
    accepted = authority.file.with_name("clients.pem")
    accepted.write_bytes(authority.file.read_bytes())
    tls = Tls(Files(*authority.issue(), accepted), check_seconds=0)
    context = ssl.create_default_context(cafile=str(authority.file))
    context.load_cert_chain(*authority.issue("client.example"))
    context.minimum_version = context.maximum_version = version

    def get(port: int, session: ssl.SSLSession | None) -> tuple[bytes, ssl.SSLSession | None]:
        try:
            with (
                socket.create_connection(("127.0.0.1", port), timeout=20) as tcp,
                context.wrap_socket(tcp, server_hostname="127.0.0.1", session=session) as secure,
            ):
                secure.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
                return secure.recv(12), secure.session
        except OSError:
            return b"", None

    async def scenario() -> list[bytes]:
        async with served(application, tls) as port:
            first, session = await asyncio.to_thread(get, port, None)
            accepted.write_bytes(foreign.file.read_bytes())
            return [first, (await asyncio.to_thread(get, port, session))[0]]

    first = b"HTTP/1.1 200" if version == ssl.TLSVersion.TLSv1_3 else b""
    assert run(scenario()) == [first, b""]


def test_links_that_are_switched(
    authority: Authority, tmp_path: Path, listening: Listening
) -> None:
    """As Kubernetes does it: the files stay, and a link to their folder is moved."""
    folders = [tmp_path / "one", tmp_path / "two"]
    pairs = []
    for folder in folders:
        folder.mkdir()
        pairs.append(authority.issue(to=Pair(folder / "tls.crt", folder / "tls.key")))
    link, fresh = tmp_path / "current", tmp_path / "fresh"
    link.symlink_to(folders[0])

    async def scenario() -> list[bytes]:
        files = Files(link / "tls.crt", link / "tls.key")
        async with listening(Tls(files, check_seconds=0)) as port:
            seen = [await shown(port)]
            fresh.symlink_to(folders[1])
            fresh.replace(link)
            return [*seen, await shown(port)]

    assert asyncio.run(scenario()) == [leaf(pairs[0]), leaf(pairs[1])]

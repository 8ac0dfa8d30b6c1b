"""HTTPS and mTLS on the server that carries both OTLP/HTTP and the API, with real clients."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import httpx
import pytest

from ecomind_receiver.tls import Files, Tls

from .conftest import Application, Authority, Pair, Run, Served, only_1_1

SECONDS = 20


def trusting(authority: Authority, pair: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(authority.file))
    if pair:
        context.load_cert_chain(pair.cert, pair.key)
    return context


def get(port: int, context: ssl.SSLContext) -> httpx.Response:
    with httpx.Client(verify=context, trust_env=False, timeout=SECONDS) as client:
        return client.get(f"https://127.0.0.1:{port}/v1/traces")


def plain(port: int) -> bytes:
    """What a client that knows nothing of TLS gets."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
        got = b""
        try:
            while piece := connection.recv(4096):
                got += piece
        except ConnectionResetError:
            pass
        return got


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_https(
    authority: Authority,
    application: Application,
    served: Served,
    run: Run,
    version: ssl.TLSVersion,
) -> None:
    context = trusting(authority)
    context.minimum_version = context.maximum_version = version

    async def scenario() -> httpx.Response:
        async with served(application, Tls(Files(*authority.issue()))) as port:
            return await asyncio.to_thread(get, port, context)

    response: httpx.Response = run(scenario())
    assert (response.status_code, response.content) == (200, b"{}")
    assert [request for request, _ in application.requests] == ["https GET /v1/traces"]


def test_a_plain_client_gets_nothing(
    authority: Authority, application: Application, served: Served, run: Run
) -> None:
    async def scenario() -> bytes:
        async with served(application, Tls(Files(*authority.issue()))) as port:
            return await asyncio.to_thread(plain, port)

    got: bytes = run(scenario())
    assert b"HTTP" not in got and len(got) < 16  # nothing, or the seven bytes of a TLS alert
    assert application.requests == []


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext) -> str | None:
    """The version that both agree on, without a network. Raises the server's error."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server, server_hostname="127.0.0.1")
    other = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (one, other, one, other):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return other.version()


def test_tls_1_1_is_refused_by_the_server(authority: Authority, old_client: ssl.SSLContext) -> None:
    pair = authority.issue()
    lenient = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    lenient.load_cert_chain(*pair)
    lenient.set_ciphers("DEFAULT:@SECLEVEL=0")
    only_1_1(lenient)
    assert shake_hands(old_client, lenient) == "TLSv1.1"  # so it is not the client that gives up
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake_hands(old_client, Tls(Files(*pair)).ssl_context())


def test_tls_1_1_gets_no_answer(
    authority: Authority,
    application: Application,
    served: Served,
    run: Run,
    old_client: ssl.SSLContext,
) -> None:
    async def scenario() -> None:
        async with served(application, Tls(Files(*authority.issue()))) as port:
            await asyncio.to_thread(get, port, old_client)

    with pytest.raises(httpx.ConnectError):
        run(scenario())
    assert application.requests == []


def test_a_server_of_another_authority_is_not_believed(
    authority: Authority, foreign: Authority, application: Application, served: Served, run: Run
) -> None:
    async def scenario() -> None:
        async with served(application, Tls(Files(*foreign.issue()))) as port:
            await asyncio.to_thread(get, port, trusting(authority))

    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        run(scenario())


class TestMutual:
    """A client shows a certificate that the named authorities signed, or gets nothing."""

    @pytest.fixture
    def tls(self, authority: Authority) -> Tls:
        return Tls(Files(*authority.issue(), authority.file))

    def test_a_client_with_a_certificate(
        self, authority: Authority, application: Application, served: Served, run: Run, tls: Tls
    ) -> None:
        async def scenario() -> httpx.Response:
            async with served(application, tls) as port:
                context = trusting(authority, authority.issue("client.example"))
                return await asyncio.to_thread(get, port, context)

        assert run(scenario()).status_code == 200

    @pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
    @pytest.mark.parametrize("who", ["nobody", "foreigner"])
    def test_others(
        self,
        authority: Authority,
        foreign: Authority,
        application: Application,
        served: Served,
        run: Run,
        tls: Tls,
        who: str,
        version: ssl.TLSVersion,
    ) -> None:
        context = trusting(authority, foreign.issue() if who == "foreigner" else None)
        context.minimum_version = context.maximum_version = version

        async def scenario() -> None:
            async with served(application, tls) as port:
                await asyncio.to_thread(get, port, context)

        with pytest.raises(httpx.TransportError):
            run(scenario())
        assert application.requests == []

    def test_a_plain_client(
        self, application: Application, served: Served, run: Run, tls: Tls
    ) -> None:
        async def scenario() -> bytes:
            async with served(application, tls) as port:
                return await asyncio.to_thread(plain, port)

        assert b"HTTP" not in run(scenario())
        assert application.requests == []


def test_without_tls_nothing_changes(application: Application, served: Served, run: Run) -> None:
    async def scenario() -> bytes:
        async with served(application, None) as port:
            return await asyncio.to_thread(
                lambda: httpx.get(f"http://127.0.0.1:{port}/", trust_env=False).content
            )

    assert run(scenario()) == b"{}"


def test_endless_headers_end_over_tls_too(
    authority: Authority, application: Application, served: Served, run: Run
) -> None:
    def send(port: int, context: ssl.SSLContext) -> bytes:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as tcp,
            context.wrap_socket(tcp, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(b"GET / HTTP/1.1\r\n")
            try:
                for _ in range(700):
                    connection.sendall(b"x: " + b"y" * 1021 + b"\r\n")
            except OSError:
                pass  # it has hung up
            return connection.recv(100)

    async def scenario() -> bytes:
        async with served(application, Tls(Files(*authority.issue()))) as port:
            return await asyncio.to_thread(send, port, trusting(authority))

    assert run(scenario()).startswith(b"HTTP/1.1 431 ")
    assert application.requests == []


def test_the_key_is_nowhere_in_its_representation(authority: Authority, tmp_path: Path) -> None:
    pair = authority.issue()
    tls = Tls(Files(*pair))
    body = pair.key.read_text().splitlines()[1]
    assert body not in repr(vars(tls))

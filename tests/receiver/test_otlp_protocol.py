"""HTTP/1.1 as the OTLP port speaks it: raw bytes in, raw bytes out."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from ecomind_receiver.http_server import PEER, HttpServer
from ecomind_receiver.otlp_protocol import Answer, OtlpProtocol, Request, TooLarge

MOST = 1_000_000
HELD: list[int] = []
pytestmark = pytest.mark.anyio


async def echo(request: Request) -> Answer | None:
    """Say what came; /unread does not read the body, /slow takes its time, /broken fails."""
    if request.path == "/unread":
        return Answer(404, "text/plain", b"no")
    if request.path == "/broken":
        raise RuntimeError
    if request.path == "/slow":
        await asyncio.sleep(0.1)
    try:
        body = await request.body(MOST, HELD.append)
    except TooLarge:
        return Answer(413, "text/plain", b"long", ((b"connection", b"close"),))
    if body is None:
        return None
    text = f"{request.method} {request.path} {len(body)} {PEER.get()}".encode()
    return Answer(200, "text/plain", text, ((b"x-more", b"1"),))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = HttpServer(echo, "127.0.0.1", 0, protocol=OtlpProtocol)
    yield await server.start()
    await server.stop()


async def talk(port: int, *sent: bytes, until: bytes = b"") -> bytes:
    """All that is answered: up to `until`, or up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for piece in sent:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)
    try:
        async with asyncio.timeout(10):
            return await (reader.readuntil(until) if until else reader.read())
    finally:
        writer.close()


def answered(text: str, *, close: bool = False) -> bytes:
    more = "connection: close\r\n" if close else ""
    return (
        f"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {len(text)}\r\n"
        f"x-more: 1\r\n{more}\r\n{text}"
    ).encode()


POST = b"POST /a HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
LAST = b"POST /b?c=d HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\nde"


async def test_requests_one_after_the_other_on_a_connection(port: int) -> None:
    got = await talk(port, POST, LAST)
    assert got == answered("POST /a 3 127.0.0.1") + answered("POST /b 2 127.0.0.1", close=True)


async def test_requests_sent_ahead_are_answered_in_order(port: int) -> None:
    slow = POST.replace(b"/a", b"/slow")
    got = await talk(port, slow + POST + LAST)
    assert got == (
        answered("POST /slow 3 127.0.0.1")
        + answered("POST /a 3 127.0.0.1")
        + answered("POST /b 2 127.0.0.1", close=True)
    )


async def test_a_byte_at_a_time(port: int) -> None:
    got = await talk(port, *(LAST[n : n + 1] for n in range(len(LAST))))
    assert got == answered("POST /b 2 127.0.0.1", close=True)


async def test_chunks_with_a_trailer(port: int) -> None:
    head = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    got = await talk(port, head + b"3\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n")
    assert got == answered("POST /a 5 127.0.0.1", close=True)


async def test_who_waits_for_100_is_told_to_go_on(port: int) -> None:
    head = b"POST /a HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(head)
    assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(b"abc")
    text = "POST /a 3 127.0.0.1"
    assert await reader.readuntil(text.encode()) == answered(text)
    writer.close()


async def test_a_body_that_nobody_reads_is_skipped(port: int) -> None:
    unread = b"POST /unread HTTP/1.1\r\nContent-Length: 700000\r\n\r\n" + bytes(700_000)
    got = await talk(port, unread + LAST)
    assert got.startswith(b"HTTP/1.1 404 Not Found\r\n")
    assert got.endswith(b"\r\n\r\nno" + answered("POST /b 2 127.0.0.1", close=True))


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 1000001\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nf4241\r\n"],
    ids=["length", "chunks"],
)
async def test_too_long_a_body_is_not_read_to_its_end(port: int, framing: bytes) -> None:
    got = await talk(port, b"POST /a HTTP/1.1\r\n" + framing + bytes(1_000_001), until=b"long")
    assert got.startswith(b"HTTP/1.1 413 ")
    assert b"connection: close\r\n" in got


async def test_what_is_not_http(port: int) -> None:
    assert (await talk(port, b"\x16\x03\x01 hello\r\n\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_headers_without_end(port: int) -> None:
    head = b"POST /a HTTP/1.1\r\n" + b"X-Y: " + b"z" * 600_000
    assert (await talk(port, head, until=b"\r\n")).startswith(b"HTTP/1.1 431 ")


async def test_a_failure_closes_the_connection(port: int) -> None:
    assert await talk(port, POST.replace(b"/a", b"/broken")) == b""


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"GET /a HTTP/1.0\r\n", "GET /a 0 127.0.0.1"),
        (b"POST http://h/x%79 HTTP/1.1\r\nConnection: close\r\n", "POST /xy 0 127.0.0.1"),
        (b"OPTIONS * HTTP/1.1\r\nConnection: close\r\n", "OPTIONS * 0 127.0.0.1"),
        (
            b"GET /a HTTP/1.0\r\nX-Forwarded-For: 203.0.113.9, 198.51.100.7, 127.0.0.1\r\n",
            "GET /a 0 198.51.100.7",
        ),
    ],
)
async def test_heads(port: int, head: bytes, text: str) -> None:
    assert await talk(port, head + b"\r\n") == answered(text, close=True)


async def test_head_has_no_body(port: int) -> None:
    got = await talk(port, b"HEAD /a HTTP/1.1\r\nConnection: close\r\n\r\n")
    assert got == answered("HEAD /a 0 127.0.0.1", close=True).removesuffix(b"HEAD /a 0 127.0.0.1")


async def test_stopping_answers_what_has_begun() -> None:
    server = HttpServer(echo, "127.0.0.1", 0, protocol=OtlpProtocol)
    port = await server.start()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    idle, other = await asyncio.open_connection("127.0.0.1", port)
    writer.write(LAST[:-1])
    await asyncio.sleep(0.05)
    stopping = asyncio.create_task(server.stop())
    assert await idle.read() == b""  # closed at once
    writer.write(LAST[-1:])
    assert await reader.read() == answered("POST /b 2 127.0.0.1", close=True)
    await stopping
    other.close()
    writer.close()

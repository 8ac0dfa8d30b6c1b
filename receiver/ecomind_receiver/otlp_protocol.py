"""HTTP/1.1 for the OTLP port: one task and one write a request, and nothing between.

uvicorn's server runs it, as it does for the API: it listens, keeps the list of connections and ends
them. Its own protocol and ASGI cost more than all that is done with one span, so on this port a
request is a parsed head and a body that is read when somebody asks for it, and an answer is bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, cast
from urllib.parse import unquote_to_bytes

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from ecomind_receiver.http_server import MAX_HEAD_BYTES, PEER

log = logging.getLogger("ecomind.otlp")

Header = tuple[bytes, bytes]

_UNASKED_BYTES = 64 * 1024
"""So much of a body is read before somebody asks for it."""
_PIECE_BYTES = 1024 * 1024
"""Its reader looks at it whenever so much more has come."""
_IDLE_SECONDS, _STALLED_SECONDS = 75.0, 60.0
"""A connection is closed when no request comes, or when one stops coming.

Exporters send every five seconds, or every minute; a connection should outlive that.
"""
_LOOK_SECONDS = 5.0
_LINGER_SECONDS = 2.0
"""A connection closed with bytes unread is reset, and the client loses the answer on its way."""
_STATUS = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n".encode() for s in HTTPStatus}
_CLOSE: Header = (b"connection", b"close")
_BAD_REQUEST = b"The request is not HTTP/1.1.\n"
_HEAD_TOO_LARGE = b"Request header fields are too large.\n"
_LOCAL = "127.0.0.1"


class TooLarge(Exception):
    """A body is longer than its reader takes."""


class Answer(NamedTuple):
    """What a request is answered."""

    status: int
    media_type: str
    body: bytes
    headers: Sequence[Header] = ()


class Request:
    """One request: its head, and its body once somebody reads it."""

    def __init__(self, ask: Callable[[Request], None]) -> None:
        """`ask` is told when somebody reads the body."""
        self.method = ""
        self.path = ""
        self.headers: dict[str, str] = {}
        self.keep_alive = False
        self.asked = False
        self.over = False  # answered, or its client went away: nobody reads what still comes
        self._ask = ask
        self._pieces: list[bytes] = []
        self._size = 0
        self._max_bytes = _UNASKED_BYTES
        self._wake_at = 0
        self._ended = False
        self._waiter: asyncio.Future[None] | None = None

    async def body(self, max_bytes: int, hold: Callable[[int], None]) -> bytes | None:
        """All of it; None if the client went away. Raises TooLarge.

        `hold` is told how long it is, beforehand where that is known, and may raise.
        """
        length = self.headers.get("content-length", "")
        if length.isdigit():
            if int(length) > max_bytes:
                raise TooLarge
            hold(int(length))
        self._max_bytes = max_bytes
        self.asked = True
        self._ask(self)
        while not (self._ended or self.over or self._size > max_bytes):
            hold(self._size)
            self._wake_at = self._size + _PIECE_BYTES
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self.over:
            return None
        if self._size > max_bytes:
            raise TooLarge
        pieces = self._pieces
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def full(self) -> bool:
        """Whether no more of the body should be read now."""
        return self._size > self._max_bytes and not self.over

    def add(self, piece: bytes) -> None:
        """A part of the body."""
        if not self.over:
            self._pieces.append(piece)
            self._size += len(piece)
            if self.asked and self._size > min(self._wake_at, self._max_bytes):
                self._wake()

    def end(self) -> None:
        """The body is complete."""
        self._ended = True
        self._wake()

    def forget(self) -> None:
        """Nobody wants the body any more."""
        self.over = True
        self._pieces.clear()
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


class OtlpProtocol(asyncio.Protocol):
    """One connection. Requests that are sent ahead of an answer wait their turn."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """As uvicorn makes it; `config.app` answers requests."""
        self._respond = cast(Callable[[Request], Awaitable[Answer | None]], config.app)
        self._state = server_state
        self._loop = _loop or asyncio.get_running_loop()
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport
        self._peer = ""
        self._url: list[bytes] = []
        self._in_head = False
        self._head_bytes = 0
        self._arriving: Request | None = None
        self._answering: Request | None = None
        self._ahead: deque[Request] = deque()
        self._paused = self._blocked = self._ending = self._given_up = False
        self._used_at = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._parser.set_dangerous_leniencies(lenient_data_after_close=True)  # it is ignored

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has connected."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = (transport.get_extra_info("peername") or ("",))[0]
        self._state.connections.add(cast(Any, self))
        self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone; what it is still owed is not sent, what was accepted stays."""
        self._state.connections.discard(cast(Any, self))
        if self._timer:
            self._timer.cancel()
        for request in (self._answering, self._arriving):
            if request:
                request.forget()
        self._ahead.clear()
        self._parser = None

    def data_received(self, data: bytes) -> None:
        """Parse what has come."""
        self._used_at = self._loop.time()
        if self._parser is None or self._given_up:
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # the request was taken as any other; what would follow it is not HTTP
        except httptools.HttpParserError:
            self._give_up(400, _BAD_REQUEST)
            return
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._give_up(431, _HEAD_TOO_LARGE)
        self._pace()

    def pause_writing(self) -> None:
        """The client does not read its answers."""
        self._blocked = True
        self._pace()

    def resume_writing(self) -> None:
        """It does again."""
        self._blocked = False
        self._pace()

    def shutdown(self) -> None:
        """The server ends: answer the request that has begun, then close."""
        self._ending = True
        if self._answering is None and self._arriving is None:
            self._transport.close()

    # What the parser finds.

    def on_message_begin(self) -> None:
        """A request line starts."""
        self._arriving = Request(self._ask)
        self._url.clear()
        self._in_head, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._url.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or what follows a body in chunks and means nothing here."""
        if self._arriving and self._in_head:
            self._arriving.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The body is next: who sends it is decided meanwhile."""
        self._in_head = False
        request, parser = self._arriving, self._parser
        if request is None or parser is None:
            return
        request.method = parser.get_method().decode("latin-1")
        request.path = _path(b"".join(self._url))
        request.keep_alive = parser.get_http_version() == "1.1" and parser.should_keep_alive()
        if self._answering is None:
            self._begin(request)
        else:
            self._ahead.append(request)

    def on_body(self, body: bytes) -> None:
        """A part of its body."""
        if self._arriving:
            self._arriving.add(body)

    def on_message_complete(self) -> None:
        """Its body ends."""
        if self._arriving:
            self._arriving.end()
            self._arriving = None

    # How it is answered.

    def _ask(self, request: Request) -> None:
        expects = request is self._arriving and "expect" in request.headers
        if expects and request.headers["expect"].lower() == "100-continue":
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._pace()

    def _begin(self, request: Request) -> None:
        self._answering = request
        PEER.set(_peer(self._peer, request.headers))
        task = self._loop.create_task(self._answer(request))
        self._state.tasks.add(task)
        task.add_done_callback(self._state.tasks.discard)

    async def _answer(self, request: Request) -> None:
        try:
            answer = await self._respond(request)
        except Exception:  # whatever it is, the client must not wait for ever
            log.exception("request failed")
            answer = None
        if self._transport.is_closing():
            return
        if answer is None:
            self._transport.close()
            return
        close = self._ending or not request.keep_alive or _CLOSE in answer.headers
        self._write(answer, close=close, head_only=request.method == "HEAD")
        request.forget()
        self._state.total_requests += 1
        self._used_at = self._loop.time()
        self._answering = None
        if close:
            self._close(unread=request is self._arriving)
            return
        if self._ahead:
            self._begin(self._ahead.popleft())
        self._pace()

    def _write(self, answer: Answer, *, close: bool, head_only: bool = False) -> None:
        lines = [_STATUS[answer.status]]
        if answer.status != HTTPStatus.NO_CONTENT:
            length = len(answer.body)
            lines.append(
                f"content-type: {answer.media_type}\r\ncontent-length: {length}\r\n".encode()
            )
        lines += [b"%b: %b\r\n" % header for header in answer.headers if header != _CLOSE]
        if close:
            lines.append(b"connection: close\r\n")
        lines.append(b"\r\n")
        if not head_only:
            lines.append(answer.body)
        self._transport.write(b"".join(lines))

    def _give_up(self, status: int, sentence: bytes) -> None:
        if not self._transport.is_closing():
            self._write(Answer(status, "text/plain", sentence), close=True)
            self._close(unread=False)  # whoever sends this is not waited for

    def _close(self, *, unread: bool) -> None:
        """Close; where the client is still sending, only once it could read its answer."""
        self._given_up = True
        if not unread:
            self._transport.close()
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._loop.call_later(_LINGER_SECONDS, self._transport.close)
        self._pace()

    def _pace(self) -> None:
        """Read on, or not: while requests wait, or a body that nobody asks for."""
        arriving = self._arriving
        full = arriving is not None and arriving.full
        pause = not self._given_up and (self._blocked or bool(self._ahead) or full)
        if pause != self._paused and not self._transport.is_closing():
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _look(self) -> None:
        """Close a connection that nobody uses, or whose request stops coming."""
        unused_seconds = self._loop.time() - self._used_at
        limit = _STALLED_SECONDS if self._arriving else _IDLE_SECONDS
        if unused_seconds > limit and (self._arriving or not self._answering):
            self._transport.close()
        else:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)


def _path(url: bytes) -> str:
    """The path of a target, which may be a whole URL."""
    if not url.startswith(b"/"):
        try:
            url = httptools.parse_url(url).path or b"/"
        except httptools.HttpParserInvalidURLError:
            return "*"
    path = url.partition(b"?")[0]
    return (unquote_to_bytes(path) if b"%" in path else path).decode("latin-1")


def _peer(address: str, headers: dict[str, str]) -> str:
    """Where a request came from: a proxy on this machine is believed."""
    if address == _LOCAL and "x-forwarded-for" in headers:
        for host in reversed(headers["x-forwarded-for"].split(",")):
            if host.strip() != _LOCAL:
                return host.strip()
    return address

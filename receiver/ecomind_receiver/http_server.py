"""A uvicorn server inside a running event loop: for OTLP/HTTP and for the API alike.

The API is an ASGI application. The OTLP port has a protocol of its own (`otlp_protocol.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from contextvars import ContextVar
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ecomind_receiver.tls import Tls

PEER: ContextVar[str] = ContextVar("peer", default="")
"""The address that the request being served came from, for log lines."""
MAX_HEAD_BYTES = 512 * 1024
"""More headers than this are refused."""
_BODY_PIECE_BYTES = 1024 * 1024


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with an end to headers and with whole bodies.

    The parser alone would read headers for ever. And a body reaches the application in pieces of a
    megabyte instead of what one read gave, which spares a batch of spans a fifth of its cost.
    """

    _in_head = False
    _head_bytes = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._pieces: list[bytes] = []
        self._piece_bytes = 0

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._pieces.append(body)
        self._piece_bytes += len(body)
        if self._piece_bytes >= _BODY_PIECE_BYTES:
            self._pass_on()

    def on_message_complete(self) -> None:
        """The body ends."""
        self._pass_on()
        super().on_message_complete()

    def _pass_on(self) -> None:
        if self._pieces:
            body = b"".join(self._pieces)
            self._pieces.clear()
            self._piece_bytes = 0
            super().on_body(body)

    def on_message_begin(self) -> None:
        """A request line starts."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The headers end."""
        self._in_head = False
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Parse; give up on headers that do not end."""
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(
                    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
                    b"content-length: 0\r\nconnection: close\r\n\r\n"
                )
                self.transport.close()


class HttpServer:
    """A uvicorn server inside a running event loop, with the port it was given."""

    def __init__(
        self,
        app: Any,
        host: str,
        port: int,
        tls: Tls | None = None,
        *,
        protocol: type[asyncio.Protocol] | None = None,
    ) -> None:
        """`app` is an ASGI application, or whatever the protocol given takes."""
        self._address = (host, port)
        config = uvicorn.Config(
            app if protocol else _naming_peers(app),
            loop="none",
            http=protocol or BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=10,
        )
        config.load()
        config.ssl = tls.ssl_context() if tls else None  # load() would overwrite it
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Bind and serve: the bound port. Raises OSError with a sentence if the port is taken."""
        listener = bind(*self._address)
        self._task = asyncio.create_task(
            self._server._serve([listener])
        )  # serve() takes the signals
        while not self._server.started:
            if self._task.done():
                self._task.result()
            await asyncio.sleep(0.005)
        return int(listener.getsockname()[1])

    async def stop(self) -> None:
        """Stop accepting, let requests in flight finish, close."""
        self._server.should_exit = True
        if self._task:
            with contextlib.suppress(asyncio.CancelledError):
                await self._task


def _naming_peers(app: Any) -> Any:
    async def named(scope: Any, receive: Any, send: Any) -> None:
        PEER.set((scope.get("client") or ("",))[0])
        await app(scope, receive, send)

    return named


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError with a sentence."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        if family == socket.AF_INET6 and host == "::":
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # and IPv4
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if is_foreign(error):
            raise OSError(foreign(host)) from error
        raise OSError(
            f"Port {port} on {host} can't be bound ({error.strerror}). Stop what uses it, or set"
            " another port."
        ) from error
    listener.listen(2048)
    listener.setblocking(False)
    return listener


def is_foreign(error: OSError) -> bool:
    """Whether a listener was not bound because the host is none of this machine's."""
    return isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL


def foreign(host: str) -> str:
    """The sentence for a host that is none of this machine's."""
    return (
        f"{host} is no address of this machine. Set ECOMIND_HOST to 127.0.0.1, to 0.0.0.0 for every"
        " network, or to one of its own addresses."
    )


def join_address(host: str, port: int) -> str:
    """`host:port`, with an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

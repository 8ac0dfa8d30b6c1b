"""OTLP/HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics`, protobuf and JSON, compressed or not.

Who sends is decided from the headers, before the body is read. A page of another origin may send
with a public key that names this origin, so preflights of known origins are answered. A bare ASGI
application, because a request here is two reads and one reply: a framework would cost more than the
work. Answers follow the OTLP specification: the same media type as the request, a response message
on success, a `google.rpc.Status` on refusal.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from google.rpc import status_pb2

from ecomind_receiver.answers import Accepted, as_json, as_protobuf
from ecomind_receiver.authentication import Door, Grant
from ecomind_receiver.inflating import ENCODINGS, too_large
from ecomind_receiver.ingest import INTERNAL, JSON, PROTOBUF, Ingest
from ecomind_receiver.origins import PREFLIGHT, UNKNOWN, Header, for_origin
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.signals import SIGNALS, Signal
from ecomind_receiver.tenants import Scope as KeyScope
from ecomind_receiver.tenants import foreign_headers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("ecomind.otlp")

_BY_PATH = {signal.path: signal for signal in SIGNALS}
_PLACES = ", ".join(f"POST {signal.path}" for signal in SIGNALS)
_NOT_FOUND = f"Not found. OTLP is taken at {_PLACES}.\n".encode()
_UNDERSTOOD = ("", "identity", *ENCODINGS)
_ACCEPT_ENCODING = (b"accept-encoding", ", ".join(ENCODINGS).encode())  # RFC 7694


class OtlpHttp:
    """The ASGI application behind the OTLP/HTTP port."""

    def __init__(self, ingest: Ingest, door: Door) -> None:
        self._ingest = ingest
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        signal = _BY_PATH.get(scope["path"])
        if signal is None:
            await _reply(send, 404, "text/plain", _NOT_FOUND)
        elif scope["method"] == "OPTIONS" and "origin" in headers:
            await self._preflight(headers["origin"], send)
        elif scope["method"] != "POST":
            await _reply(send, 405, "text/plain", b"Use POST.\n", (b"allow", b"POST"))
        else:
            await self._export(signal, headers, receive, send)

    async def _preflight(self, origin: str, send: Send) -> None:
        if self._door.knows_origin(origin):
            await _reply(send, 204, "text/plain", b"", *PREFLIGHT, *for_origin(origin))
        else:
            await _reply(send, 403, "text/plain", f"{UNKNOWN}\n".encode())

    async def _export(
        self, signal: Signal, headers: dict[str, str], receive: Receive, send: Send
    ) -> None:
        media_type = _media_type(headers)
        origin = headers.get("origin", "")
        shared = for_origin(origin) if self._door.knows_origin(origin) else ()
        try:
            accepted = await self._accept(signal, headers, receive)
            if accepted is None:
                return  # the client went away: nothing was promised
        except RequestRefused as error:
            if error.refusal is Refusal.UNSUPPORTED and _encoding(headers) not in _UNDERSTOOD:
                shared = (*shared, _ACCEPT_ENCODING)
            await _refuse(send, media_type, error, *shared)
        except Exception:
            log.exception("request failed")
            await _refuse(send, media_type, RequestRefused(Refusal.UNAVAILABLE, INTERNAL), *shared)
        else:
            answer = as_json(accepted, signal) if media_type == JSON else as_protobuf(accepted)
            await _reply(send, 200, media_type, answer, *shared)

    async def _accept(
        self, signal: Signal, headers: dict[str, str], receive: Receive
    ) -> Accepted | None:
        """What became of the request; None if its client went away. Raises RequestRefused."""
        try:
            grant = await self._admit(headers)
            body = await _read(headers, receive, self._ingest.max_bytes(grant.quotas))
        except RequestRefused as error:
            self._ingest.refused("http", error, signal=signal)
            raise
        if body is None:
            return None
        return await self._ingest.accept(
            grant.writes(),
            body,
            _media_type(headers),
            _encoding(headers),
            signal=signal,
            quotas=grant.quotas,
        )

    async def _admit(self, headers: dict[str, str]) -> Grant:
        authorization, origin = headers.get("authorization", ""), headers.get("origin", "")
        grant = await self._door.admit(KeyScope.INGEST, authorization, origin)
        self._ingest.ignore_claims("header", foreign_headers(grant.writes(), headers))
        return grant


def _media_type(headers: dict[str, str]) -> str:
    return headers.get("content-type", "").split(";")[0].strip().lower()


def _encoding(headers: dict[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower()


async def _read(headers: dict[str, str], receive: Receive, max_bytes: int) -> bytes | None:
    """The body; None if the client went away. Raises RequestRefused."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > max_bytes:
        raise too_large(max_bytes)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _refuse(send: Send, media_type: str, error: RequestRefused, *more: Header) -> None:
    code = error.refusal.grpc_code.value[0]
    if media_type == PROTOBUF:
        body = status_pb2.Status(code=code, message=error.message).SerializeToString()
    else:
        media_type = JSON
        body = json.dumps({"code": code, "message": error.message}).encode()
    if error.retry_after_seconds is not None:
        wait = str(math.ceil(error.retry_after_seconds)).encode()  # whole seconds, never too few
        more = (*more, (b"retry-after", wait))
    if error.refusal is Refusal.UNAUTHENTICATED:
        more = (*more, (b"www-authenticate", b'Bearer realm="Ecomind"'))
    if error.refusal in _BODY_UNREAD:
        more = (*more, (b"connection", b"close"))
    await _reply(send, error.refusal.http_status, media_type, body, *more)


_BODY_UNREAD = (Refusal.UNAUTHENTICATED, Refusal.FORBIDDEN, Refusal.TOO_LARGE)
"""After these the rest of the body is not worth reading."""


async def _reply(send: Send, status: int, media_type: str, body: bytes, *more: Header) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
        *more,
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

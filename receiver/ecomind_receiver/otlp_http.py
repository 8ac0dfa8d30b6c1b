"""OTLP/HTTP: `POST /v1/traces`, protobuf and JSON, gzip and deflate.

A bare ASGI application, because a request here is two reads and one reply: a framework would cost
more than the work. Answers follow the OTLP specification: the same media type as the request, an
empty response message on success, a `google.rpc.Status` on refusal.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from google.rpc import status_pb2

from ecomind_receiver.ingest import JSON, PROTOBUF, Ingest, IngestError, Refusal, too_large
from ecomind_receiver.tenants import LOCAL

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("ecomind.otlp")

_RPC_CODES = {400: 3, 413: 8, 415: 3, 503: 14}
_SUCCESS = {PROTOBUF: b"", JSON: b"{}"}


class OtlpHttp:
    """The ASGI application behind the OTLP/HTTP port."""

    def __init__(self, ingest: Ingest, request_max_bytes: int) -> None:
        self._ingest = ingest
        self._max_bytes = request_max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if scope["path"] != "/v1/traces":
            await _reply(send, 404, "text/plain", b"Not found. Traces go to POST /v1/traces.\n")
        elif scope["method"] != "POST":
            await _reply(send, 405, "text/plain", b"Use POST.\n", allow=b"POST")
        else:
            await self._traces(dict(scope["headers"]), receive, send)

    async def _traces(self, headers: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        media_type = (
            headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
        )
        encoding = headers.get(b"content-encoding", b"").strip().lower().decode("latin-1")
        try:
            try:
                body = await self._read(headers, receive)
            except IngestError as error:
                self._ingest.refused("http", error)
                raise
            if body is None:
                return  # the client went away: nothing was promised
            await self._ingest.accept(LOCAL, body, media_type, encoding)
        except IngestError as error:
            log.warning("refused", extra={"status": error.http_status, "error": error.message})
            await _refuse(send, media_type, error)
        except Exception:
            log.exception("request failed")
            await _reply(send, 500, "text/plain", b"Internal error; the request was not stored.\n")
        else:
            await _reply(send, 200, media_type, _SUCCESS[media_type])

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > self._max_bytes:
            raise too_large(self._max_bytes)
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_bytes:
                raise too_large(self._max_bytes)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def _refuse(send: Send, media_type: str, error: IngestError) -> None:
    code = _RPC_CODES[error.http_status]
    retry_after = error.retry_after_seconds
    if media_type == PROTOBUF:
        body = status_pb2.Status(code=code, message=error.message).SerializeToString()
    else:
        media_type = JSON
        body = json.dumps({"code": code, "message": error.message}).encode()
    closing = error.refusal is Refusal.TOO_LARGE  # the rest of the body is not worth reading
    await _reply(
        send, error.http_status, media_type, body, retry_after=retry_after, closing=closing
    )


async def _reply(
    send: Send,
    status: int,
    media_type: str,
    body: bytes,
    *,
    allow: bytes = b"",
    retry_after: int | None = None,
    closing: bool = False,
) -> None:
    headers = [
        (b"content-type", media_type.encode()),
        (b"content-length", str(len(body)).encode()),
    ]
    if allow:
        headers.append((b"allow", allow))
    if retry_after is not None:
        headers.append((b"retry-after", str(retry_after).encode()))
    if closing:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})

"""From a request's bytes to the spool: size, encoding, framing; then the durable append.

Whether an error is permanent or retryable is decided where it is raised; the table of refusals is
the only place that maps it to HTTP and gRPC.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Iterator
from enum import Enum
from typing import Any

import grpc

from ecomind_receiver import frame
from ecomind_receiver.keys import Keys
from ecomind_receiver.spool import Spool, SpoolFull, envelope
from ecomind_receiver.tenants import Tenant

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_INLINE_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024
RETRY_AFTER_SECONDS = 5


class Refusal(Enum):
    """Why a request is refused: (HTTP status, gRPC code, whether a client should retry)."""

    MALFORMED = (400, grpc.StatusCode.INVALID_ARGUMENT, False)
    UNSUPPORTED = (415, grpc.StatusCode.INVALID_ARGUMENT, False)
    TOO_LARGE = (413, grpc.StatusCode.RESOURCE_EXHAUSTED, False)
    UNAVAILABLE = (503, grpc.StatusCode.UNAVAILABLE, True)

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return int(self.value[0])

    @property
    def grpc_code(self) -> Any:
        """The gRPC status code."""
        return self.value[1]

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return bool(self.value[2])


class IngestError(Exception):
    """A request was refused; nothing of it is kept."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message

    @property
    def http_status(self) -> int:
        """The HTTP status for this error."""
        return self.refusal.http_status

    @property
    def retry_after_seconds(self) -> int | None:
        """Seconds to wait before a retry; None if a retry can't help."""
        return RETRY_AFTER_SECONDS if self.refusal.retryable else None


class Ingest:
    """Accepts OTLP trace requests for one spool."""

    def __init__(self, spool: Spool, keys: Keys, request_max_bytes: int) -> None:
        self._spool = spool
        self._keys = keys
        self._max_bytes = request_max_bytes
        self._pseudonym_keys: dict[str, tuple[int, int]] = {}
        self._inflating = asyncio.Semaphore(1)
        self.acked_spans = 0
        self.requests: dict[tuple[str, str], int] = {}

    async def accept(
        self,
        tenant: Tenant,
        body: bytes,
        media_type: str,
        encoding: str = "",
        *,
        transport: str = "http",
    ) -> int:
        """Spans of an ExportTraceServiceRequest, durable on return. Raises IngestError."""
        try:
            spans = await self._accept(tenant, body, media_type, encoding)
        except IngestError as error:
            self.refused(transport, error)
            raise
        self._count(transport, "success")
        self.acked_spans += spans
        return spans

    def refused(self, transport: str, error: IngestError) -> None:
        """Count a request that was refused, here or while its body was read."""
        self._count(transport, "failure" if error.refusal.retryable else "refused")

    def _count(self, transport: str, outcome: str) -> None:
        self.requests[transport, outcome] = self.requests.get((transport, outcome), 0) + 1

    async def _accept(self, tenant: Tenant, body: bytes, media_type: str, encoding: str) -> int:
        if len(body) > self._max_bytes:
            raise too_large(self._max_bytes)
        if encoding not in ("", "identity"):
            body = await self._decompressed(body, encoding)
        count = _COUNTERS.get(media_type)
        if count is None:
            raise IngestError(
                Refusal.UNSUPPORTED,
                f"Content-Type must be {PROTOBUF} or {JSON}, not {media_type!r}.",
            )
        try:
            spans = count(body)
        except frame.FrameError as error:
            raise IngestError(Refusal.MALFORMED, str(error)) from error
        if not spans:
            return 0
        json = media_type == JSON
        key = self._pseudonym_key(tenant.org_id)
        record = envelope(tenant, time.time_ns(), key, body, json=json)
        try:
            await self._spool.append(record, spans, json=json)
        except SpoolFull as error:
            raise IngestError(Refusal.UNAVAILABLE, f"Not accepted now: {error}.") from error
        return spans

    async def _decompressed(self, body: bytes, encoding: str) -> bytes:
        if encoding not in _WINDOW_BITS:
            raise IngestError(
                Refusal.UNSUPPORTED,
                f"Content-Encoding must be gzip, deflate or identity, not {encoding!r}.",
            )
        if len(body) <= _INLINE_BYTES:
            return decompress(body, encoding, self._max_bytes)
        async with self._inflating:  # one at a time: many bombs together hold no more than one
            return await asyncio.to_thread(decompress, body, encoding, self._max_bytes)

    def _pseudonym_key(self, org_id: str) -> tuple[int, int]:
        key = self._pseudonym_keys.get(org_id)
        if key is None:
            key = self._pseudonym_keys[org_id] = self._keys.pseudonym_key(org_id)
        return key


_WINDOW_BITS = {"gzip": 31, "deflate": 15}


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Inflate gzip (all members) or zlib data, never past `max_bytes`. Raises IngestError.

    In small pieces, so that a bomb costs `max_bytes` of memory at most and not a multiple of it.
    """
    pieces: list[bytes] = []
    room = max_bytes
    try:
        for piece in _inflated(body, _WINDOW_BITS[encoding]):
            room -= len(piece)
            if room < 0:
                raise too_large(max_bytes)
            pieces.append(piece)
    except (zlib.error, EOFError) as error:
        raise IngestError(
            Refusal.MALFORMED, f"The body is not valid {encoding}: {error}."
        ) from error
    return b"".join(pieces)


def _inflated(body: bytes, window_bits: int) -> Iterator[bytes]:
    stream = zlib.decompressobj(window_bits)
    for start in range(0, len(body), _PIECE_BYTES):
        data = body[start : start + _PIECE_BYTES]
        while data:
            if stream.eof:  # another member follows
                stream = zlib.decompressobj(window_bits)
            yield stream.decompress(data, _PIECE_BYTES)
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
    if not stream.eof:
        raise EOFError("it ends too early")


def too_large(max_bytes: int) -> IngestError:
    """The refusal of a body above the limit."""
    return IngestError(
        Refusal.TOO_LARGE,
        f"The request is larger than {max_bytes} bytes, before or after decompression."
        " Send smaller batches, or raise ECOMIND_REQUEST_MAX_BYTES.",
    )


_COUNTERS = {PROTOBUF: frame.count_protobuf, JSON: frame.count_json}

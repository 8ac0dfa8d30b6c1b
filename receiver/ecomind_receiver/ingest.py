"""From a request's bytes to the spool: size, encoding, framing, quota; then the durable append."""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Iterator

from ecomind_receiver import frame
from ecomind_receiver.limits import UNLIMITED, Limits, Quotas
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.spool import Spool, SpoolFull, envelope
from ecomind_receiver.tenants import Tenant

log = logging.getLogger("ecomind.otlp")

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_INLINE_BYTES = 64 * 1024
_PIECE_BYTES = 256 * 1024


class Ingest:
    """Accepts OTLP trace requests for one spool."""

    def __init__(
        self, spool: Spool, secrets: Secrets, limits: Limits, request_max_bytes: int
    ) -> None:
        self._spool = spool
        self._secrets = secrets
        self._limits = limits
        self._max_bytes = request_max_bytes
        self._pseudonym_keys: dict[tuple[str, int], tuple[int, int]] = {}
        self._inflating = asyncio.Semaphore(1)
        self.acked_spans = 0
        self.requests: dict[tuple[str, str], int] = {}
        self._logged: dict[tuple[Refusal, str], float] = {}
        self.over_quota: dict[str, int] = {}
        self.ignored_claims: dict[str, int] = {}

    async def accept(
        self,
        tenant: Tenant,
        body: bytes,
        media_type: str,
        encoding: str = "",
        *,
        quotas: Quotas = UNLIMITED,
        transport: str = "http",
    ) -> int:
        """Spans of an ExportTraceServiceRequest, durable on return. Raises RequestRefused."""
        try:
            spans = await self._accept(tenant, quotas, body, media_type, encoding)
        except RequestRefused as error:
            self.refused(transport, error, tenant.org_id)
            raise
        self._count(transport, "success")
        self.acked_spans += spans
        return spans

    def refused(self, transport: str, error: RequestRefused, org_id: str = "") -> None:
        """Count a request that was refused, here or before; log one a second of each kind."""
        self._count(transport, "failure" if error.refusal is Refusal.UNAVAILABLE else "refused")
        now = time.monotonic()
        if now - self._logged.get((error.refusal, org_id), -1.0) >= 1:
            self._logged[error.refusal, org_id] = now
            values = {"status": error.http_status, "error": error.message, "org": org_id}
            log.warning("refused", extra=values)

    def ignore_claims(self, source: str, claims: int) -> None:
        """Count what named another tenant than the key does; nothing else comes of it."""
        if claims:
            self.ignored_claims[source] = self.ignored_claims.get(source, 0) + claims

    def _count(self, transport: str, outcome: str) -> None:
        self.requests[transport, outcome] = self.requests.get((transport, outcome), 0) + 1

    async def _accept(
        self, tenant: Tenant, quotas: Quotas, body: bytes, media_type: str, encoding: str
    ) -> int:
        if len(body) > self._max_bytes:
            raise too_large(self._max_bytes)
        if encoding not in ("", "identity"):
            body = await self._decompressed(body, encoding)
        count = _COUNTERS.get(media_type)
        if count is None:
            raise RequestRefused(
                Refusal.UNSUPPORTED,
                f"Content-Type must be {PROTOBUF} or {JSON}, not {media_type!r}.",
            )
        try:
            spans = count(body)
        except frame.FrameError as error:
            raise RequestRefused(Refusal.MALFORMED, str(error)) from error
        if not spans:
            return 0
        await self._charge(tenant.org_id, quotas, spans)
        json = media_type == JSON
        now_ns = time.time_ns()
        key = self._pseudonym_key(tenant.org_id, time.gmtime(now_ns // 1_000_000_000).tm_year)
        record = envelope(tenant, now_ns, key, body, json=json)
        try:
            await self._spool.append(tenant.org_id, record, spans, json=json)
        except SpoolFull as error:
            raise RequestRefused(Refusal.UNAVAILABLE, f"Not accepted now: {error}.") from error
        return spans

    async def _decompressed(self, body: bytes, encoding: str) -> bytes:
        if encoding not in _WINDOW_BITS:
            raise RequestRefused(
                Refusal.UNSUPPORTED,
                f"Content-Encoding must be gzip, deflate or identity, not {encoding!r}.",
            )
        if len(body) <= _INLINE_BYTES:
            return decompress(body, encoding, self._max_bytes)
        async with self._inflating:  # one at a time: many bombs together hold no more than one
            return await asyncio.to_thread(decompress, body, encoding, self._max_bytes)

    async def _charge(self, org_id: str, quotas: Quotas, spans: int) -> None:
        refused = await self._limits.take(org_id, quotas.key_id, quotas.org, quotas.key, spans)
        if refused is None:
            return
        self.over_quota[refused.level] = self.over_quota.get(refused.level, 0) + 1
        whose = "organisation" if refused.level == "org" else "API key"
        raise RequestRefused(
            Refusal.OVER_QUOTA,
            f"Over the quota of this {whose}. Send {spans} spans again in"
            f" {refused.wait_seconds:.3f} seconds.",
            refused.wait_seconds,
        )

    def _pseudonym_key(self, org_id: str, epoch: int) -> tuple[int, int]:
        key = self._pseudonym_keys.get((org_id, epoch))
        if key is None:
            key = self._secrets.pseudonym_key(org_id, epoch)
            self._pseudonym_keys[org_id, epoch] = key
        return key


_WINDOW_BITS = {"gzip": 31, "deflate": 15}


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Inflate gzip (all members) or zlib data, never past `max_bytes`. Raises RequestRefused.

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
        raise RequestRefused(
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


def too_large(max_bytes: int) -> RequestRefused:
    """The refusal of a body above the limit."""
    return RequestRefused(
        Refusal.TOO_LARGE,
        f"The request is larger than {max_bytes} bytes, before or after decompression."
        " Send smaller batches, or raise ECOMIND_REQUEST_MAX_BYTES.",
    )


_COUNTERS = {PROTOBUF: frame.count_protobuf, JSON: frame.count_json}

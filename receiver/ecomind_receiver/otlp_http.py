"""OTLP/HTTP: `POST /v1/traces`, `/v1/logs` and `/v1/metrics`, protobuf and JSON, compressed or not.

Who sends is decided from the headers, before the body is read. A page of another origin may send
with a public key that names this origin, so preflights of known origins are answered. Answers
follow the OTLP specification: the same media type as the request, a response message on success, a
`google.rpc.Status` on refusal.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping

from google.rpc import status_pb2

from ecomind_receiver.answers import Accepted, as_json, as_protobuf
from ecomind_receiver.authentication import Door, Grant
from ecomind_receiver.in_flight import Held
from ecomind_receiver.inflating import ENCODINGS, too_large
from ecomind_receiver.ingest import INTERNAL, JSON, PROTOBUF, Ingest
from ecomind_receiver.origins import PREFLIGHT, UNKNOWN, Header, for_origin
from ecomind_receiver.otlp_protocol import Answer, Request, TooLarge
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.signals import SIGNALS, Signal
from ecomind_receiver.tenants import Scope as KeyScope
from ecomind_receiver.tenants import foreign_headers

log = logging.getLogger("ecomind.otlp")

_BY_PATH = {signal.path: signal for signal in SIGNALS}
_PLACES = ", ".join(f"POST {signal.path}" for signal in SIGNALS)
_NOT_FOUND = f"Not found. OTLP is taken at {_PLACES}.\n".encode()
_UNDERSTOOD = ("", "identity", *ENCODINGS)
_ACCEPT_ENCODING = (b"accept-encoding", ", ".join(ENCODINGS).encode())  # RFC 7694


class OtlpHttp:
    """What the OTLP/HTTP port answers."""

    def __init__(self, ingest: Ingest, door: Door) -> None:
        self._ingest = ingest
        self._door = door

    async def __call__(self, request: Request) -> Answer | None:
        """Serve one request; None if its client went away."""
        signal = _BY_PATH.get(request.path)
        if signal is None:
            return Answer(404, "text/plain", _NOT_FOUND)
        if request.method == "POST":
            return await self._export(signal, request)
        if request.method == "OPTIONS" and "origin" in request.headers:
            return self._preflight(request.headers["origin"])
        return Answer(405, "text/plain", b"Use POST.\n", ((b"allow", b"POST"),))

    def _preflight(self, origin: str) -> Answer:
        if self._door.knows_origin(origin):
            return Answer(204, "text/plain", b"", (*PREFLIGHT, *for_origin(origin)))
        return Answer(403, "text/plain", f"{UNKNOWN}\n".encode())

    async def _export(self, signal: Signal, request: Request) -> Answer | None:
        headers = request.headers
        media_type = _media_type(headers)
        origin = headers.get("origin", "")
        shared = for_origin(origin) if origin and self._door.knows_origin(origin) else ()
        try:
            accepted = await self._accept(signal, request, media_type)
        except RequestRefused as error:
            if error.refusal is Refusal.UNSUPPORTED and _encoding(headers) not in _UNDERSTOOD:
                shared = (*shared, _ACCEPT_ENCODING)
            return _refusal(media_type, error, *shared)
        except Exception:
            log.exception("request failed")
            return _refusal(media_type, RequestRefused(Refusal.UNAVAILABLE, INTERNAL), *shared)
        if accepted is None:
            return None  # the client went away: nothing was promised
        body = as_json(accepted, signal) if media_type == JSON else as_protobuf(accepted)
        return Answer(200, media_type, body, shared)

    async def _accept(self, signal: Signal, request: Request, media_type: str) -> Accepted | None:
        """What became of the request; None if its client went away. Raises RequestRefused."""
        try:
            grant = await self._admit(request.headers)
        except RequestRefused as error:
            self._ingest.refused("http", error, signal=signal)
            raise
        tenant = grant.writes()
        with self._ingest.in_flight.request(tenant.org_id) as held:
            try:
                body = await _read(request, self._ingest.max_bytes(grant.quotas), held)
            except RequestRefused as error:
                self._ingest.refused("http", error, tenant.org_id, signal=signal)
                raise
            if body is None:
                return None
            return await self._ingest.accept(
                tenant,
                body,
                media_type,
                _encoding(request.headers),
                held=held,
                signal=signal,
                quotas=grant.quotas,
            )

    async def _admit(self, headers: Mapping[str, str]) -> Grant:
        authorization, origin = headers.get("authorization", ""), headers.get("origin", "")
        grant = await self._door.admit(KeyScope.INGEST, authorization, origin)
        self._ingest.ignore_claims("header", foreign_headers(grant.writes(), headers))
        return grant


def _media_type(headers: Mapping[str, str]) -> str:
    return headers.get("content-type", "").split(";")[0].strip().lower()


def _encoding(headers: Mapping[str, str]) -> str:
    return headers.get("content-encoding", "").strip().lower()


async def _read(request: Request, max_bytes: int, held: Held) -> bytes | None:
    """The body; None if the client went away. Raises RequestRefused."""
    try:
        return await request.body(max_bytes, held.grow_to)
    except TooLarge:
        raise too_large(max_bytes) from None


def _refusal(media_type: str, error: RequestRefused, *more: Header) -> Answer:
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
    return Answer(error.refusal.http_status, media_type, body, more)


_BODY_UNREAD = (Refusal.UNAUTHENTICATED, Refusal.FORBIDDEN, Refusal.TOO_LARGE)
"""After these the rest of the body is not worth reading."""

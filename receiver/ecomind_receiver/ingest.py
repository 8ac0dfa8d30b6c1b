"""From a request's bytes to the spool: size, encoding, framing, quota; then the durable append.

Traces and logs are kept; metrics go the same way up to their framing, are counted, and end there.
"""

from __future__ import annotations

import logging
import time

from ecomind_receiver import camel_case, frame
from ecomind_receiver.answers import Accepted
from ecomind_receiver.batch import Buffer
from ecomind_receiver.clock import Clock
from ecomind_receiver.in_flight import Held, InFlight
from ecomind_receiver.inflating import Inflater, too_large
from ecomind_receiver.kinds import Kind
from ecomind_receiver.limits import UNLIMITED, Limits, Quotas
from ecomind_receiver.pending import RecordTooLarge, SpoolFull
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.signals import TRACES, Signal
from ecomind_receiver.spool import envelope
from ecomind_receiver.tenants import Tenant

log = logging.getLogger("ecomind.otlp")

INTERNAL = "Internal error; the request was not stored. Send it again."

PUBLIC_MAX_BYTES = 1024 * 1024
"""The largest request of a public key: anybody may hold one."""

PROTOBUF, JSON = "application/x-protobuf", "application/json"


class Ingest:
    """Accepts OTLP requests for one buffer."""

    def __init__(
        self,
        spool: Buffer,
        secrets: Secrets,
        limits: Limits,
        request_max_bytes: int,
        in_flight: InFlight,
        clock: Clock,
    ) -> None:
        self.in_flight = in_flight
        self._clock = clock
        self._spool = spool
        self._secrets = secrets
        self._limits = limits
        self._max_bytes = request_max_bytes
        self._pseudonym_keys: dict[tuple[str, int], tuple[int, int]] = {}
        self._inflater = Inflater()
        self.items: dict[tuple[str, str], int] = {}
        self.requests: dict[tuple[str, str, str], int] = {}
        self._logged: dict[tuple[Refusal, str], float] = {}
        self.over_quota: dict[str, int] = {}
        self.not_now: dict[str, int] = {}  # cause → requests that are to be sent again
        self.ignored_claims: dict[str, int] = {}

    async def accept(
        self,
        tenant: Tenant,
        body: bytes,
        media_type: str,
        encoding: str = "",
        *,
        held: Held,
        signal: Signal = TRACES,
        quotas: Quotas = UNLIMITED,
        transport: str = "http",
    ) -> Accepted:
        """What became of an Export request, durable on return. Raises RequestRefused.

        `held` is of `in_flight`, and given back by the caller.
        """
        try:
            held.grow_to(len(body))
            accepted = await self._accept(signal, tenant, quotas, body, media_type, encoding, held)
        except RequestRefused as error:
            self.refused(transport, error, tenant.org_id, signal=signal)
            raise
        self._count(transport, "success", signal)
        self._count_items(signal, "accepted" if signal.kind else "ignored", accepted.items)
        self._count_items(signal, "refused", accepted.rejected)
        return accepted

    def max_bytes(self, quotas: Quotas) -> int:
        """The largest request, in bytes, that may be sent at these quotas."""
        return min(self._max_bytes, PUBLIC_MAX_BYTES) if quotas.public else self._max_bytes

    def refused(
        self, transport: str, error: RequestRefused, org_id: str = "", *, signal: Signal = TRACES
    ) -> None:
        """Count a request that was refused, here or before; log one a second of each kind."""
        outcome = "failure" if error.refusal is Refusal.UNAVAILABLE else "refused"
        self._count(transport, outcome, signal)
        if error.cause:
            self.not_now[error.cause] = self.not_now.get(error.cause, 0) + 1
        now = time.monotonic()
        if now - self._logged.get((error.refusal, org_id), -1.0) >= 1:
            self._logged[error.refusal, org_id] = now
            values = {"status": error.refusal.http_status, "error": error.message, "org": org_id}
            log.warning("refused", extra=values)

    def close(self) -> None:
        """End the threads that inflate."""
        self._inflater.close()

    def ignore_claims(self, source: str, claims: int) -> None:
        """Count what named another tenant than the key does; nothing else comes of it."""
        if claims:
            self.ignored_claims[source] = self.ignored_claims.get(source, 0) + claims

    def _count(self, transport: str, outcome: str, signal: Signal) -> None:
        key = transport, outcome, signal.name
        self.requests[key] = self.requests.get(key, 0) + 1

    def _count_items(self, signal: Signal, outcome: str, items: int) -> None:
        if items:
            self.items[outcome, signal.name] = self.items.get((outcome, signal.name), 0) + items

    async def _accept(
        self,
        signal: Signal,
        tenant: Tenant,
        quotas: Quotas,
        body: bytes,
        media_type: str,
        encoding: str,
        held: Held,
    ) -> Accepted:
        max_bytes = self.max_bytes(quotas)
        if len(body) > max_bytes:
            raise too_large(max_bytes)
        if encoding not in ("", "identity"):
            sent_bytes = len(body)
            body = await self._inflater.inflate(tenant.org_id, body, encoding, max_bytes)
            held.grow_to(sent_bytes + len(body))
        if media_type not in _COUNTERS:
            raise RequestRefused(Refusal.UNSUPPORTED, f"Content-Type must be {PROTOBUF} or {JSON}.")
        snake_case = media_type == JSON and camel_case.needed(body)
        try:
            body = camel_case.rewritten(body) if snake_case else body
            found = _COUNTERS[media_type](body, signal)
        except frame.FrameError as error:
            raise RequestRefused(Refusal.MALFORMED, str(error)) from error
        kind = signal.json_kind if media_type == JSON else signal.kind
        if kind and found.accepted:
            await self._keep(signal, tenant, quotas, body, kind, found)
        return Accepted(found.accepted, found.rejected, snake_case)

    async def _keep(
        self,
        signal: Signal,
        tenant: Tenant,
        quotas: Quotas,
        body: bytes,
        kind: Kind,
        found: frame.Frame,
    ) -> None:
        """Append the whole body: what of it can't be accepted is dropped when it is decoded."""
        now_ns = self._clock.received_ns()
        key = self._pseudonym_key(tenant.org_id, time.gmtime(now_ns // 1_000_000_000).tm_year)
        record = envelope(tenant, now_ns, key, body, kind)
        try:
            self._spool.require_room(tenant.org_id, len(body))  # who must wait is not charged
            await self._charge(signal, tenant.org_id, quotas, found.items)
            await self._spool.append(tenant.org_id, record, found.items, kind)
        except SpoolFull as error:
            message = f"Not accepted now: {error}."
            raise RequestRefused(
                Refusal.UNAVAILABLE, message, error.wait_seconds, cause=error.cause
            ) from error
        except RecordTooLarge as error:
            raise RequestRefused(Refusal.TOO_LARGE, str(error)) from error

    async def _charge(self, signal: Signal, org_id: str, quotas: Quotas, items: int) -> None:
        if quotas.public and quotas.key and items > quotas.key.burst_spans:
            most = f"{quotas.key.burst_spans:.0f} {signal.items}"
            raise RequestRefused(
                Refusal.TOO_LARGE, f"This public key may send {most} at once, not {items}."
            )
        refused = await self._limits.take(org_id, quotas.key_id, quotas.org, quotas.key, items)
        if refused is None:
            return
        self.over_quota[refused.level] = self.over_quota.get(refused.level, 0) + 1
        whose = "organisation" if refused.level == "org" else "API key"
        raise RequestRefused(
            Refusal.OVER_QUOTA,
            f"Over the quota of this {whose} ({signal.items} in this request: {items})."
            f" Send it again in {refused.wait_seconds:.3f} seconds.",
            refused.wait_seconds,
        )

    def _pseudonym_key(self, org_id: str, epoch: int) -> tuple[int, int]:
        key = self._pseudonym_keys.get((org_id, epoch))
        if key is None:
            key = self._secrets.pseudonym_key(org_id, epoch)
            self._pseudonym_keys[org_id, epoch] = key
        return key


_COUNTERS = {PROTOBUF: frame.count_protobuf, JSON: frame.count_json}

"""One JSON event becomes one OTLP span, so that it takes the very same path as every other call.

Trace and span id are a hash of the caller's project and the event's own id: the same event gives
the same span, which the store keeps once, and the same id elsewhere gives another. What an event
says about its organisation or its project decides nothing; the caller is told what was ignored.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ecomind_processor.factors import FactorSet
from ecomind_processor.placement import place
from ecomind_query.errors import BadParameter
from ecomind_query.shapes import Event
from ecomind_query.siphash import siphash64
from ecomind_receiver.tenants import Tenant
from ecomind_semconv import names
from ecomind_semconv.units import NS_PER_MS, NS_PER_SECOND

SCOPE = "ecomind.ingest"
_STATED = "stated"
_AREA = "area of the stated code"


class Identity(NamedTuple):
    """The ids of an event's span, as OTLP and as the store name them."""

    trace_id: bytes
    span_id: bytes

    @property
    def trace_hash(self) -> int:
        """The store's hash of the trace id."""
        return siphash64(self.trace_id)

    @property
    def span_number(self) -> int:
        """The span id as the store's integer."""
        return int.from_bytes(self.span_id, "big")


def identify(event: Event, tenant: Tenant) -> Identity:
    """The ids of the tenant's event: from its own id where it has one, else random."""
    event_id = event.event_id or secrets.token_hex(16)
    canonical = "\0".join(("ecomind-event", *tenant, event_id)).encode()
    digest = hashlib.sha256(canonical).digest()
    return Identity(digest[:16], digest[16:24])


def claims(event: Event, tenant: Tenant) -> list[str]:
    """The fields that name another organisation or project than where the event is stored."""
    named = (
        ("org_id", event.org_id, tenant.org_id),
        ("project", event.project, tenant.project_id),
    )
    return [name for name, given, own in named if given not in (None, "", own)]


def check(event: Event, factors: FactorSet, *, now: datetime, retention_days: int) -> None:
    """Refuse what could not be stored. Raises BadParameter."""
    how = place(event.region, "", "", factors).how
    if not how.startswith(_STATED) and how != _AREA:
        raise BadParameter(
            "region",
            f"{event.region[:40]!r} is not known. Use a grid zone such as US-CAISO, a cloud region"
            " such as eu-west-1 or europe-west9, or an ISO country such as FR.",
        )
    started = event.timestamp or now
    if not now - timedelta(days=retention_days) < started < now + timedelta(days=1):
        raise BadParameter(
            "timestamp",
            f"{started.isoformat()} must lie within the last {retention_days} days"
            " (ECOMIND_RETENTION_DAYS) and not more than a day ahead.",
        )


def to_otlp(event: Event, identity: Identity, now: datetime) -> bytes:
    """The event as a serialised ExportTraceServiceRequest with one span."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(_attributes(_resource(event)))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = SCOPE
    start_ns = _nanoseconds(event.timestamp or now)
    scope_spans.spans.add(
        trace_id=identity.trace_id,
        span_id=identity.span_id,
        name=f"chat {event.model}",
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + round(event.duration_ms * NS_PER_MS),
        attributes=_attributes(_span(event)),
    )
    return request.SerializeToString()


def _resource(event: Event) -> dict[str, str | int | None]:
    return {"service.name": event.service, "deployment.environment.name": event.environment}


def _span(event: Event) -> dict[str, str | int | None]:
    return {
        names.GEN_AI_OPERATION_NAME: "chat",
        names.GEN_AI_PROVIDER_NAME: event.provider,
        names.GEN_AI_REQUEST_MODEL: event.model,
        "gen_ai.usage.input_tokens": event.tokens_in,
        "gen_ai.usage.output_tokens": event.tokens_out,
        "gen_ai.usage.cache_read.input_tokens": event.cache_read_tokens or None,
        "gen_ai.usage.cache_write.input_tokens": event.cache_write_tokens or None,
        "gen_ai.usage.reasoning.output_tokens": event.reasoning_tokens or None,
        names.ECOMIND_INFERENCE_REGION: event.region,
        names.ECOMIND_TEAM: event.team,
        names.USER_ID: event.user_id,
    }


def _attributes(values: dict[str, str | int | None]) -> list[KeyValue]:
    return [
        KeyValue(
            key=key,
            value=AnyValue(string_value=value)
            if isinstance(value, str)
            else AnyValue(int_value=value),
        )
        for key, value in values.items()
        if value not in (None, "")
    ]


def _nanoseconds(instant: datetime) -> int:
    whole = instant.replace(microsecond=0)
    return round(whole.timestamp()) * NS_PER_SECOND + instant.microsecond * 1000

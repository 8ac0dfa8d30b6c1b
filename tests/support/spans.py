"""Spans and log records made by hand, a request for each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.signals import LOGS, TRACES, Signal
from ecomind_receiver.tenants import Tenant
from support.otlp import key_value

NS = 1_000_000_000
BEGIN_NS = (int(time.time()) - 600) * NS
"""When a span starts that says nothing else."""

A, B = "openinference.instrumentation.openai", "openinference.instrumentation.langchain"
"""Two scopes of which nothing special is known."""


@dataclass(frozen=True)
class Span:
    """A span of gpt-4o, 1,200 in and 345 out unless `tokens` says otherwise; times in seconds."""

    id: int
    trace: int = 0  # its own by default
    parent: int = 0
    scope: str = A
    service: str = "shop"
    start: float = 0
    seconds: float = 1
    tokens: tuple[int, int] | None = (1200, 345)
    state: str = ""
    failed: bool = False
    more: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Event:
    """A log record of a coding CLI."""

    scope: str
    service: str
    at: float
    attributes: dict[str, Any]


Item = Span | Event


def bodies(items: Sequence[Item]) -> list[tuple[bytes, Signal]]:
    """A request for each item, with its signal."""
    return [
        (span_request(item).SerializeToString(), TRACES)
        if isinstance(item, Span)
        else (log_request(item).SerializeToString(), LOGS)
        for item in items
    ]


def span_request(span: Span) -> Message:
    message = ExportTraceServiceRequest()
    resource = message.resource_spans.add()
    resource.resource.attributes.append(key_value("service.name", span.service))
    scope = resource.scope_spans.add()
    scope.scope.name = span.scope
    start_ns = BEGIN_NS + int(span.start * NS)
    made: Any = scope.spans.add(
        trace_id=(span.trace or 1000 + span.id).to_bytes(16, "big"),
        span_id=span.id.to_bytes(8, "big"),
        parent_span_id=span.parent.to_bytes(8, "big") if span.parent else b"",
        trace_state=span.state,
        start_time_unix_nano=start_ns,
        end_time_unix_nano=start_ns + int(span.seconds * NS),
    )
    made.status.code = 2 if span.failed else 0
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
    }
    if span.tokens:
        attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"] = (
            span.tokens
        )
    kept = {key: value for key, value in attributes.items() if key not in span.without}
    made.attributes.extend(key_value(key, value) for key, value in (kept | span.more).items())
    return message


def log_request(event: Event) -> Message:
    message = ExportLogsServiceRequest()
    resource = message.resource_logs.add()
    resource.resource.attributes.append(key_value("service.name", event.service))
    scope = resource.scope_logs.add()
    scope.scope.name = event.scope
    record = scope.log_records.add(time_unix_nano=BEGIN_NS + int(event.at * NS))
    record.attributes.extend(key_value(key, value) for key, value in event.attributes.items())
    return message


async def send(receiver: Receiver, org_id: str, items: Sequence[Item]) -> None:
    """Each item in a request of its own."""
    for body, signal in bodies(items):
        await receiver.accept(Tenant(org_id, "default"), body, PROTOBUF, signal=signal)

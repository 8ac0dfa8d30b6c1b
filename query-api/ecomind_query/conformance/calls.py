"""The calls that cases send: one shape, in protobuf or in OTLP/JSON."""

from __future__ import annotations

import itertools
import json
import secrets
import time
import uuid
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ecomind_query.conformance.target import Transport

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
}
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
TOKENS = [[1000, 300]]
"""Input and output tokens of the one call of `message`."""

_FIELDS = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
_RUN = secrets.token_hex(4)
_numbers = itertools.count(1)


def new_service() -> str:
    """A service name that nothing else uses."""
    return f"conformance-{_RUN}-{next(_numbers)}"


def message(service: str, *spans: dict[str, Any]) -> ExportTraceServiceRequest:
    """A request with these attributes a span, by default one call of 1,000 and 300 tokens."""
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.add(key="service.name").value.string_value = service
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "conformance"
    begin = time.time_ns() - 2_000_000_000
    for number, attributes in enumerate(spans or ({INPUT: 1000, OUTPUT: 300},), start=1):
        span = scope_spans.spans.add(
            trace_id=uuid.uuid4().bytes,
            span_id=number.to_bytes(8, "big"),
            name="chat",
            kind=3,
            start_time_unix_nano=begin,
            end_time_unix_nano=begin + 1_000_000_000,
        )
        for key, value in {**CHAT, **attributes}.items():
            setattr(span.attributes.add(key=key).value, _FIELDS[type(value)], value)
    return request


def encode(request: Message, transport: Transport) -> bytes:
    """The request, of any signal, in the transport's encoding."""
    if transport is not Transport.JSON:
        return request.SerializeToString()
    if isinstance(request, ExportTraceServiceRequest):
        return json.dumps(document(request)).encode()
    return json.dumps(MessageToDict(request, use_integers_for_enums=True)).encode()


def document(request: ExportTraceServiceRequest) -> dict[str, Any]:
    """The request as OTLP/JSON: ids in hexadecimal, enums as numbers, 64-bit integers as text."""
    found: dict[str, Any] = MessageToDict(request, use_integers_for_enums=True)
    for resource_spans, source in zip(
        found.get("resourceSpans", ()), request.resource_spans, strict=True
    ):
        for scope_spans, scope in zip(
            resource_spans.get("scopeSpans", ()), source.scope_spans, strict=True
        ):
            for span, ids in zip(scope_spans.get("spans", ()), scope.spans, strict=True):
                span |= {"traceId": ids.trace_id.hex(), "spanId": ids.span_id.hex()}
    return found


def spans_of(request: ExportTraceServiceRequest) -> Any:
    """The spans of a request that `message` made."""
    return request.resource_spans[0].scope_spans[0].spans


def one_call(service: str, transport: Transport) -> bytes:
    """A call of 1,000 and 300 tokens."""
    return encode(message(service), transport)


def json_call(service: str, *attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """A call in OTLP/JSON with these attributes as they are, and these fields of its span."""
    found = document(message(service, {}))
    span = json_spans(found)[0]
    span["attributes"] += attributes
    span |= fields
    return found


def json_spans(found: dict[str, Any]) -> list[dict[str, Any]]:
    """The spans of a document that `json_call` made."""
    spans: list[dict[str, Any]] = found["resourceSpans"][0]["scopeSpans"][0]["spans"]
    return spans


def attribute(key: str, **value: Any) -> dict[str, Any]:
    """An attribute in OTLP/JSON: `attribute("k", intValue="1")`."""
    return {"key": key, "value": value}

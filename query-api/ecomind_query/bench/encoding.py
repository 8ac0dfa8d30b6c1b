"""The workload's spans as OTLP, protobuf and JSON, with markers where ids and times will stand.

Every span is padded to one length: then a marker lies at a fixed stride, and `templates.py` can
write it for hundreds of spans in one assignment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from ecomind_query.bench.workload import MESSAGES, Call, Kind, Variant

SPAN_BYTES = {Variant.PLAIN: 630, Variant.GZIP: 630, Variant.CONTENT: 2520, Variant.JSON: 1250}
"""Length of one encoded span; JSON names its fields and writes numbers as text."""

SCOPES = {
    Kind.CALL: "opentelemetry.instrumentation.genai.openai",
    Kind.CONTAINER: "opentelemetry.instrumentation.genai.openai",
    Kind.TWIN: "openinference.instrumentation.openai",
}


class Markers(NamedTuple):
    """What stands where a value will be; none of it occurs in a span otherwise."""

    number: bytes
    span_id: bytes
    start_ns: bytes
    end_ns: bytes
    response: bytes


PROTOBUF = Markers(b"\xf1index.8", b"\xf2spanid8", b"\xf3start.8", b"\xf4finish8", b"r" * 16)
JSON = Markers(b"t" * 16, b"s" * 16, b"1" * 19, b"2" * 19, b"r" * 16)


def body(calls: Sequence[Call], team: str, variant: Variant, seed: int) -> bytes:
    """One ExportTraceServiceRequest: the spans by scope, in the order given."""
    scopes: dict[str, list[bytes]] = {}
    for call in calls:
        scopes.setdefault(SCOPES[call.kind], []).append(_padded(call, variant, seed))
    request = _json_request if variant is Variant.JSON else _protobuf_request
    return request(_resource(team), scopes)


def _padded(call: Call, variant: Variant, seed: int) -> bytes:
    """The span at exactly SPAN_BYTES. Raises ValueError if it can't be made that long."""
    encode = _json_span if variant is Variant.JSON else _protobuf_span
    attributes = _attributes(call, variant, seed)
    missing = SPAN_BYTES[variant] - len(encode(call, attributes, seed))
    attributes["tag"] += "." * missing
    span = encode(call, attributes, seed)
    if len(span) != SPAN_BYTES[variant]:
        raise ValueError(
            f"a span of {call.model} is {len(span)} bytes and can't be made {SPAN_BYTES[variant]}"
        )
    return span


def _attributes(call: Call, variant: Variant, seed: int) -> dict[str, Any]:
    """The sixteen attributes of a span; the first holds the number that differs in every span."""
    container = call.kind is Kind.CONTAINER
    attributes = {
        "gen_ai.workflow.id" if container else "gen_ai.response.id": _response_id(seed),
        "gen_ai.operation.name": "invoke_agent" if container else "chat",
        "gen_ai.provider.name": call.provider,
        "gen_ai.request.model": call.model,
        "gen_ai.response.model": call.model,
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": call.cache_read_tokens,
        "gen_ai.usage.reasoning.output_tokens": call.reasoning_tokens,
        "gen_ai.request.seed": 42,
        "session.id": f"{call.session:08x}",
        "thread.id": call.session % 64,
        "server.address": call.host,
        "server.port": 443,
        "user.id": f"user-{call.session % 5000:04d}",
        "tag": "",
    }
    return attributes | ({"gen_ai.input.messages": MESSAGES} if variant is Variant.CONTENT else {})


def _response_id(seed: int) -> str:
    return f"msg-{seed & 0xFFFFFFFF:08x}{PROTOBUF.response.decode()}"


def _resource(team: str) -> dict[str, Any]:
    return {
        "service.name": f"{team}-api",
        "service.namespace": team,
        "deployment.environment.name": "production",
        "telemetry.sdk.language": "python",
    }


def _span_name(call: Call) -> str:
    verb = "invoke_agent" if call.kind is Kind.CONTAINER else "chat"
    return verb.ljust(12)  # one length for all: the times come after it


def _protobuf_span(call: Call, attributes: dict[str, Any], seed: int) -> bytes:
    return Span(
        trace_id=seed.to_bytes(8, "big") + PROTOBUF.number,
        span_id=PROTOBUF.span_id,
        name=_span_name(call),
        kind=Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=int.from_bytes(PROTOBUF.start_ns, "little"),
        end_time_unix_nano=int.from_bytes(PROTOBUF.end_ns, "little"),
        attributes=_key_values(attributes),
    ).SerializeToString()


def _key_values(attributes: dict[str, Any]) -> Iterator[KeyValue]:
    for key, value in attributes.items():
        pair = KeyValue(key=key)
        setattr(pair.value, f"{_type_name(value)}_value", value)
        yield pair


def _type_name(value: Any) -> str:
    return {str: "string", int: "int"}[type(value)]


def _protobuf_request(resource: dict[str, Any], scopes: dict[str, list[bytes]]) -> bytes:
    """The messages around the spans; protobuf composes, so encoded spans are joined as they are."""
    head = ResourceSpans()
    head.resource.attributes.extend(_key_values(resource))
    inner = head.SerializeToString()
    for name, spans in scopes.items():
        scope = ScopeSpans()
        scope.scope.name = name
        joined = b"".join(_delimited(0x12, span) for span in spans)  # ScopeSpans.spans
        inner += _delimited(0x12, scope.SerializeToString() + joined)  # ResourceSpans.scope_spans
    return _delimited(0x0A, inner)  # ExportTraceServiceRequest.resource_spans


def _delimited(tag: int, data: bytes) -> bytes:
    length, prefix = len(data), bytearray((tag,))
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    return bytes((*prefix, length)) + data


def _json_span(call: Call, attributes: dict[str, Any], seed: int) -> bytes:
    return _compact(
        {
            "traceId": f"{seed:016x}{JSON.number.decode()}",
            "spanId": JSON.span_id.decode(),
            "name": _span_name(call),
            "kind": 3,
            "startTimeUnixNano": JSON.start_ns.decode(),
            "endTimeUnixNano": JSON.end_ns.decode(),
            "attributes": _json_attributes(attributes),
        }
    )


def _json_attributes(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    def wire(value: Any) -> Any:
        return str(value) if isinstance(value, int) else value  # 64-bit integers travel as text

    return [
        {"key": key, "value": {f"{_type_name(value)}Value": wire(value)}}
        for key, value in attributes.items()
    ]


def _json_request(resource: dict[str, Any], scopes: dict[str, list[bytes]]) -> bytes:
    parts = (
        b'{"scope":%s,"spans":[%s]}' % (_compact({"name": name}), b",".join(spans))
        for name, spans in scopes.items()
    )
    head = _compact({"attributes": _json_attributes(resource)})
    return b'{"resourceSpans":[{"resource":%s,"scopeSpans":[%s]}]}' % (head, b",".join(parts))


def _compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()

"""Trace requests made by hand, with ids that tell where they came from."""

import json
import time
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

CHAT = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
    "server.address": "api.openai.com",
}


def key_value(key: str, value: Any) -> KeyValue:
    """An attribute; None makes an empty AnyValue."""
    field = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    any_value = AnyValue()
    if value is not None:
        setattr(any_value, field[type(value)], value)
    return KeyValue(key=key, value=any_value)


def request(
    spans: list[dict[str, Any]],
    *,
    resource: dict[str, Any] | None = None,
    scope: str = "test",
    first_id: int = 1,
    start_ns: int | None = None,
) -> ExportTraceServiceRequest:
    """One request; span n has trace id and span id `first_id + n`, unless it gives "id"."""
    message = ExportTraceServiceRequest()
    resource_spans = message.resource_spans.add()
    resource = {"service.name": "shop"} if resource is None else resource
    resource_spans.resource.attributes.extend(key_value(k, v) for k, v in resource.items())
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = scope
    begin = time.time_ns() - 2_000_000_000 if start_ns is None else start_ns
    for n, given in enumerate(spans):
        attributes: dict[str, Any] = dict(given)
        number = attributes.pop("id", first_id + n)
        span = scope_spans.spans.add(
            trace_id=number.to_bytes(16, "big"),
            span_id=number.to_bytes(8, "big"),
            start_time_unix_nano=attributes.pop("start_ns", begin),
            end_time_unix_nano=attributes.pop("end_ns", begin + 1_500_000_000),
        )
        span.status.code = attributes.pop("status", 0)
        span.attributes.extend(key_value(k, v) for k, v in attributes.items())
    return message


def protobuf(spans: list[dict[str, Any]], **options: Any) -> bytes:
    """`request`, serialised."""
    return request(spans, **options).SerializeToString()


def json_request(spans: list[dict[str, Any]], *, first_id: int = 1) -> bytes:
    """The same in OTLP/JSON, with 64-bit integers as strings as the specification asks."""
    begin = time.time_ns() - 2_000_000_000
    names = {int: "intValue", str: "stringValue", float: "doubleValue", bool: "boolValue"}
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": []},
                    "scopeSpans": [
                        {
                            "scope": {"name": "test"},
                            "spans": [
                                {
                                    "traceId": f"{first_id + n:032x}",
                                    "spanId": f"{first_id + n:016X}",
                                    "startTimeUnixNano": str(begin),
                                    "endTimeUnixNano": begin + 1_500_000_000,
                                    "attributes": [
                                        {
                                            "key": key,
                                            "value": {
                                                names[type(value)]: str(value)
                                                if type(value) is int
                                                else value
                                            },
                                        }
                                        for key, value in attributes.items()
                                    ],
                                }
                                for n, attributes in enumerate(spans)
                            ],
                        }
                    ],
                }
            ]
        }
    ).encode()

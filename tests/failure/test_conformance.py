"""What an OTLP receiver owes its clients, case by case, against a running server.

Rules: https://opentelemetry.io/docs/specs/otlp/ 1.11. Each test names the case it holds; what was
stored is read back through the API.
"""

from __future__ import annotations

import gzip
import json
import struct
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from failure.client import (
    JSON,
    PROTOBUF,
    ask,
    attribute,
    connect,
    grpc_address,
    json_body,
    json_span,
    new_ids,
    new_service,
    post,
    rows,
)
from google.rpc import status_pb2
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter
from support.otlp import CHAT, request

from ecomind_query.bench.process import Server

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
CHAT_JSON = [
    attribute("gen_ai.operation.name", stringValue="chat"),
    attribute("gen_ai.provider.name", stringValue="openai"),
    attribute("gen_ai.request.model", stringValue="gpt-4o"),
]


@pytest.fixture(scope="module")
def export(server: Server) -> Iterator[grpc.UnaryUnaryMultiCallable]:
    """The Export method over one channel, on raw request bytes."""
    with grpc.insecure_channel(grpc_address(server)) as channel:
        yield channel.unary_unary(
            EXPORT, response_deserializer=ExportTraceServiceResponse.FromString
        )


def message_of(service: str, *spans: dict[str, Any]) -> ExportTraceServiceRequest:
    """A request with these spans, by default one call of 1,000 and 300 tokens."""
    return request(list(spans or [CHAT]), resource={"service.name": service}, first_id=new_ids())


def one_span(service: str) -> bytes:
    """A call of 1,000 and 300 tokens in protobuf."""
    return message_of(service).SerializeToString()


def json_call(service: str, *attributes: dict[str, Any], **fields: Any) -> bytes:
    """A call in JSON with these attributes besides its model."""
    return json_body(service, [json_span(1, [*CHAT_JSON, *attributes], **fields)])


def tokens(server: Server, service: str) -> list[list[int]]:
    """[input, output] of each stored call."""
    return rows(server, service, "input_tokens, output_tokens")


def accepted(server: Server) -> int:
    """Spans acknowledged so far."""
    return server.counters().acked_spans


# 1, 12, 42: gRPC


def test_grpc_export_succeeds_without_partial_success(server: Server, export: Any) -> None:
    service = new_service()
    answer = export(one_span(service), timeout=10)
    assert not answer.HasField("partial_success")
    assert tokens(server, service) == [[1000, 300]]


def test_grpc_takes_gzip(server: Server, export: Any) -> None:
    service = new_service()
    export(one_span(service), timeout=10, compression=grpc.Compression.Gzip)
    assert tokens(server, service) == [[1000, 300]]


def test_grpc_serves_many_calls_over_one_channel(server: Server, export: Any) -> None:
    before = accepted(server)
    for _ in range(100):
        export(one_span(new_service()), timeout=10)
    assert accepted(server) == before + 100


# 2, 3, 4, 8: HTTP, both encodings on one port


def test_http_protobuf(server: Server) -> None:
    service = new_service()
    reply = post(server, one_span(service))
    assert (reply.status, reply.media_type, reply.body) == (200, PROTOBUF, b"")
    assert tokens(server, service) == [[1000, 300]]


@pytest.mark.parametrize(
    "media_type", [JSON, "application/json; charset=utf-8", "Application/JSON"]
)
def test_http_json(server: Server, media_type: str) -> None:
    service = new_service()
    body = json_call(service, attribute("gen_ai.usage.output_tokens", intValue="300"))
    reply = post(server, body, media_type)
    assert (reply.status, reply.media_type, reply.body) == (200, JSON, b"{}")
    assert tokens(server, service) == [[0, 300]]


# 5, 6, 7: what is not a trace request


@pytest.mark.parametrize("media_type", [None, "text/plain", "application/octet-stream"])
def test_other_media_types_are_415(server: Server, media_type: str | None) -> None:
    before = accepted(server)
    assert post(server, one_span("x"), media_type).status == 415
    assert accepted(server) == before


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_405(server: Server, method: str) -> None:
    reply = post(server, b"", method=method)
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize("path", ["/", "/v1/trace", "/v1/traces/", "/v2/traces"])
def test_unknown_paths_are_404(server: Server, path: str) -> None:
    assert post(server, b"", path=path).status == 404


# 9, 10: nothing in it


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        (b"", PROTOBUF),
        (b"{}", JSON),
        (b'{"resourceSpans":[]}', JSON),
        (b'{"resourceSpans":[{}]}', JSON),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[]}]}]}', JSON),
        (b'{"resourceSpans":[{"scopeSpans":[{}]}]}', JSON),
        (b"\x0a\x00", PROTOBUF),  # ResourceSpans without scopes
        (b"\x0a\x02\x12\x00", PROTOBUF),  # ScopeSpans without spans
    ],
)
def test_empty_requests_succeed(server: Server, body: bytes, media_type: str) -> None:
    before = accepted(server)
    assert post(server, body, media_type).status == 200
    assert accepted(server) == before


def test_empty_grpc_request_succeeds(server: Server, export: Any) -> None:
    before = accepted(server)
    export(b"", timeout=10)
    assert accepted(server) == before


# 11, 13, 18: how a body travels


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_encodings(server: Server, encoding: str, pack: Any, media_type: str) -> None:
    service = new_service()
    output = attribute("gen_ai.usage.output_tokens", intValue="300")
    body = one_span(service) if media_type == PROTOBUF else json_call(service, output)
    assert post(server, pack(body), media_type, encoding=encoding).status == 200
    assert [row[1] for row in tokens(server, service)] == [300]


def test_an_unknown_encoding_is_refused(server: Server) -> None:
    assert post(server, one_span("x"), encoding="br").status == 415


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_a_chunked_body_needs_no_length(server: Server, media_type: str) -> None:
    service = new_service()
    output = attribute("gen_ai.usage.output_tokens", intValue="300")
    body = one_span(service) if media_type == PROTOBUF else json_call(service, output)
    pieces = iter([body[:10], body[10:50], body[50:]])
    assert post(server, pieces, media_type).status == 200
    assert [row[1] for row in tokens(server, service)] == [300]


# 15, 19, 37: broken bodies are permanent errors, told in the encoding of the request


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"\xff" * 40, None),
        (one_span("cut")[:-3], None),
        (b"\x1f\x8b not gzip", "gzip"),
        (gzip.compress(one_span("cut"))[:-8], "gzip"),
    ],
    ids=["garbage", "truncated", "corrupt gzip", "truncated gzip"],
)
def test_broken_protobuf_is_400_with_a_status(
    server: Server, body: bytes, encoding: str | None
) -> None:
    reply = post(server, body, encoding=encoding)
    assert (reply.status, reply.media_type) == (400, PROTOBUF)
    status = status_pb2.Status.FromString(reply.body)
    assert status.code == 3  # google.rpc.Code.INVALID_ARGUMENT
    assert status.message
    assert "retry-after" not in reply.headers


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"resourceSpans":7}', b"\xff\xfe", b"null,"])
def test_broken_json_is_400_with_a_status(server: Server, body: bytes) -> None:
    reply = post(server, body, JSON)
    assert (reply.status, reply.media_type) == (400, JSON)
    status = json.loads(reply.body)
    assert status["code"] == 3
    assert status["message"]


@pytest.mark.parametrize("body", [b"\xff" * 40, one_span("cut")[:-3]])
def test_broken_grpc_request_is_invalid_argument(export: Any, body: bytes) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        export(body, timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details()


# 16, 17: too large, before or after decompression


def test_a_body_over_the_limit_is_413(server: Server) -> None:
    reply = post(server, gzip.compress(b"\0" * (65 << 20), 1), encoding="gzip")
    assert (reply.status, reply.media_type) == (413, PROTOBUF)
    assert status_pb2.Status.FromString(reply.body).code == 8  # RESOURCE_EXHAUSTED
    assert "retry-after" not in reply.headers


def test_a_grpc_message_over_the_limit_is_resource_exhausted(server: Server) -> None:
    unlimited = [("grpc.max_send_message_length", -1)]
    with (
        grpc.insecure_channel(grpc_address(server), unlimited) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(EXPORT)(bytes((64 << 20) + 1), timeout=60)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    trailers = dict(caught.value.trailing_metadata() or ())
    assert "google.rpc.retryinfo-bin" not in trailers


# 20 – 26: JSON


def test_hex_ids_may_have_either_case(server: Server) -> None:
    service = new_service()
    ids = {"traceId": "00112233445566778899aabbccddeeff", "spanId": "8899aabbccddeeff"}
    lower = json_span(1, CHAT_JSON, **ids)
    upper = json_span(1, CHAT_JSON, **{name: value.upper() for name, value in ids.items()})
    assert post(server, json_body(service, [lower, upper]), JSON).status == 200
    # The same bytes: the second is the first sent again, so one is stored.
    assert rows(server, service, "span_id") == [[str(0x8899AABBCCDDEEFF)]]


def test_int_value_may_be_text_or_number(server: Server) -> None:
    service = new_service()
    spans = [
        json_span(n, [*CHAT_JSON, attribute("gen_ai.usage.output_tokens", intValue=value)])
        for n, value in enumerate(["1200", 1200], start=1)
    ]
    assert post(server, json_body(service, spans), JSON).status == 200
    assert tokens(server, service) == [[0, 1200], [0, 1200]]


def test_64_bit_integers_are_exact(server: Server) -> None:
    service, now = new_service(), time.time_ns() // 10**9 * 10**9
    odd = now + 123_457_001  # above 2⁵³, where a double would round to a multiple of 256
    spans = [
        json_span(n, CHAT_JSON, startTimeUnixNano=start, endTimeUnixNano=str(odd + 7_000))
        for n, start in enumerate([str(odd), odd], start=1)
    ]
    assert post(server, json_body(service, spans), JSON).status == 200
    start = datetime.fromtimestamp(now // 10**9, UTC) + timedelta(microseconds=123_457)
    assert rows(server, service, "start_time, duration_us") == [[start.isoformat(), 7]] * 2


def test_enums_are_integers(server: Server) -> None:
    service = new_service()
    failed = json_span(1, CHAT_JSON, kind=3, status={"code": 2, "message": "boom"})
    assert post(server, json_body(service, [failed]), JSON).status == 200
    assert rows(server, service, "counted, reason") == [[0, "error"]]


def test_unknown_json_fields_are_ignored_at_every_level(server: Server) -> None:
    service = new_service()
    output = attribute("gen_ai.usage.output_tokens", intValue="300", future=[1])
    output["future"] = {}
    document = json.loads(json_call(service, output, future={"deep": [None]}))
    document["future"] = 1
    resource_spans = document["resourceSpans"][0]
    resource_spans["future"] = resource_spans["resource"]["future"] = "x"
    resource_spans["scopeSpans"][0]["future"] = resource_spans["scopeSpans"][0]["scope"][
        "future"
    ] = 1
    assert post(server, json.dumps(document).encode(), JSON).status == 200
    assert tokens(server, service) == [[0, 300]]


# 27: unknown protobuf fields


def test_unknown_protobuf_fields_are_ignored(server: Server) -> None:
    service = new_service()
    message = message_of(service)
    unknown = b"\xc2\x3e\x03new"  # field 1000, length-delimited
    span = message.resource_spans[0].scope_spans[0].spans[0]
    for part in (span.attributes[0], span, message.resource_spans[0], message):
        part.MergeFromString(unknown)
    body = message.SerializeToString()
    assert body.count(unknown) == 4
    assert post(server, body).status == 200
    assert tokens(server, service) == [[1000, 300]]


# 29 – 32: odd values


def test_doubles_of_every_kind(server: Server) -> None:
    service, key = new_service(), "gen_ai.usage.output_tokens"
    spans = [
        json_span(n, [*CHAT_JSON, attribute(key, doubleValue=value)])
        for n, value in enumerate([300, 300.0, "NaN", "Infinity", "-Infinity", 0.5], start=1)
    ]
    assert post(server, json_body(service, spans), JSON).status == 200
    assert tokens(server, service) == [[0, 300], [0, 300], [0, 0], [0, 0], [0, 0], [0, 0]]


def test_protobuf_doubles_of_every_kind(server: Server) -> None:
    service = new_service()
    values = [300.0, float("nan"), float("inf"), -1.0]
    spans = [CHAT | {"gen_ai.usage.output_tokens": value} for value in values]
    body = message_of(service, *spans).SerializeToString()
    assert struct.pack("<d", float("inf")) in body
    assert post(server, body).status == 200
    assert tokens(server, service) == [[1000, 300], [1000, 0], [1000, 0], [1000, 0]]


ODD_VALUES: list[dict[str, Any]] = [
    {},
    {"bytesValue": "AAEC"},
    {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}},
    {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 1}, {}]}},
    {"arrayValue": {"values": [{"arrayValue": {"values": [{"boolValue": True}]}}]}},
    {"boolValue": True},
]


@pytest.mark.parametrize("value", ODD_VALUES, ids=lambda value: next(iter(value), "empty"))
@pytest.mark.parametrize("key", ["tool.arguments", "gen_ai.usage.input_tokens", "gen_ai.agent.id"])
def test_any_value_of_any_kind_is_accepted(server: Server, key: str, value: Any) -> None:
    service = new_service()
    output = attribute("gen_ai.usage.output_tokens", intValue="300")
    body = json_call(service, output, attribute(key, **value))
    assert post(server, body, JSON).status == 200
    assert tokens(server, service) == [[0, 300]]


def test_any_value_of_any_kind_is_accepted_in_protobuf(server: Server) -> None:
    service = new_service()
    message = message_of(service)
    attributes = message.resource_spans[0].scope_spans[0].spans[0].attributes
    attributes.add(key="empty")
    attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    attributes.add(key="list").value.array_value.values.add().array_value.values.add()
    attributes.add(key="map").value.kvlist_value.values.add(key="k").value.int_value = 1
    assert post(server, message.SerializeToString()).status == 200
    assert tokens(server, service) == [[1000, 300]]


def test_a_repeated_key_is_read_the_same_way_each_time(server: Server) -> None:
    service, key = new_service(), "gen_ai.usage.output_tokens"
    twice = [attribute(key, intValue="300"), attribute(key, intValue="7")]
    spans = [json_span(n, [*CHAT_JSON, *twice]) for n in (1, 2)]
    assert post(server, json_body(service, spans), JSON).status == 200
    assert tokens(server, service) == [[0, 300], [0, 300]]


def test_a_key_may_change_its_type_between_spans(server: Server) -> None:
    service, key = new_service(), "gen_ai.usage.output_tokens"
    values: list[dict[str, Any]] = [
        {"intValue": 300}, {"doubleValue": 300.0}, {"stringValue": "300"}, {"stringValue": "many"},
    ]  # fmt: skip
    spans = [
        json_span(n, [*CHAT_JSON, attribute(key, **value)]) for n, value in enumerate(values, 1)
    ]
    assert post(server, json_body(service, spans), JSON).status == 200
    assert tokens(server, service) == [[0, 300], [0, 300], [0, 300], [0, 0]]


def test_resource_scope_and_name_may_be_missing(server: Server) -> None:
    span = json_span(0xABCDEF, CHAT_JSON)
    del span["name"]
    body = json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}).encode()
    assert post(server, body, JSON).status == 200
    assert [0xABCDEF] in rows(server, "", "span_id")
    bare = ExportTraceServiceRequest()
    bare.resource_spans.add().scope_spans.add().spans.add()  # not even an id
    assert post(server, bare.SerializeToString()).status == 200
    server.wait_drained(30)


# 42: one connection


def test_a_connection_is_kept_for_a_hundred_requests(server: Server) -> None:
    before = accepted(server)
    with connect(server) as connection:
        connection.connect()
        opened = connection.sock
        for _ in range(100):
            assert ask(connection, one_span(new_service())).status == 200
            assert connection.sock is opened
    assert accepted(server) == before + 100


# The exporters that apps really use


@pytest.mark.parametrize("kind", ["http", "http gzip", "grpc", "grpc gzip"])
def test_real_exporters(server: Server, kind: str) -> None:
    service = new_service()
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(_exporter(server, kind)))
    attributes: dict[str, Any] = {**CHAT}
    with provider.get_tracer("test").start_as_current_span("chat gpt-4o", attributes=attributes):
        pass
    provider.shutdown()
    assert rows(server, service, "scope, input_tokens, output_tokens, counted") == [
        ["test", 1000, 300, 1]
    ]


def _exporter(server: Server, kind: str) -> SpanExporter:
    if kind.startswith("grpc"):
        compression = grpc.Compression.Gzip if "gzip" in kind else None
        return GrpcExporter(grpc_address(server), insecure=True, compression=compression)
    url = f"{server.addresses['otlp_http']}/v1/traces"
    return HttpExporter(url, compression=Compression.Gzip if "gzip" in kind else None)

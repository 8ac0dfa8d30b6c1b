"""What is looked at before the ack: how many items, which spans have ids, which keys are OTLP's."""

import gzip
import json
import zlib
from collections.abc import Callable

import pytest
import zstandard
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.otlp import CHAT, json_request, request

from ecomind_receiver import camel_case
from ecomind_receiver.answers import Accepted, as_json, as_protobuf
from ecomind_receiver.frame import (
    Frame,
    FrameError,
    Record,
    count_json,
    count_protobuf,
    read_record,
)
from ecomind_receiver.inflating import decompress
from ecomind_receiver.kinds import Kind
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.signals import LOGS, METRICS, TRACES, Signal
from ecomind_receiver.spool import envelope
from ecomind_receiver.tenants import Tenant

ID, SPAN_ID = bytes(15) + b"\x01", bytes(7) + b"\x01"
BAD_IDS = [
    (b"", b""),
    (ID, b""),
    (b"", SPAN_ID),
    (ID[1:], SPAN_ID),
    (ID, SPAN_ID[1:]),
    (ID + b"\x01", SPAN_ID),
    (bytes(16), SPAN_ID),
    (ID, bytes(8)),
]


def traces(*ids: tuple[bytes, bytes]) -> bytes:
    message = ExportTraceServiceRequest()
    scope = message.resource_spans.add().scope_spans.add()
    for trace_id, span_id in ids:
        scope.spans.add(trace_id=trace_id, span_id=span_id, name="chat")
    return message.SerializeToString()


@pytest.mark.parametrize(("trace_id", "span_id"), BAD_IDS)
def test_a_span_without_sound_ids_is_told_from_others(trace_id: bytes, span_id: bytes) -> None:
    good = (ID, SPAN_ID)
    assert count_protobuf(traces(good, (trace_id, span_id), good)) == Frame(3, 1)
    document = json.loads(json_request([CHAT] * 3))
    spans = document["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans[1] |= {"traceId": trace_id.hex(), "spanId": span_id.hex()}
    assert count_json(json.dumps(document).encode()) == Frame(3, 1)


def test_ids_may_come_in_any_order_and_after_other_fields() -> None:
    name, trace_id, span_id = b"\x2a\x04chat", b"\x0a\x10" + ID, b"\x12\x08" + SPAN_ID
    for span in (span_id + trace_id, name + trace_id + span_id, trace_id + name + span_id):
        scope = b"\x12" + bytes([len(span)]) + span
        resource = b"\x12" + bytes([len(scope)]) + scope
        body = b"\x0a" + bytes([len(resource)]) + resource
        assert count_protobuf(body) == Frame(1, 0)


@pytest.mark.parametrize("wrong", ["zz" * 16, "AAAAAAAAAAAAAAAAAAAAAQ==", "é" * 32])
def test_ids_in_json_are_hexadecimal(wrong: str) -> None:
    body = json_request([CHAT]).replace(b"0" * 31 + b"1", wrong.encode())
    assert count_json(body) == Frame(1, 1)


@pytest.mark.parametrize(
    ("signal", "body"),
    [
        (LOGS, {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}, {}]}, {}]}),
        (METRICS, {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "a"}, {}]}]}]}),
    ],
)
def test_other_signals_are_counted_and_never_rejected(signal: Signal, body: object) -> None:
    assert count_json(json.dumps(body).encode(), signal) == Frame(2, 0)
    two_items = b"\x0a\x06\x12\x04\x12\x00\x12\x00"
    assert count_protobuf(two_items, signal) == Frame(2, 0)
    with pytest.raises(FrameError, match=f"protobuf {signal.request}"):
        count_protobuf(two_items[:-1], signal)


def test_millions_of_empty_items_are_refused() -> None:
    message = ExportLogsServiceRequest()
    scope = message.resource_logs.add().scope_logs.add()
    for _ in range(10_001):
        scope.log_records.add()
    with pytest.raises(FrameError, match="10001 log records"):
        count_protobuf(message.SerializeToString(), LOGS)
    for record in scope.log_records:
        record.time_unix_nano = 1  # 9 bytes of time, 2 around it
    assert count_protobuf(message.SerializeToString(), LOGS) == Frame(10_001, 0)


@pytest.mark.parametrize(
    ("kind", "body", "items", "refused"),
    [
        (Kind.TRACES, traces((ID, SPAN_ID), (b"", b"")), 2, 1),
        (Kind.TRACES_JSON, json_request([CHAT] * 3), 3, 0),
        (Kind.LOGS, b"\x0a\x04\x12\x02\x12\x00", 1, 0),
        (Kind.LOGS_JSON, b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}', 2, 0),
    ],
)
def test_a_record_of_any_kind_says_whose_it_is(
    kind: Kind, body: bytes, items: int, refused: int
) -> None:
    record = envelope(Tenant("acme", "web"), 1, (2, 3), body, kind)
    assert read_record(b"".join(record[1:])) == Record("acme", "web", items, refused)


def test_snake_case_becomes_camel_case_and_texts_stay() -> None:
    body = (
        b'{"resource_spans" : [{"scope_spans":[{"spans":[{"trace_id":"1","name":"trace_id",'
        b'"x_y":1,"attributes":['
        b'{"key":"span_id","value":{"string_value":"\\"a_b\\":1"}}]}]}]}]}'
    )
    assert camel_case.needed(body)
    assert camel_case.rewritten(body) == (
        b'{"resourceSpans" : [{"scopeSpans":[{"spans":[{"traceId":"1","name":"trace_id",'
        b'"x_y":1,"attributes":['
        b'{"key":"span_id","value":{"stringValue":"\\"a_b\\":1"}}]}]}]}]}'
    )
    assert not camel_case.needed(json_request([CHAT]))
    with pytest.raises(FrameError, match="4194304 bytes"):
        camel_case.rewritten(body + b" " * camel_case.MAX_BYTES)


def test_what_an_accepted_request_is_told() -> None:
    assert (as_protobuf(Accepted(3)), as_json(Accepted(3), TRACES)) == (b"", b"{}")
    told = json.loads(as_json(Accepted(7, 3), TRACES))["partialSuccess"]
    assert told["rejectedSpans"] == "3"
    assert told["errorMessage"].startswith("3 of 10 spans have no valid trace id (16 bytes)")
    # partial_success = 1 {rejected = 1: 3, error_message = 2: …}
    message = told["errorMessage"].encode()
    assert len(message) == 107
    inner = b"\x08\x03\x12\x6b" + message
    assert as_protobuf(Accepted(7, 3)) == b"\x0a\x6f" + inner
    warned = json.loads(as_json(Accepted(1, 0, True), LOGS))["partialSuccess"]
    assert warned == {"rejectedLogRecords": "0", "errorMessage": camel_case.WARNING}


PACKED: list[tuple[str, Callable[[bytes], bytes]]] = [
    ("gzip", gzip.compress),
    ("deflate", zlib.compress),
    ("zstd", zstandard.compress),
]


@pytest.mark.parametrize(("encoding", "pack"), PACKED)
def test_every_encoding_is_bounded_and_must_be_whole(
    encoding: str, pack: Callable[[bytes], bytes]
) -> None:
    body = request([CHAT] * 50).SerializeToString()
    packed = pack(body)
    assert decompress(packed, encoding, len(body)) == body
    assert decompress(packed + packed, encoding, 2 * len(body)) == body + body
    cases = [
        (packed, len(body) - 1, Refusal.TOO_LARGE),
        (pack(bytes(40 << 20)), 1 << 20, Refusal.TOO_LARGE),
        (packed[:-2], len(body), Refusal.MALFORMED),
        (b"neither of them" * 10, len(body), Refusal.MALFORMED),
    ]
    for bad, most, refusal in cases:
        with pytest.raises(RequestRefused) as caught:
            decompress(bad, encoding, most)
        assert caught.value.refusal is refusal


def test_a_zstd_window_above_8_mib_is_refused() -> None:
    wide = zstandard.ZstdCompressionParameters(window_log=24)
    stream = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    packed = stream.compress(bytes(1000)) + stream.flush()
    with pytest.raises(RequestRefused) as caught:
        decompress(packed, "zstd", 1 << 20)
    assert caught.value.refusal is Refusal.MALFORMED

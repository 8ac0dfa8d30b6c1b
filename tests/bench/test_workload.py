"""The workload is what it says it is: ids, counts and tokens, read back by an OTLP parser."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ecomind_query.bench import workload
from ecomind_query.bench.templates import batch_templates, single_template
from ecomind_query.bench.workload import (
    CONTAINERS,
    SPANS,
    TWINS,
    Expected,
    Mode,
    Variant,
    batch_calls,
    expected_of,
    index_of,
    span_id,
)

SEED = 0x0123456789ABCDEF
NOW_NS = 1_795_400_000_000_000_000  # 2026-11-23T01:33:20Z


def _body(variant: Variant, kind: int, first: int) -> bytes:
    template = batch_templates(variant, SEED, "127.0.0.1:1")[kind]
    buffer = template.buffer()
    template.write(buffer, first, NOW_NS)
    return buffer.tobytes()[template.head_bytes :]


def _spans(body: bytes) -> list[Span]:
    request = ExportTraceServiceRequest.FromString(body)
    return [
        span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans
    ]


def _attribute(span: Span, key: str) -> str | int:
    value = next(pair.value for pair in span.attributes if pair.key == key)
    return value.string_value or value.int_value


def test_a_span_id_gives_back_its_index() -> None:
    # 0x9E3779B97F4A7C15 × 1, and × 2 = 0x13C6EF372FE94F82A without its 65th bit
    assert span_id(0) == 0x9E3779B97F4A7C15
    assert span_id(1) == 0x3C6EF372FE94F82A
    assert [index_of(span_id(n)) for n in (0, 1, 511, 10**12)] == [0, 1, 511, 10**12]


@pytest.mark.parametrize("variant", [Variant.PLAIN, Variant.CONTENT])
def test_every_span_has_its_own_ids(variant: Variant) -> None:
    first = 3 * SPANS
    spans = _spans(_body(variant, 3, first))
    numbers = range(first, first + SPANS)
    assert [span.trace_id for span in spans] == [
        SEED.to_bytes(8, "big") + n.to_bytes(8, "big") for n in numbers
    ]
    assert [span.span_id for span in spans] == [span_id(n).to_bytes(8, "big") for n in numbers]


def test_times_are_now_and_durations_are_the_calls_own() -> None:
    spans = _spans(_body(Variant.PLAIN, 0, 0))
    assert {NOW_NS - span.end_time_unix_nano for span in spans} == {
        n * 1_000_000 for n in range(SPANS)
    }
    assert [span.end_time_unix_nano - span.start_time_unix_nano for span in spans] == [
        call.duration_us * 1000 for call in batch_calls(0)
    ]


def test_a_twin_names_its_calls_response_and_repeats_its_tokens() -> None:
    spans = _spans(_body(Variant.PLAIN, 0, 0))
    calls, twins = spans[:TWINS], spans[-TWINS:]
    for key in ("gen_ai.response.id", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        assert [_attribute(twin, key) for twin in twins] == [_attribute(one, key) for one in calls]
    billable = spans[: SPANS - TWINS - CONTAINERS]
    names = Counter(_attribute(span, "gen_ai.response.id") for span in billable)
    assert set(names.values()) == {1}


def test_spans_have_sixteen_attributes_and_about_620_bytes() -> None:
    body = _body(Variant.PLAIN, 0, 0)
    assert {len(span.attributes) for span in _spans(body)} == {16}
    assert len(body) / SPANS == pytest.approx(633, abs=1)
    scopes = ExportTraceServiceRequest.FromString(body).resource_spans[0].scope_spans
    assert [(len(scope.spans), scope.scope.name) for scope in scopes] == [
        (SPANS - TWINS, "opentelemetry.instrumentation.genai.openai"),
        (TWINS, "openinference.instrumentation.openai"),
    ]


def test_json_says_the_same_as_protobuf() -> None:
    request = json.loads(_body(Variant.JSON, 2, 1024))
    scopes = request["resourceSpans"][0]["scopeSpans"]
    spans = [span for scope in scopes for span in scope["spans"]]
    protobuf = _spans(_body(Variant.PLAIN, 2, 1024))
    for span, same in zip(spans, protobuf, strict=True):
        assert span["traceId"] == same.trace_id.hex()
        assert span["spanId"] == same.span_id.hex()
        assert int(span["startTimeUnixNano"]) == same.start_time_unix_nano
        assert int(span["endTimeUnixNano"]) == same.end_time_unix_nano
        assert span["attributes"][0]["value"] == {
            "stringValue": same.attributes[0].value.string_value
        }


def test_single_requests_are_complete_http_requests() -> None:
    template = single_template(SEED, "127.0.0.1:4318")
    buffer = template.buffer()
    template.write(buffer, 256, NOW_NS)
    length = len(template.data) // template.requests
    head, _, body = buffer.tobytes()[length : 2 * length].partition(b"\r\n\r\n")
    assert head.split(b"\r\n") == [
        b"POST /v1/traces HTTP/1.1",
        b"Host: 127.0.0.1:4318",
        b"Content-Type: application/x-protobuf",
        b"Content-Length: %d" % len(body),
    ]
    [span] = _spans(body)
    assert index_of(int.from_bytes(span.span_id, "big")) == 257


def test_requests_carry_the_keys_in_turn() -> None:
    keys = ["key_a", "key_b", "key_c"]
    templates = batch_templates(Variant.PLAIN, SEED, "127.0.0.1:1", keys)
    heads = [template.data[: template.head_bytes].decode() for template in templates]
    assert [head.partition("Authorization: Bearer ")[2] for head in heads] == [
        f"{key}\r\n\r\n" for key in [*keys, *keys]
    ]
    single = single_template(SEED, "127.0.0.1:1", keys)
    found = re.findall(rb"Bearer (\w+)\r\n", single.data)
    assert found == [keys[number % 3].encode() for number in range(256)]


def test_a_small_batch_is_80_calls_10_containers_and_10_twins() -> None:
    template = batch_templates(Variant.PLAIN, SEED, "127.0.0.1:1", mode=Mode.SMALL)[1]
    buffer = template.buffer()
    template.write(buffer, 700, NOW_NS)
    spans = _spans(buffer.tobytes()[template.head_bytes :])
    assert [index_of(int.from_bytes(span.span_id, "big")) for span in spans] == [*range(700, 800)]
    assert _attribute(spans[90], "gen_ai.response.id") == _attribute(spans[0], "gen_ai.response.id")
    found = expected_of(Mode.SMALL, [7])
    assert (found.spans, found.calls, found.containers, found.twins) == (100, 80, 10, 10)


def test_thirty_models_are_called() -> None:
    models = {call.model for kind in range(6) for call in batch_calls(kind)}
    assert len(models) == 30


def test_a_batch_is_410_calls_51_containers_and_51_twins() -> None:
    found = expected_of(Mode.BATCH, [0, 6])  # the same kind of request, twice
    tokens = [call for call in batch_calls(0) if call.kind is workload.Kind.CALL]
    assert found == Expected(
        spans=1024,
        containers=102,
        twins=102,
        calls=820,
        input_tokens=2 * sum(call.input_tokens for call in tokens),
        cache_read_tokens=2 * sum(call.cache_read_tokens for call in tokens),
        output_tokens=2 * sum(call.output_tokens for call in tokens),
        reasoning_tokens=2 * sum(call.reasoning_tokens for call in tokens),
    )
    assert expected_of(Mode.SINGLE, [0, 1, 2]).calls == 3

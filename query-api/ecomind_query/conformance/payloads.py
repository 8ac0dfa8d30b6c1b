"""Cases 20 to 34: ids, numbers, enums, unknown and odd values, and spans that can't be accepted."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ecomind_query.conformance import expect
from ecomind_query.conformance.calls import (
    INPUT,
    OUTPUT,
    TOKENS,
    attribute,
    document,
    encode,
    json_call,
    json_spans,
    message,
    new_service,
    spans_of,
)
from ecomind_query.conformance.target import Target, Transport

_CAPITAL = re.compile(r"[A-Z]")
_REASONING = "gen_ai.usage.reasoning.output_tokens"
_UNKNOWN = b"\xc2\x3e\x03new"  # field 1000 of any message, three bytes long
_ODD_VALUES: tuple[dict[str, Any], ...] = (
    {},
    {"bytesValue": "AAEC"},
    {"kvlistValue": {"values": [{"key": "k", "value": {"intValue": "1"}}]}},
    {"arrayValue": {"values": [{"stringValue": "a"}, {"intValue": 1}, {}]}},
    {"arrayValue": {"values": [{"arrayValue": {"values": [{"boolValue": True}]}}]}},
    {"boolValue": True},
)


def hex_ids(target: Target, transport: Transport) -> None:
    """Upper and lower case are the same bytes: the second span is the first sent again."""
    service = new_service()
    found = json_call(service)
    span = json_spans(found)[0] | {
        "traceId": "00112233445566778899aabbccddeeff",
        "spanId": "8899aabbccddeeff",
    }
    upper = span | {name: span[name].upper() for name in ("traceId", "spanId")}
    json_spans(found)[:] = [span, upper]
    expect.success(transport, _post(target, found))
    expect.stored(target, service, [[str(0x8899AABBCCDDEEFF)]], "span_id")


def bad_ids(target: Target, transport: Transport) -> None:
    """A span whose ids are base64 or too short is rejected and counted; the other is stored."""
    service = new_service()
    if transport is Transport.JSON:
        wrong: list[Any] = ["ABEiM0RVZneImaq7zN3u/w==", "00112233445566778899aabbccddee"]
    else:
        wrong = [bytes(range(15)), b""]
    request = message(service, {INPUT: 1000, OUTPUT: 300}, *({} for _ in wrong))
    if transport is Transport.JSON:
        found = document(request)
        for span, trace_id in zip(json_spans(found)[1:], wrong, strict=True):
            span["traceId"] = trace_id
        body = json.dumps(found).encode()
    else:
        for span, trace_id in zip(spans_of(request)[1:], wrong, strict=True):
            span.trace_id = trace_id
        body = request.SerializeToString()
    partial = expect.partial_success(transport, target.send(transport, body))
    expect.true(partial and partial.rejected == 2 and partial.message, f"it says {partial}")
    expect.stored(target, service, TOKENS)


def int_values(target: Target, transport: Transport) -> None:
    """Integers as text, as the specification has it, and as numbers, as JavaScript sends them."""
    service = new_service()
    found = document(message(service, *({INPUT: 1000} for _ in range(2))))
    for span, value in zip(json_spans(found), ("1200", 1200), strict=True):
        span["attributes"].append(attribute(OUTPUT, intValue=value))
    expect.success(transport, _post(target, found))
    expect.stored(target, service, [[1000, 1200]] * 2)


def exact_integers(target: Target, transport: Transport) -> None:
    """A time above 2⁵³ as text is not rounded to what a double can hold."""
    _odd_times(target, transport, (str,))


def times(target: Target, transport: Transport) -> None:
    """Times as text and as numbers are equal."""
    _odd_times(target, transport, (str, int))


def enums(target: Target, transport: Transport) -> None:
    """Kind and status as integers."""
    service = new_service()
    found = json_call(service, kind=3, status={"code": 2, "message": "boom"})
    expect.success(transport, _post(target, found))
    expect.stored(target, service, [[0, "error"]], "counted, reason")


def unknown_json_fields(target: Target, transport: Transport) -> None:
    """Fields of a later version are ignored at every level."""
    service = new_service()
    output = attribute(OUTPUT, intValue="300", future=[1]) | {"future": {}}
    known = attribute(INPUT, intValue="1000")
    found = json_call(service, known, output, future={"deep": [None]}) | {"future": 1}
    resource_spans = found["resourceSpans"][0]
    scope_spans = resource_spans["scopeSpans"][0]
    for level in (resource_spans, resource_spans["resource"], scope_spans, scope_spans["scope"]):
        level["future"] = "x"
    expect.success(transport, _post(target, found))
    expect.stored(target, service, TOKENS)


def unknown_protobuf_fields(target: Target, transport: Transport) -> None:
    """Fields of a later version are ignored at every level."""
    service = new_service()
    request = message(service)
    span = spans_of(request)[0]
    for part in (span.attributes[0], span, request.resource_spans[0], request):
        part.MergeFromString(_UNKNOWN)
    body = request.SerializeToString()
    expect.equal(body.count(_UNKNOWN), 4, "unknown fields in the request")
    expect.success(transport, target.send(transport, body))
    expect.stored(target, service, TOKENS)


def snake_case(target: Target, transport: Transport) -> None:
    """Accepted leniently, as the Go Collector does."""
    service = new_service()
    answer = _post(target, _in_snake_case(document(message(service))))
    partial = expect.partial_success(transport, answer)
    expect.true(not partial or partial.rejected == 0, f"it says {partial}")
    expect.stored(target, service, TOKENS)


def warning(target: Target, transport: Transport) -> None:
    """What is accepted and not as it should be is told: nothing rejected, and a message."""
    service = new_service()
    answer = _post(target, _in_snake_case(document(message(service))))
    partial = expect.partial_success(transport, answer)
    expect.true(partial and partial.rejected == 0 and partial.message, f"it says {partial}")
    expect.stored(target, service, TOKENS)


def doubles(target: Target, transport: Transport) -> None:
    """Doubles of every kind are accepted; as a number of tokens, those that are one count."""
    service = new_service()
    numbers = [200.0, float("nan"), float("inf"), float("-inf"), -1.0, 0.5]
    given = {INPUT: 1000, OUTPUT: 300}
    if transport is Transport.JSON:
        values = [200, 200.0, "NaN", "Infinity", "-Infinity", 0.5]
        found = document(message(service, *(given for _ in values)))
        for span, value in zip(json_spans(found), values, strict=True):
            span["attributes"].append(attribute(_REASONING, doubleValue=value))
        answer, wanted = _post(target, found), [200, 200, 0, 0, 0, 0]
    else:
        request = message(service, *({**given, _REASONING: number} for number in numbers))
        answer = target.send(transport, request.SerializeToString())
        wanted = [200, 0, 0, 0, 0, 0]
    expect.success(transport, answer)
    rows = [[1000, 300, tokens] for tokens in wanted]
    expect.stored(target, service, rows, "input_tokens, output_tokens, reasoning_tokens")


def odd_values(target: Target, transport: Transport) -> None:
    """Empty, bytes, lists and maps are accepted wherever they stand."""
    service = new_service()
    if transport is Transport.JSON:
        for value in _ODD_VALUES:
            for key in ("tool.arguments", INPUT, "gen_ai.agent.id"):
                service = new_service()
                odd = {"key": key, "value": value}
                found = json_call(service, attribute(OUTPUT, intValue="300"), odd)
                expect.success(transport, _post(target, found))
                expect.stored(target, service, [[300]], "output_tokens")
        return
    request = message(service)
    attributes = spans_of(request)[0].attributes
    attributes.add(key="empty")
    attributes.add(key="bytes").value.bytes_value = b"\x00\xff"
    attributes.add(key="list").value.array_value.values.add().array_value.values.add()
    attributes.add(key="map").value.kvlist_value.values.add(key="k").value.int_value = 1
    expect.success(transport, target.send(transport, request.SerializeToString()))
    expect.stored(target, service, TOKENS)


def repeated_keys(target: Target, transport: Transport) -> None:
    """Of a key that comes twice the first counts, each time; a key may change its type."""
    service = new_service()
    outputs = (300, 300, 300.0, "300")
    request = message(service, *({INPUT: 1000, OUTPUT: output} for output in outputs))
    for span in spans_of(request)[:2]:
        span.attributes.add(key=OUTPUT).value.int_value = 7
    expect.success(transport, target.send(transport, encode(request, transport)))
    expect.stored(target, service, TOKENS * 4)


def bare(target: Target, transport: Transport) -> None:
    """Resource, scope and name may be missing."""
    whole = spans_of(message(""))[0]
    whole.ClearField("name")
    whole.attributes.add(key="gen_ai.response.id").value.string_value = whole.trace_id.hex()
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.append(whole)
    expect.success(transport, target.send(transport, encode(request, transport)))
    if target.server:
        trace = int.from_bytes(whole.span_id, "big")
        found = target.rows("", "span_id, input_tokens")
        expect.true([str(trace), 1000] in found or [trace, 1000] in found, f"stored is {found}")


def three_of_ten(target: Target, transport: Transport) -> None:
    """The seven that can be accepted are; the others are counted in the answer."""
    service = new_service()
    request = message(service, *({INPUT: 1000, OUTPUT: 300} for _ in range(10)))
    zero, short, none = spans_of(request)[1], spans_of(request)[4], spans_of(request)[9]
    zero.trace_id, short.span_id = bytes(16), b"1234567"
    none.ClearField("span_id")
    answer = target.send(transport, encode(request, transport))
    partial = expect.partial_success(transport, answer)
    expect.true(partial, "there is no partial_success")
    expect.equal(partial and partial.rejected, 3, "rejected spans")
    expect.true(partial and partial.message, "there is no error_message")
    expect.stored(target, service, TOKENS * 7)


def _post(target: Target, found: dict[str, Any]) -> Any:
    return target.send(Transport.JSON, json.dumps(found).encode())


def _odd_times(target: Target, transport: Transport, kinds: tuple[type, ...]) -> None:
    service = new_service()
    request = message(service, *({} for _ in kinds))
    now = spans_of(request)[0].start_time_unix_nano // 10**9 * 10**9
    odd = now + 123_457_001  # above 2⁵³, where a double would be a multiple of 256
    found = document(request)
    for span, kind in zip(json_spans(found), kinds, strict=True):
        span |= {"startTimeUnixNano": kind(odd), "endTimeUnixNano": str(odd + 7_000)}
    expect.success(transport, _post(target, found))
    start = datetime.fromtimestamp(now // 10**9, UTC) + timedelta(microseconds=123_457)
    rows: list[list[Any]] = [[start.isoformat(), 7]] * len(kinds)
    expect.stored(target, service, rows, "start_time, duration_us")


def _in_snake_case(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _CAPITAL.sub(lambda letter: f"_{letter[0].lower()}", key): _in_snake_case(inner)
            for key, inner in value.items()
        }
    return [_in_snake_case(item) for item in value] if isinstance(value, list) else value

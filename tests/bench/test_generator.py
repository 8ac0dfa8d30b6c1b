"""The generator reports what was answered with 200 and nothing else, and sends the rest again."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.sink import Sink, reply
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ecomind_query.bench.generator import arguments, generate, parse_response, quantiles
from ecomind_query.bench.invariants import read_report


def _run(answer: Callable[[int], bytes], *options: str, seconds: float = 0.3) -> tuple[Any, Sink]:
    async def go() -> tuple[Any, Sink]:
        async with Sink(answer) as sink:
            argv = ["--url", sink.url, "--seconds", str(seconds), *options]
            return await generate(arguments(argv)), sink

    return asyncio.run(go())


def test_what_is_answered_with_200_is_reported(tmp_path: Path) -> None:
    report = tmp_path / "acked"
    totals, sink = _run(lambda _: reply(200), "--report", str(report), "--connections", "3")
    assert totals["acked_requests"] == totals["sent_requests"] == len(sink.received) > 3
    assert totals["acked_spans"] == 512 * totals["acked_requests"]
    assert read_report(report) == frozenset(range(totals["sent_requests"]))
    assert totals["ack_ms"]["p50"] <= totals["ack_ms"]["max"]


def test_a_refused_request_is_sent_again_when_the_server_says(tmp_path: Path) -> None:
    report = tmp_path / "acked"
    busy = reply(503, b"retry-after: 0")
    totals, sink = _run(
        lambda n: busy if n == 0 else reply(200), "--report", str(report), "--connections", "1"
    )
    assert sink.received[0].body == sink.received[1].body
    assert totals["retried"] == {503: 1}
    assert totals["acked_requests"] == totals["sent_requests"] == len(sink.received) - 1


def test_a_permanent_refusal_is_counted_and_not_repeated(tmp_path: Path) -> None:
    report = tmp_path / "acked"
    totals, _ = _run(
        lambda n: reply(400, body=b"no") if n == 0 else reply(200),
        "--report", str(report), "--connections", "1",
    )  # fmt: skip
    assert totals["refused"] == {400: 1}
    assert 0 not in read_report(report)
    assert 1 in read_report(report)


def test_an_unanswered_request_is_sent_again_over_a_new_connection() -> None:
    totals, sink = _run(lambda n: b"" if n == 0 else reply(200), "--connections", "1")
    assert sink.received[0].body == sink.received[1].body
    assert totals["reconnects"] == 1
    assert totals["acked_requests"] == totals["sent_requests"]


def test_single_mode_sends_one_span_a_request() -> None:
    totals, sink = _run(lambda _: reply(200), "--mode", "single", "--connections", "4", seconds=0.1)
    assert totals["acked_spans"] == totals["acked_requests"] == len(sink.received)
    spans = {
        span.span_id
        for received in sink.received
        for span in ExportTraceServiceRequest.FromString(received.body)
        .resource_spans[0]
        .scope_spans[0]
        .spans
    }
    assert len(spans) == len(sink.received)


@pytest.mark.parametrize(
    ("variant", "header"),
    [("gzip", b"content-encoding: gzip"), ("json", b"content-type: application/json")],
)
def test_other_encodings_say_so(variant: str, header: bytes) -> None:
    _, sink = _run(lambda _: reply(200), "--variant", variant, "--connections", "1", seconds=0.1)
    assert header in sink.received[0].head
    if variant == "gzip":
        body = gzip.decompress(sink.received[0].body)
        assert len(ExportTraceServiceRequest.FromString(body).resource_spans) == 1


def test_requests_carry_the_keys_of_a_file_in_turn(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("eco_a\neco_b\n")
    _, sink = _run(lambda _: reply(200), "--keys", str(keys), "--connections", "1", seconds=0.1)
    found = [one.head.partition(b"authorization: bearer ")[2][:5] for one in sink.received]
    assert found[:4] == [b"eco_a", b"eco_b", b"eco_a", b"eco_b"]


def test_an_answer_is_read_when_it_is_complete() -> None:
    whole = reply(503, b"Retry-After: 7", body=b"wait")
    assert parse_response(whole[:20]) is None
    assert parse_response(whole[:-1]) is None
    assert parse_response(whole) == (503, 7.0)
    assert parse_response(reply(429)) == (429, None)


def test_quantiles_are_of_all_values() -> None:
    assert quantiles([float(n) for n in range(101)]) == {
        "p50": 50.0, "p95": 95.0, "p99": 99.0, "max": 100.0,
    }  # fmt: skip
    assert quantiles([]) == {}

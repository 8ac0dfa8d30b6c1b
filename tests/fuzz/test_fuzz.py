"""Whatever is sent: a documented answer, and of everything acknowledged what became of it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fuzz.bodies import Body, Mutator
from fuzz.receiving import Fed, resident_mb
from fuzz.structured import BODIES, NOW_NS
from hypothesis import HealthCheck, Phase, given, settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.otlp import CHAT, key_value, protobuf

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.signals import TRACES
from ecomind_receiver.spool import varint

DAY_NS = 86_400 * 10**9
NAMES = 200_000


@pytest.fixture(scope="module")
def fed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fed]:
    """One receiver for the whole module: what one body does to it, the next one would notice."""
    level = logging.getLogger("ecomind").level
    logging.getLogger("ecomind").setLevel(logging.CRITICAL)  # pytest would keep every line
    with Fed(tmp_path_factory.mktemp("fed")) as running:
        yield running
    logging.getLogger("ecomind").setLevel(level)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],  # a failure is made smaller by `receiving.py`
    suppress_health_check=list(HealthCheck),
)
@given(bodies=BODIES)
def test_structured_bodies_are_answered_and_accounted_for(fed: Fed, bodies: list[Body]) -> None:
    fed.feed(bodies)


def test_damaged_captures_are_answered_and_accounted_for(
    fed: Fed, report: Callable[[str], None]
) -> None:
    mutator = Mutator(2026)
    outcomes = fed.feed(mutator.body() for _ in range(400))
    assert outcomes["stored"] > 20
    assert outcomes["quarantined"] > 0
    report(f"fuzz: answers {dict(fed.answers)}, outcomes {dict(fed.outcomes())}")


def _span(number: int, attributes: dict[str, Any] | None = None, **fields: Any) -> bytes:
    message = ExportTraceServiceRequest.FromString(protobuf([attributes or CHAT], first_id=number))
    span = message.resource_spans[0].scope_spans[0].spans[0]
    for name, value in fields.items():
        setattr(span, name, value)
    return message.SerializeToString()


def _with(number: int, *pairs: tuple[str, Any]) -> bytes:
    """A call with further attributes behind its own, which may be of the same key."""
    message = ExportTraceServiceRequest.FromString(protobuf([CHAT], first_id=number))
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.attributes.extend(key_value(key, value) for key, value in pairs)
    return message.SerializeToString()


INPUT = "gen_ai.usage.input_tokens"
HOSTILE: dict[str, tuple[bytes, str]] = {
    "a negative count": (_span(101, CHAT | {INPUT: -5}), "stored"),
    "the smallest integer": (_span(102, CHAT | {INPUT: -(2**63)}), "stored"),
    "the largest integer": (_span(103, CHAT | {INPUT: 2**63 - 1}), "stored"),
    "a huge double": (_span(104, CHAT | {INPUT: 1e308}), "stored"),
    "not a number": (_span(105, CHAT | {INPUT: float("nan")}), "stored"),
    "infinity": (_span(106, CHAT | {INPUT: float("inf")}), "stored"),
    "measured energy that is none": (
        _span(107, CHAT | {"ecomind.measured.energy": float("nan")}),
        "stored",
    ),
    "a negative time to the first chunk": (
        _span(108, CHAT | {"gen_ai.response.time_to_first_chunk": -1e300}),
        "stored",
    ),
    "a trace id of 17 bytes": (_span(109, trace_id=b"t" * 17), "bad_id"),
    "no trace id": (_span(110, trace_id=b""), "bad_id"),
    "a span id of 17 bytes": (_span(111, span_id=b"s" * 17), "bad_id"),
    "no span id": (_span(112, span_id=b""), "bad_id"),
    "a parent of 17 bytes": (_span(113, parent_span_id=b"p" * 17), "stored"),
    "1970": (_span(114, start_time_unix_nano=0), "bad_time"),
    "2100": (_span(115, start_time_unix_nano=4_102_444_800 * 10**9), "bad_time"),
    "the end of time": (_span(116, start_time_unix_nano=2**64 - 1), "bad_time"),
    "an end before its start": (_span(117, end_time_unix_nano=NOW_NS - DAY_NS), "stored"),
    "an end in 2554": (_span(118, end_time_unix_nano=2**64 - 1), "stored"),
    "garbage as a trace state": (_span(119, trace_state="ot=th:;=,,\x00é,ot=th:zz"), "stored"),
    "a threshold of everything": (_span(120, trace_state="ot=th:ffffffffffffff"), "stored"),
    "the same key twice": (_with(121, (INPUT, 7)), "stored"),
    "the same key as int and double": (_with(122, (INPUT, 7.5), (INPUT, 8)), "stored"),
    "the same key as text and nothing": (_with(123, (INPUT, "9"), (INPUT, None)), "stored"),
    "a name of a megabyte": (_span(124, CHAT | {"gen_ai.request.model": "m" * 10**6}), "stored"),
    "a zero in a name": (_span(125, CHAT | {"gen_ai.request.model": "m\x00m"}), "stored"),
    "an unknown status": (_span(126, CHAT | {"status": 99}), "stored"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_value_spoils_its_field_or_its_span(fed: Fed, what: str) -> None:
    """And never the call beside it, in the same segment."""
    body, outcome = HOSTILE[what]
    beside = protobuf([CHAT], first_id=5000 + list(HOSTILE).index(what))
    kept = 2 if outcome != "bad_id" else 1  # a request without one sound span is not kept
    found = fed.feed(Body(TRACES, PROTOBUF, "", data) for data in (body, beside))
    assert found.total() == kept
    assert found["stored"] == (2 if outcome == "stored" else 1)


def test_text_that_is_no_utf_8_is_kept_apart_or_read(fed: Fed) -> None:
    bad = protobuf([CHAT], first_id=700).replace(
        b"gpt-4o-2024-08-06", b"gpt-4o-2024-\xc3\x28-\xff6"
    )
    assert fed.feed([Body(TRACES, PROTOBUF, "", bad)]).total() == 1
    assert fed.feed([Body(TRACES, JSON, "", b'{"resourceSpans": "\xff"}')]).total() == 0


@pytest.mark.parametrize("levels", [50, 90, 5000])
def test_deep_nesting_is_answered(fed: Fed, levels: int) -> None:
    value = '{"arrayValue":{"values":[' * levels + "]}}" * levels
    span = (
        f'{{"traceId":"{levels:032x}","spanId":"{1:016x}","startTimeUnixNano":"{NOW_NS}",'
        f'"attributes":[{{"key":"model","value":{value}}}]}}'
    )
    body = '{"resourceSpans":[{"scopeSpans":[{"spans":[' + span + "]}]}]}"
    assert fed.feed([Body(TRACES, JSON, "", body.encode())]).total() in (0, 1)


def test_a_segment_of_two_hundred_thousand_names_stays_bounded(
    fed: Fed, report: Callable[[str], None]
) -> None:
    """200 names are kept and resolved, the rest are one name; all spans are counted."""
    before_mb, started = resident_mb(), time.monotonic()
    outcomes = fed.feed([Body(TRACES, PROTOBUF, "", _many_names())])
    seconds, grown_mb = time.monotonic() - started, resident_mb() - before_mb
    rows = fed.receiver.store.query(
        "SELECT count() AS spans, uniqExact(request_model) AS names,"
        " countIf(request_model = '__other__') AS others, uniqExact(coef_id) AS resolved"
        " FROM calls WHERE service = 'names'"
    )
    report(f"fuzz: {NAMES:,} names in {seconds:.1f} s, {grown_mb:+.0f} MB")
    assert outcomes == {"stored": NAMES}
    assert rows[0]["spans"] == NAMES
    assert rows[0]["names"] <= 201
    assert rows[0]["others"] >= NAMES - 200
    assert rows[0]["resolved"] <= 201
    assert seconds < 30
    assert grown_mb < 600


def _many_names() -> bytes:
    """Spans of one length, in one request; by hand, because protobuf would take long."""
    template = _span(1, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m-000000"})
    message = ExportTraceServiceRequest.FromString(template)
    span = message.resource_spans[0].scope_spans[0].spans[0]
    span.trace_id, span.span_id = b"T" * 16, b"S" * 8
    one = span.SerializeToString()
    spans = b"".join(
        b"\x12" + varint(len(one)) + one.replace(b"T" * 16, (1 << 64 | n).to_bytes(16, "big"))
        .replace(b"S" * 8, (1 << 40 | n).to_bytes(8, "big"))
        .replace(b"m-000000", b"m-%06d" % n)
        for n in range(NAMES)
    )  # fmt: skip
    resource = b"\x0a" + _sized(
        b"\x0a" + _sized(key_value("service.name", "names").SerializeToString())
    )
    return b"\x0a" + _sized(resource + b"\x12" + _sized(spans))


def _sized(data: bytes) -> bytes:
    return varint(len(data)) + data

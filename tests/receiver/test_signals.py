"""Logs take the way of spans into the spool; metrics end before it; both are told apart."""

import asyncio
from typing import Any

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.otlp import CHAT, protobuf
from support.receiver import Running

from ecomind_receiver import segment
from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.kinds import Kind
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings
from ecomind_receiver.signals import LOGS, METRICS, SIGNALS, TRACES
from ecomind_receiver.spool import Spool, envelope
from ecomind_receiver.telemetry import prometheus_text
from ecomind_receiver.tenants import LOCAL

TWO = b"\x0a\x06\x12\x04\x12\x00\x12\x00"  # two empty log records, or metrics
TWO_LOGS = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{},{}]}]}]}'
TWO_METRICS = b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{},{}]}]}]}'


async def post(receiver: Receiver, path: str, body: bytes, media_type: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        url = f"http://127.0.0.1:{receiver.http_port}{path}"
        return await client.post(url, content=body, headers={"content-type": media_type})


async def export(receiver: Receiver, service: str, body: bytes) -> Any:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{receiver.grpc_port}") as channel:
        return await channel.unary_unary(f"/{service}/Export")(body, timeout=10)


def counted(text: str, name: str) -> dict[tuple[str, ...], int]:
    """Values of a counter by its attributes of ours, in the order of their names."""
    return {
        tuple(v for k, v in sorted(sample.labels.items()) if k.startswith("ecomind")): int(
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{name}_total" and sample.value
    }


def test_the_services_are_those_of_opentelemetry() -> None:
    assert [(s.path, s.grpc_service, s.request) for s in SIGNALS] == [
        (
            "/v1/traces",
            "opentelemetry.proto.collector.trace.v1.TraceService",
            "ExportTraceServiceRequest",
        ),
        (
            "/v1/logs",
            "opentelemetry.proto.collector.logs.v1.LogsService",
            "ExportLogsServiceRequest",
        ),
        (
            "/v1/metrics",
            "opentelemetry.proto.collector.metrics.v1.MetricsService",
            "ExportMetricsServiceRequest",
        ),
    ]


def test_each_signal_is_answered_and_counted_apart(running: Running) -> None:
    async def scenario() -> tuple[list[Any], str, bool]:
        async with running(listeners=True, spool_segment_max_seconds=60) as receiver:
            answers = [
                await post(receiver, "/v1/metrics", TWO, PROTOBUF),
                await post(receiver, "/v1/metrics", TWO_METRICS, JSON),
                await post(receiver, "/v1/metrics", b"{", JSON),
                await post(receiver, "/v1/logs", b"{", JSON),
            ]
            await export(receiver, METRICS.grpc_service, TWO)
            untouched = not receiver.spool.busy
            answers += [
                await post(receiver, "/v1/logs", TWO, PROTOBUF),
                await post(receiver, "/v1/logs", TWO_LOGS, JSON),
                await post(receiver, "/v1/traces", protobuf([CHAT] * 3), PROTOBUF),
            ]
            await export(receiver, LOGS.grpc_service, TWO)
            assert receiver.telemetry
            return answers, prometheus_text(receiver), untouched

    answers, metrics, untouched = asyncio.run(scenario())
    assert [answer.status_code for answer in answers] == [200, 200, 400, 400, 200, 200, 200]
    assert untouched
    assert counted(metrics, "ecomind_receiver_requests") == {
        ("http", "success", "metrics"): 2,  # labels: receiver_transport, request_outcome, signal
        ("http", "refused", "metrics"): 1,
        ("grpc", "success", "metrics"): 1,
        ("http", "refused", "logs"): 1,
        ("http", "success", "logs"): 2,
        ("grpc", "success", "logs"): 1,
        ("http", "success", "traces"): 1,
    }
    assert counted(metrics, "ecomind_receiver_spans") == {
        ("metrics", "ignored"): 6,  # labels: signal, span_outcome
        ("logs", "accepted"): 6,
        ("traces", "accepted"): 3,
    }


def test_rejected_spans_are_counted_and_a_request_of_them_alone_is_not_kept(
    running: Running,
) -> None:
    sound, none = protobuf([CHAT]), b"\x0a\x04\x12\x02\x12\x00"

    async def scenario() -> tuple[Any, bool, Any, str]:
        async with running(listeners=True) as receiver:
            alone = await receiver.accept(LOCAL, none, PROTOBUF)
            untouched = not receiver.spool.busy
            mixed = await receiver.accept(LOCAL, sound + none, PROTOBUF)
            await receiver.drain()
            return alone, untouched, mixed, prometheus_text(receiver)

    alone, untouched, mixed, metrics = asyncio.run(scenario())
    assert (alone.items, alone.rejected, untouched) == (0, 1, True)
    assert (mixed.items, mixed.rejected) == (1, 1)
    assert counted(metrics, "ecomind_receiver_spans") == {
        ("traces", "accepted"): 1,
        ("traces", "refused"): 2,
    }
    assert counted(metrics, "ecomind_loader_spans") == {("stored",): 1, ("bad_id",): 1}


@pytest.mark.parametrize(
    ("signal", "body", "wanted"),
    [(TRACES, protobuf([CHAT] * 6), "spans"), (LOGS, TWO * 3, "log records")],
)
def test_what_is_kept_is_charged(running: Running, signal: Any, body: bytes, wanted: str) -> None:
    async def scenario() -> list[httpx.Response]:
        quota = {"quota_spans_per_second": 1, "quota_burst_seconds": 6}
        async with running(listeners=True, **quota) as receiver:
            return [await post(receiver, signal.path, body, PROTOBUF) for _ in range(2)]

    first, second = asyncio.run(scenario())
    assert (first.status_code, second.status_code) == (200, 429)
    assert f"({wanted} in this request: 6). Send it again in" in second.text


def test_a_segment_says_which_kinds_it_holds(settings: Settings) -> None:
    async def append() -> None:
        spool = Spool(settings, bytes(32))
        for kind in (Kind.TRACES, Kind.LOGS_JSON, Kind.LOGS_JSON):
            await spool.append("org_a", envelope(LOCAL, 1, (2, 3), b"body", kind), 1, kind)
        spool.close()

    asyncio.run(append())
    (path,) = (settings.data_dir / "spool").glob("*.seg")
    contents = segment.read_segment(path, bytes(32), lambda plaintext: None)
    assert (contents.spans, contents.kinds) == (3, Kind.TRACES | Kind.LOGS_JSON)
    assert int(contents.kinds) == 1 + 8

"""Cases 35 to 47: what a receiver does when it can't, who may send, and how it stops."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from ecomind_query.bench.process import Server
from ecomind_query.conformance import expect
from ecomind_query.conformance.calls import (
    CHAT,
    INPUT,
    OUTPUT,
    TOKENS,
    encode,
    message,
    new_service,
    one_call,
)
from ecomind_query.conformance.fleet import FULL_BYTES, ORIGIN
from ecomind_query.conformance.metrics import accepted_spans, requests_of
from ecomind_query.conformance.target import Answer, Target, Transport
from ecomind_receiver.signals import LOGS, METRICS

DOWN_SECONDS = 3.0
_REQUESTS = 100
_SECONDS = 20.0


@contextmanager
def store_down(server: Server) -> Iterator[None]:
    """While inside, the disk under the spool takes nothing; what it holds stays."""
    server.wait_drained(_SECONDS)
    spool = server.data_dir / "spool"
    away = spool.with_name("spool.away")
    spool.rename(away)
    spool.touch()
    try:
        yield
    finally:
        spool.unlink()
        away.rename(spool)


def down(target: Target, transport: Transport) -> None:
    """Refused with a time to retry after, and accepted again afterwards."""
    service = new_service()
    body = one_call(service, transport)
    with store_down(target.own()):
        answer = target.send(transport, body)
        expect.refusal(transport, answer, 503, "UNAVAILABLE", 14, wait=True)
    expect.success(transport, target.send(transport, body))
    expect.stored(target, service, TOKENS)


def full(target: Target, transport: Transport) -> None:
    """Above the high-water mark as when the store is down; what was taken before is kept."""
    service = new_service()
    padding = "x" * (FULL_BYTES // 4)
    body = encode(message(service, {"app.note": padding}), transport)
    taken = 0
    while (answer := target.send(transport, body)).status in (200, "OK"):
        taken += 1
        expect.true(taken <= 8, "it is never full")
    expect.refusal(transport, answer, 503, "UNAVAILABLE", 14, wait=True)


def sent_twice(target: Target, transport: Transport) -> None:
    """A batch whose answer was lost: within one segment and across two, each call counts once."""
    service = new_service()
    body = encode(message(service, *({INPUT: 1000, OUTPUT: 300} for _ in range(3))), transport)
    together = [threading.Thread(target=target.send, args=(transport, body)) for _ in range(2)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    target.own().wait_drained(_SECONDS)
    expect.success(transport, target.send(transport, body))
    target.own().wait_drained(_SECONDS)
    statement = f"SELECT sum(sign) FROM calls WHERE service = '{service}'"
    deadline = time.monotonic() + 3 * _SECONDS
    while (found := int(target.select(statement)[0][0])) != 3 and time.monotonic() < deadline:
        time.sleep(0.2)
    expect.equal(found, 3, "calls that count")


def preflight(target: Target, transport: Transport) -> None:
    """A known origin may ask and send; a foreign one is told nothing."""
    for path in ("/v1/traces", "/v1/logs"):
        known = _preflight(target, path, ORIGIN)
        expect.true(known.status in (200, 204), f"the preflight is answered {known.status}")
        expect.equal(known.headers.get("access-control-allow-origin"), ORIGIN, "allowed origin")
        foreign = _preflight(target, path, "https://evil.example.com")
        allowed = foreign.headers.get("access-control-allow-origin")
        expect.equal(allowed, None, "origin allowed to a foreign page")
    page = {"Origin": ORIGIN, "Authorization": f"Bearer {target.public_key}"}
    body = one_call(new_service(), transport)
    answer = target.post(body, transport.media_type, headers=page)
    expect.success(transport, answer)
    expect.equal(answer.headers.get("access-control-allow-origin"), ORIGIN, "allowed origin")


def over_tls(target: Target, transport: Transport) -> None:
    """A certificate that the client trusts, and nothing without TLS."""
    expect.success(transport, target.send(transport, one_call(new_service(), transport)))
    plain = Target(target.url.replace("https://", "http://"), target.rpc)
    _expect_nothing(plain, transport)


def over_mtls(target: Target, transport: Transport) -> None:
    """With a certificate of the client's own; none without."""
    expect.success(transport, target.send(transport, one_call(new_service(), transport)))
    _expect_nothing(Target(target.url, target.rpc, ca=target.ca), transport)


def wrong_key(target: Target, transport: Transport) -> None:
    """401 or UNAUTHENTICATED, and nothing that says to send it again."""
    headers = {"Authorization": "Bearer eco_live_AAAAAAAA_not-the-key-of-anybody"}
    answer = target.send(transport, one_call(new_service(), transport), headers=headers)
    expect.refusal(transport, answer, 401, "UNAUTHENTICATED", 16)
    expect.true(answer.status not in expect.RETRYABLE, f"{answer.status} would be retried")


def kept_connection(target: Target, transport: Transport) -> None:
    """A hundred requests, one after the other, over one connection."""
    before = target.server.counters().acked_spans if target.server else 0
    if transport is Transport.GRPC:
        with target.channel() as channel:
            for _ in range(_REQUESTS):
                body = one_call(new_service(), transport)
                expect.success(transport, target.call(body, channel=channel))
    else:
        with target.connect() as connection:
            connection.connect()
            opened = connection.sock
            for _ in range(_REQUESTS):
                body = one_call(new_service(), transport)
                answer = target.post(body, transport.media_type, connection=connection)
                expect.success(transport, answer)
                expect.true(connection.sock is opened, "the connection was closed")
    if target.server:
        after = target.server.counters().acked_spans
        expect.equal(after - before, _REQUESTS, "spans acknowledged")


def pings_and_goaway(target: Target, transport: Transport) -> None:
    """Pings every second while idle, and a restart in between: all that was sent is stored once."""
    server, service = target.own(), new_service()
    options = (
        ("grpc.keepalive_time_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.max_reconnect_backoff_ms", 200),
        ("grpc.enable_retries", 0),
    )
    with target.channel(*options) as channel:
        bodies = [
            encode(message(service, {INPUT: 1000, OUTPUT: n}), transport) for n in range(1, 21)
        ]
        _until_success(partial(target.call, bodies[0], channel=channel))
        time.sleep(DOWN_SECONDS)
        for body in bodies[1:10]:
            _until_success(partial(target.call, body, channel=channel))
        server.stop()
        server.start()
        for body in bodies[10:]:
            _until_success(partial(target.call, body, channel=channel))
    rows = [[n] for n in range(1, 21)]
    found = sorted(target.rows(service, "output_tokens"))
    expect.equal(found, rows, "what is stored")


def drained(target: Target, transport: Transport) -> None:
    """A request that is half sent when SIGTERM comes is answered, and stored."""
    server, service = target.own(), new_service()
    body = one_call(service, transport)
    stopping = threading.Thread(target=server.stop)

    def pieces() -> Iterator[bytes]:
        if transport is not Transport.GRPC:
            yield body[:40]
        stopping.start()
        time.sleep(1.0)
        yield body if transport is Transport.GRPC else body[40:]

    try:
        if transport is Transport.GRPC:
            with target.channel() as channel:
                export = channel.stream_unary(
                    "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
                )
                answer = Answer("OK", "", export(pieces(), timeout=_SECONDS), {})
        else:
            answer = target.post(pieces(), transport.media_type)
    finally:
        stopping.join()
    expect.success(transport, answer)
    server.start()
    expect.stored(target, service, TOKENS)


def other_signals(target: Target, transport: Transport) -> None:
    """Logs and metrics are taken at the same address, so an exporter of all three is content."""
    logs = ExportLogsServiceRequest()
    record = logs.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    record.body.string_value = "conformance"
    metrics = ExportMetricsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="conformance")
    metric.gauge.data_points.add(time_unix_nano=1, as_int=1)
    for signal, request in ((LOGS, logs), (METRICS, metrics)):
        body = encode(request, transport)
        expect.success(transport, target.send(transport, body, signal), signal)
        nothing = b"{}" if transport is Transport.JSON else b""
        expect.success(transport, target.send(transport, nothing, signal), signal)


def sdk(target: Target, transport: Transport) -> None:
    """The exporter of the Python SDK, with the store down for three seconds: nothing is lost."""
    server, service = target.own(), new_service()
    provider = TracerProvider(resource=Resource({"service.name": service}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(_exporter(target, transport)))
    tracer = provider.get_tracer("conformance")

    def call() -> None:
        attributes: dict[str, Any] = {**CHAT, INPUT: 1000, OUTPUT: 300}
        with tracer.start_as_current_span("chat gpt-4o", attributes=attributes):
            pass

    call()
    with store_down(server):
        waiting = threading.Thread(target=call)
        waiting.start()
        time.sleep(DOWN_SECONDS)
    waiting.join()
    provider.shutdown()
    expect.stored(target, service, TOKENS * 2)


def own_metrics(target: Target, transport: Transport) -> None:
    """Accepted after a call, unchanged after an empty request, refused while the store is down."""
    server = target.own()
    name = "grpc" if transport is Transport.GRPC else "http"
    before = accepted_spans(server)
    expect.success(transport, target.send(transport, one_call(new_service(), transport)))
    expect.equal(accepted_spans(server) - before, 1, "accepted spans after one")
    expect.success(transport, target.send(transport, b"{}" if transport is Transport.JSON else b""))
    expect.equal(accepted_spans(server) - before, 1, "accepted spans after an empty request")
    refused = requests_of(server, name, "failure")
    with store_down(server):
        target.send(transport, one_call(new_service(), transport))
        expect.equal(accepted_spans(server) - before, 1, "accepted spans while the store is down")
        expect.equal(requests_of(server, name, "failure") - refused, 1, "requests that failed")


def _preflight(target: Target, path: str, origin: str) -> Answer:
    asked = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    return target.post(b"", None, method="OPTIONS", path=path, headers=asked)


def _expect_nothing(target: Target, transport: Transport) -> None:
    try:
        answer = target.send(transport, one_call(new_service(), transport))
    except OSError:
        return
    except Exception as error:  # what is no HTTP is told in as many ways as there are
        expect.true(type(error).__module__ == "http.client", f"{type(error).__name__}: {error}")
        return
    expect.equal(answer.status, "UNAVAILABLE", "the answer to who may not come in")


def _until_success(send: Callable[[], Answer]) -> None:
    """Retry as exporters do."""
    deadline = time.monotonic() + _SECONDS
    while (answer := send()).status != "OK":
        expect.equal(answer.status, "UNAVAILABLE", "the gRPC code of a failure in between")
        expect.true(time.monotonic() < deadline, "it never came back")
        time.sleep(0.1)


def _exporter(target: Target, transport: Transport) -> SpanExporter:
    if transport is Transport.GRPC:
        return GrpcExporter(target.rpc, insecure=True)
    session = requests.Session()
    session.trust_env = False  # it is on this machine
    return HttpExporter(f"{target.url}/v1/traces", session=session)

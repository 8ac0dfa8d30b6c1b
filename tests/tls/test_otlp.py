"""A whole receiver with TLS from its settings, and the exporters that applications really use."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import grpc
import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.otlp import CHAT, protobuf
from support.receiver import make_settings

from ecomind_receiver.server import Receiver

from .conftest import Authority, Pair

SECONDS = 20
METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


class Pki(NamedTuple):
    """Whom an exporter trusts, and what it shows."""

    ca: Path
    pair: Pair | None = None


Receiving = Callable[..., AbstractAsyncContextManager[Receiver]]


@pytest.fixture
def receiving(tmp_path: Path, authority: Authority) -> Receiving:
    """`async with receiving(mutual=…) as receiver`, on 127.0.0.1 with a certificate."""

    @asynccontextmanager
    async def run(mutual: bool) -> AsyncIterator[Receiver]:
        cert, key = authority.issue()
        client_ca = authority.file if mutual else None
        receiver = Receiver(
            make_settings(
                tmp_path, tls_cert_file=cert, tls_key_file=key, tls_client_ca_file=client_ca
            )
        )
        await receiver.start()
        try:
            yield receiver
        finally:
            await receiver.stop()

    return run


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxies, and nothing that requests would believe before an exporter's certificate."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


@pytest.fixture
def spans() -> list[ReadableSpan]:
    """Three finished spans."""
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    for _ in range(3):
        with provider.get_tracer("test").start_as_current_span("chat") as span:
            for name, value in CHAT.items():
                span.set_attribute(name, cast(str | int, value))
    return list(memory.get_finished_spans())


def exporter_of(kind: str, receiver: Receiver, pki: Pki, monkeypatch: Any) -> SpanExporter:
    """The exporter as an application gets it: by the variables of OpenTelemetry, with files."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", str(pki.ca))
    if pki.pair:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", str(pki.pair.cert))
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", str(pki.pair.key))
    if kind == "grpc":
        return GrpcExporter(endpoint=f"https://127.0.0.1:{receiver.grpc_port}", timeout=2)
    url = f"https://127.0.0.1:{receiver.http_port}/v1/traces"
    return HttpExporter(endpoint=url, timeout=2)


def export(
    receiving: Receiving, mutual: bool, kind: str, pki: Pki, spans: list[ReadableSpan], patch: Any
) -> tuple[SpanExportResult, int]:
    """What the exporter says, and how many spans the receiver acknowledged."""

    async def scenario() -> tuple[SpanExportResult, int]:
        async with receiving(mutual) as receiver:
            exporter = exporter_of(kind, receiver, pki, patch)
            try:
                result = await asyncio.to_thread(exporter.export, spans)
            finally:
                await asyncio.to_thread(exporter.shutdown)
            return result, receiver.status().acked_spans

    return asyncio.run(scenario())


@pytest.mark.parametrize("kind", ["http", "grpc"])
@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mtls"])
def test_an_exporter_with_certificate_files(
    receiving: Receiving,
    authority: Authority,
    spans: list[ReadableSpan],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    mutual: bool,
) -> None:
    pki = Pki(authority.file, authority.issue("client.example") if mutual else None)
    sent = export(receiving, mutual, kind, pki, spans, monkeypatch)
    assert sent == (SpanExportResult.SUCCESS, 3)


@pytest.mark.parametrize("kind", ["http", "grpc"])
@pytest.mark.parametrize("who", ["nobody", "foreigner"])
def test_an_exporter_without_an_accepted_certificate(
    receiving: Receiving,
    authority: Authority,
    foreign: Authority,
    spans: list[ReadableSpan],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    who: str,
) -> None:
    caplog.set_level(logging.CRITICAL, "opentelemetry")
    pki = Pki(authority.file, foreign.issue("client.example") if who == "foreigner" else None)
    sent = export(receiving, True, kind, pki, spans, monkeypatch)
    assert sent == (SpanExportResult.FAILURE, 0)


def call(port: int, credentials: Any | None) -> bytes:
    """One Export over gRPC; without credentials in plain text."""
    address = f"127.0.0.1:{port}"
    options = (("grpc.enable_http_proxy", 0), ("grpc.max_reconnect_backoff_ms", 200))
    channel = (
        grpc.secure_channel(address, credentials, options)
        if credentials
        else grpc.insecure_channel(address, options)
    )
    with channel:
        answer: bytes = channel.unary_unary(METHOD)(protobuf([CHAT]), timeout=SECONDS)
        return answer


@pytest.mark.parametrize("mutual", [False, True], ids=["tls", "mtls"])
def test_plain_clients_get_nothing(receiving: Receiving, mutual: bool) -> None:
    def over_http(port: int) -> None:
        body, media = protobuf([CHAT]), {"content-type": "application/x-protobuf"}
        httpx.post(f"http://127.0.0.1:{port}/v1/traces", content=body, headers=media)

    async def scenario() -> tuple[Any, int]:
        async with receiving(mutual) as receiver:
            answers = await asyncio.gather(
                asyncio.to_thread(over_http, receiver.http_port),
                asyncio.to_thread(call, receiver.grpc_port, None),
                return_exceptions=True,
            )
            return answers, receiver.status().acked_spans

    (http, rpc), acked = asyncio.run(scenario())
    assert isinstance(http, httpx.TransportError)
    assert isinstance(rpc, grpc.RpcError) and rpc.code() is grpc.StatusCode.UNAVAILABLE
    assert acked == 0


def test_grpc_clients(receiving: Receiving, authority: Authority, foreign: Authority) -> None:
    """Under mTLS: one with a certificate gets in; none, a foreign one, and foreign trust do not."""
    ours, theirs = authority.issue("client.example"), foreign.issue("client.example")

    def credentials(ca: Path, pair: Pair | None = None) -> Any:
        chain, key = (pair.cert.read_bytes(), pair.key.read_bytes()) if pair else (None, None)
        return grpc.ssl_channel_credentials(ca.read_bytes(), key, chain)

    async def scenario() -> tuple[list[Any], int]:
        async with receiving(True) as receiver:
            answers = await asyncio.gather(
                *(
                    asyncio.to_thread(call, receiver.grpc_port, each)
                    for each in (
                        credentials(authority.file, ours),
                        credentials(authority.file),
                        credentials(authority.file, theirs),
                        credentials(foreign.file, ours),
                    )
                ),
                return_exceptions=True,
            )
            return answers, receiver.status().acked_spans

    (accepted, *refused), acked = asyncio.run(scenario())
    assert (accepted, acked) == (b"", 1)
    assert [error.code() for error in refused] == [grpc.StatusCode.UNAVAILABLE] * 3


def test_grpc_speaks_tls_1_2_and_nothing_older(
    receiving: Receiving, authority: Authority, old_client: ssl.SSLContext
) -> None:
    newer = ssl.create_default_context(cafile=str(authority.file))
    newer.maximum_version = ssl.TLSVersion.TLSv1_2

    def version(port: int, client: ssl.SSLContext) -> str | None:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as tcp,
            client.wrap_socket(tcp, server_hostname="127.0.0.1") as connection,
        ):
            return connection.version()

    async def scenario() -> str | None:
        async with receiving(False) as receiver:
            with pytest.raises(ssl.SSLError):
                await asyncio.to_thread(version, receiver.grpc_port, old_client)
            return await asyncio.to_thread(version, receiver.grpc_port, newer)

    assert asyncio.run(scenario()) == "TLSv1.2"

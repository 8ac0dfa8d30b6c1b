"""The exporters that applications really use: Python's and JavaScript's, also while the store is
down for three seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter

from ecomind_query.conformance.calls import CHAT, INPUT, OUTPUT, new_service
from ecomind_query.conformance.fleet import Fleet
from ecomind_query.conformance.operation import DOWN_SECONDS, store_down
from ecomind_query.conformance.target import Target

JS = Path(__file__).with_name("js")
NODE = shutil.which("node", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
needs_js = pytest.mark.skipif(
    not (NODE and (JS / "node_modules/.package-lock.json").exists()),
    reason="the JavaScript SDK is not installed; `make test` does that",
)


@pytest.mark.parametrize("kind", ["http", "http gzip", "http deflate", "grpc", "grpc gzip"])
def test_python(target: Target, kind: str) -> None:
    service = new_service()
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(_exporter(target, kind)))
    attributes: dict[str, Any] = {**CHAT, INPUT: 1000, OUTPUT: 300}
    with provider.get_tracer("test").start_as_current_span("chat gpt-4o", attributes=attributes):
        pass
    provider.shutdown()
    columns = "scope, input_tokens, output_tokens, counted"
    assert target.rows(service, columns) == [["test", 1000, 300, 1]]


@needs_js
@pytest.mark.parametrize("kind", ["json", "protobuf", "grpc"])
def test_javascript(target: Target, kind: str) -> None:
    service = new_service()
    done, said = _finish(_send(target, kind, service, 5))
    assert done == 0, said
    assert target.rows(service, "input_tokens, output_tokens") == [[1000, 300]] * 5


@needs_js
@pytest.mark.parametrize("kind", ["json", "protobuf"])  # its gRPC exporter never tries twice
def test_javascript_while_the_store_is_down(fleet: Fleet, kind: str) -> None:
    target, service = fleet.target("breaking"), new_service()
    with store_down(target.own()):
        sending = _send(target, kind, service, 5)
        time.sleep(DOWN_SECONDS)
        assert sending.poll() is None  # it waits
    done, said = _finish(sending)
    assert done == 0, said
    assert target.rows(service, "input_tokens, output_tokens") == [[1000, 300]] * 5


def _exporter(target: Target, kind: str) -> SpanExporter:
    name, _, compression = kind.partition(" ")
    if name == "grpc":
        packed = grpc.Compression.Gzip if compression else None
        return GrpcExporter(target.rpc, insecure=True, compression=packed)
    return HttpExporter(f"{target.url}/v1/traces", compression=Compression(compression or "none"))


def _send(target: Target, kind: str, service: str, count: int) -> subprocess.Popen[str]:
    address = f"http://{target.rpc}" if kind == "grpc" else target.url
    return subprocess.Popen(
        [str(NODE), JS / "send.mjs", kind, address, service, str(count)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish(sending: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = sending.communicate(timeout=60)
    return sending.returncode, said

"""Programs of others that send: a real Collector in front of Ecomind, and k6.

`make peers` builds them; without it these tests are skipped.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from support.programs import K6, OTELCOL, free_port, listening

from ecomind_query.conformance import expect
from ecomind_query.conformance.calls import new_service, one_call
from ecomind_query.conformance.fleet import Fleet
from ecomind_query.conformance.metrics import requests_of
from ecomind_query.conformance.operation import DOWN_SECONDS, store_down
from ecomind_query.conformance.target import Target, Transport
from ecomind_receiver.signals import LOGS, METRICS

PEERS = Path(__file__).with_name("peers")
TOKENS = [[1000, 300]]

needs_otelcol = pytest.mark.skipif(
    not OTELCOL.exists(), reason="the Collector is not built; run `make peers`"
)
needs_k6 = pytest.mark.skipif(not K6.exists(), reason="k6 is not built; run `make peers`")

EXPORTERS: dict[str, dict[str, dict[str, str]]] = {
    "grpc": {"otlp_grpc": {}},
    "grpc without compression": {"otlp_grpc": {"compression": "none"}},
    "http protobuf": {"otlp_http": {}},
    "http json": {"otlp_http": {"encoding": "json"}},
    "http zstd": {"otlp_http": {"compression": "zstd"}},
    "http deflate": {"otlp_http": {"compression": "deflate"}},
}


@contextmanager
def collector(folder: Path, target: Target, kind: str) -> Iterator[Target]:
    """A Collector that passes traces, logs and metrics on to the target."""
    http, rpc = free_port(), free_port()
    ((name, options),) = EXPORTERS[kind].items()
    address: dict[str, object] = (
        {"endpoint": target.rpc, "tls": {"insecure": True}}
        if name == "otlp_grpc"
        else {"endpoint": target.url}
    )
    protocols = {
        "http": {"endpoint": f"127.0.0.1:{http}"},
        "grpc": {"endpoint": f"127.0.0.1:{rpc}"},
    }
    pipeline = {"receivers": ["otlp"], "processors": ["batch"], "exporters": [name]}
    configuration = {
        "receivers": {"otlp": {"protocols": protocols}},
        "processors": {"batch": {"timeout": "100ms"}},
        "exporters": {name: {**address, **options}},
        "service": {
            "pipelines": {signal: pipeline for signal in ("traces", "logs", "metrics")},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    file = folder / "otelcol.yaml"
    file.write_text(yaml.safe_dump(configuration))
    with listening([OTELCOL, f"--config={file}"], http, folder / "otelcol.log"):
        yield Target(f"http://127.0.0.1:{http}", f"127.0.0.1:{rpc}")


@needs_otelcol
@pytest.mark.parametrize("kind", EXPORTERS)
def test_a_collector_passes_on_all_signals(target: Target, tmp_path: Path, kind: str) -> None:
    service = new_service()
    with collector(tmp_path, target, kind) as between:
        for transport, signal in ((Transport.GRPC, METRICS), (Transport.PROTOBUF, LOGS)):
            item = b"\x0a\x04\x12\x02\x12\x00"
            expect.success(transport, between.send(transport, item, signal), signal)
        body = one_call(service, Transport.JSON)
        expect.success(Transport.JSON, between.send(Transport.JSON, body))
        assert _tokens(target, service, 1) == TOKENS
    log = (tmp_path / "otelcol.log").read_text()
    assert "error" not in log, log


@needs_otelcol
@pytest.mark.parametrize("kind", ["grpc", "http protobuf"])
def test_a_collector_waits_while_the_store_is_down(fleet: Fleet, tmp_path: Path, kind: str) -> None:
    target, service = fleet.target("breaking"), new_service()
    with collector(tmp_path, target, kind) as between:
        with store_down(target.own()):
            for _ in range(3):
                body = one_call(service, Transport.PROTOBUF)
                expect.success(Transport.PROTOBUF, between.send(Transport.PROTOBUF, body))
            time.sleep(DOWN_SECONDS)
        assert _tokens(target, service, 3) == TOKENS * 3


@needs_k6
def test_k6_sends_calls_traces_and_metrics(target: Target) -> None:
    service = new_service()
    before = requests_of(target.own(), "http", "success", "metrics")
    at = target.url.removeprefix("http://")
    done = subprocess.run(
        [
            K6, "run", "--quiet", "--no-usage-report", "--address=",
            "--out=opentelemetry", f"--traces-output=otel={target.url},proto=http",
            PEERS / "load.js",
        ],
        env={
            **os.environ,
            "SERVICE": service,
            "URL": target.url,
            "K6_OTEL_EXPORTER_PROTOCOL": "http/protobuf",
            "K6_OTEL_HTTP_EXPORTER_ENDPOINT": at,
            "K6_OTEL_HTTP_EXPORTER_INSECURE": "true",
        },
        capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert _tokens(target, service, 50) == TOKENS * 50
    assert requests_of(target.own(), "http", "success", "metrics") > before
    for signal in ("traces", "metrics"):
        assert requests_of(target.own(), "http", "refused", signal) == 0


def _tokens(target: Target, service: str, calls: int) -> list[list[int]]:
    """Input and output tokens of the service's calls, once there are so many."""
    where = f"FROM calls WHERE service = '{service}'"
    deadline = time.monotonic() + 30
    while target.select(f"SELECT count() {where}") != [[calls]]:
        assert time.monotonic() < deadline, "they did not come"
        time.sleep(0.1)
    return target.select(f"SELECT input_tokens, output_tokens {where}")

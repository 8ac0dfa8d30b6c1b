"""`ecomind up` with mTLS as a person starts it, and the commands beside it, in real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.otlp import CHAT, json_request

from .conftest import Authority

SECONDS = 60


class Up(NamedTuple):
    """A running process, what it announced, and the environment that it was started with."""

    announced: dict[str, Any]
    environment: dict[str, str]

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ecomind_query", *words]
        environment = self.environment | more
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS
        )


@pytest.fixture
def up(tmp_path: Path, authority: Authority) -> Iterator[Up]:
    pair = authority.issue("ecomind.example")
    settings = {
        "DATA_DIR": tmp_path / "data",
        "KEY_DIR": tmp_path / "keys",
        "TLS_CERT_FILE": pair.cert,
        "TLS_KEY_FILE": pair.key,
        "TLS_CLIENT_CA_FILE": authority.file,
        "SPOOL_SEGMENT_MAX_SECONDS": "0.05",
        "API_PORT": "0",
        "OTLP_HTTP_PORT": "0",
        "OTLP_GRPC_PORT": "0",
    }
    environment = os.environ | {f"ECOMIND_{name}": str(value) for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, "-m", "ecomind_query", "up", "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    try:
        said = [json.loads(process.stdout.readline())]
        while "api" not in said[-1]:
            said.append(json.loads(process.stdout.readline()))
        announced = said[-1]
        assert [line for line in said if line.get("logger", "").startswith("alembic")] == []
        deadline = time.monotonic() + SECONDS
        while not (tmp_path / "data" / "server.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Up(announced, environment)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=SECONDS)
        assert process.returncode == 0


def test_commands_reach_their_server_through_mtls(up: Up, tmp_path: Path) -> None:
    for name in ("api", "otlp_http", "otlp_grpc"):
        assert up.announced[name].startswith("https://127.0.0.1:")
    file = tmp_path / "one.json"
    file.write_bytes(json_request([CHAT] * 3))
    sent = up.run("ingest", str(file), "--json")
    assert sent.returncode == 0, sent.stderr
    assert json.loads(sent.stdout)["spans"] == 3
    assert up.run("usage", "--json").returncode == 0
    findings = json.loads(up.run("doctor", "--json").stdout)
    assert {each["name"]: each["ok"] for each in findings}["store"] is True

    lost = up.run("usage", ECOMIND_TLS_CERT_FILE=str(tmp_path / "none"))
    assert lost.returncode == 1
    assert "The certificate in ECOMIND_TLS_CERT_FILE" in lost.stderr

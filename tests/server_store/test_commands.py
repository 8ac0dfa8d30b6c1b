"""The command line with a server as its store: real processes, and what they refuse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path

from support.clickhouse_server import ClickHouseServer
from support.otlp import CHAT, protobuf


def ecomind(
    home: Path, url: str, *words: str, process: bool = False
) -> subprocess.Popen[str] | subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "ECOMIND_DATA_DIR": str(home / "data"),
        "ECOMIND_KEY_DIR": str(home / "keys"),
        "ECOMIND_STORE_URL": url,
        "ECOMIND_API_PORT": "0",
        "ECOMIND_OTLP_HTTP_PORT": "0",
        "ECOMIND_OTLP_GRPC_PORT": "0",
        "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.05",
        "COLUMNS": "300",
    }
    command = [sys.executable, "-m", "ecomind_query", *words]
    if process:
        return subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def run(home: Path, url: str, *words: str) -> tuple[int, str, str]:
    done = ecomind(home, url, *words)
    assert isinstance(done, subprocess.CompletedProcess)
    return done.returncode, done.stdout, done.stderr


def test_up_stores_on_the_server_and_everything_reads_from_it(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    up = ecomind(tmp_path, server.url, "up", "--json", process=True)
    assert isinstance(up, subprocess.Popen) and up.stdout
    try:
        told = json.loads(next(line for line in up.stdout if '"otlp_http"' in line))
        request = urllib.request.Request(
            f"{told['otlp_http']}/v1/traces",
            protobuf([CHAT] * 4),
            {"Content-Type": "application/x-protobuf"},
        )
        assert urllib.request.urlopen(request, timeout=30).status == 200
        statement = "SELECT sum(calls) AS calls FROM usage_hourly"
        while (rows := json.loads(run(tmp_path, server.url, "sql", statement, "--json")[1])[
            "rows"
        ]) != [[4]]:  # fmt: skip
            assert rows in ([], [[0]])
        with urllib.request.urlopen(f"{told['api']}/", timeout=30) as page:
            assert page.status == 200
        code, said, _ = run(tmp_path, server.url, "doctor")
        assert code == 0 and f"127.0.0.1:{server.port}/ecomind, version 26.9" in said
    finally:
        up.terminate()
        assert up.wait(60) == 0
        up.stdout.close()
    usage = json.loads(run(tmp_path, server.url, "usage", "--json")[1])  # nobody serves now
    assert usage["total"]["calls"] == 4
    elsewhere = json.loads(run(tmp_path / "another", server.url, "usage", "--json")[1])
    assert elsewhere["total"] == usage["total"]


def test_what_is_refused_says_what_to_do(server: ClickHouseServer, tmp_path: Path) -> None:
    wrong = server.url.replace("w%40rd", "secret")
    code, _, said = run(tmp_path, wrong, "up")
    assert code == 2 and "refuses the user name or password. Correct them in" in said
    assert "secret" not in said
    code, said, _ = run(tmp_path, wrong, "doctor")
    assert code == 1 and "refuses the user name or password" in said
    code, _, said = run(tmp_path, "clickhouse://u:secret@h", "up")
    assert code == 2 and "ECOMIND_STORE_URL is not usable: it must name the database" in said
    assert "secret" not in said
    for words in (
        ("backup", str(tmp_path / "b")),
        ("restore", str(tmp_path / "b")),
        ("restore", str(tmp_path / "b"), "--verify-only"),
    ):
        code, _, said = run(tmp_path, server.url, *words)
        assert code == 1
        assert "backed up and restored by its operator, with ClickHouse's own BACKUP" in said

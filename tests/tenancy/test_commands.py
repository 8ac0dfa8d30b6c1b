"""The commands beside a server with keys, and on its store after it has stopped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.otlp import CHAT, protobuf

from ecomind_query.bench.process import Server


class Shell:
    """Runs `ecomind` with the server's settings and the key given."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def __call__(self, *words: str, key: str = "") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.server.environment, "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "ecomind_query", *words],
            env=environment | ({"ECOMIND_API_KEY": key} if key else {}),
            capture_output=True,
            text=True,
        )

    def json(self, *words: str, key: str = "") -> Any:
        done = self(*words, "--json", key=key)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    settings = {"ECOMIND_AUTH": "keys", "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.05"}
    server = Server(tmp_path_factory.mktemp("keys"), settings)
    server.start()
    try:
        yield Shell(server)
    finally:
        server.stop()


def calls(shell: Shell, key: str) -> int:
    return int(shell.json("usage", key=key)["total"]["calls"])


def test_a_key_made_beside_a_running_server_opens_it(shell: Shell, tmp_path: Path) -> None:
    demo = shell.json("seed")["key"]
    shell("orgs", "create", "org_shop")
    shell("projects", "create", "web", "--org", "org_shop")
    made = shell("keys", "create", "shop", "--org", "org_shop", "--project", "web",
                 "--scope", "ingest", "--scope", "read")  # fmt: skip
    shop = made.stdout.strip()
    assert shop.startswith("eco_live_")
    trace = tmp_path / "trace.binpb"
    trace.write_bytes(protobuf([CHAT] * 3))
    assert shell("ingest", str(trace), key=shop).returncode == 0
    shell.server.wait_drained(30)
    assert (calls(shell, shop), calls(shell, demo)) == (3, 0)

    without = shell("usage")
    assert without.returncode == 2
    assert "Set ECOMIND_API_KEY to a live key with the scope read" in without.stderr

    reader = shell("keys", "create", "r", "--org", "org_shop", "--scope", "read").stdout.strip()
    refused = shell("ingest", str(trace), key=reader)
    assert refused.returncode == 2
    assert "lacks the scope ingest" in refused.stderr
    there = shell("usage", "--json", "--server", shell.server.addresses["api"], key=shop)
    assert json.loads(there.stdout)["total"]["calls"] == 3
    nowhere = shell("sql", "SELECT 1", "--server", "ecomind.example", key=shop)
    assert "must be a URL such as https://ecomind.example:8080" in nowhere.stderr
    found = {each["name"]: each for each in shell.json("doctor", key=shop)}
    assert found["ECOMIND_API_KEY"]["detail"].startswith(
        f"{shop[:17]}…: ingest, read of org_shop/web"
    )
    assert "may send" in found["keys"]["detail"]
    assert found["secrets"]["ok"] and found["TLS"]["ok"]
    wrong = shell("doctor", "--json", key=shop[:-1])
    assert (wrong.returncode, "is no key" in wrong.stdout) == (1, True)

    shell.server.stop()  # now the commands open the store themselves
    assert (calls(shell, shop), calls(shell, demo)) == (3, 0)
    assert calls(shell, "") == 0  # without a key it is org_demo
    assert shell("ingest", str(trace), key=shop).returncode == 0
    assert (calls(shell, shop), calls(shell, demo)) == (3, 0)  # the same spans, sent again
    trace.write_bytes(protobuf([CHAT] * 3, first_id=100))
    assert shell("ingest", str(trace), key=shop).returncode == 0
    assert (calls(shell, shop), calls(shell, demo)) == (6, 0)  # the key decides there as well
    reads = shell("keys", "create", "reads", "--org", "org_shop", "--scope", "read").stdout.strip()
    refused = shell("ingest", str(trace), key=reads)
    assert refused.returncode == 2
    assert "lacks the scope ingest" in refused.stderr
    wrong = shell("usage", key=shop[:-1])
    assert wrong.returncode == 2
    assert "ECOMIND_API_KEY: The API key is unknown, revoked or expired." in wrong.stderr
    for text in (shop, demo):
        assert text not in shell.server.log_tail()

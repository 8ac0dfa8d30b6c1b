"""A stand-in for a ClickHouse server: see `clickhouse_http`, which it runs in a process of its own.

The engine is chDB 26.9, so what is proven against it is proven of that version's tables, tokens and
rollups, and of the client; not of replication, of clusters, or of users and their rights.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.clickhouse_cluster import HOST, NAME

DATABASE, USER, PASSWORD = "ecomind", "meter", "pa:ss/w@rd"
STORES = (EMBEDDED, SERVER) = ("embedded", "server")
_TESTS = Path(__file__).parents[1]


class ClickHouseServer:
    """A server that a test may kill, start again with what it stored, pause, or let fail."""

    def __init__(
        self, directory: Path, version: str = "", *, cluster: bool = False, zone: str = "UTC"
    ) -> None:
        self._directory = directory
        self._version = version
        self._cluster = cluster
        self._zone = zone
        self.port = _free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """What ECOMIND_STORE_URL is set to."""
        options = f"?cluster={NAME}" if self._cluster else ""
        return f"clickhouse://{USER}:pa%3Ass%2Fw%40rd@{HOST}:{self.port}/{DATABASE}{options}"

    @property
    def pid(self) -> int:
        """Process id, while it runs."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it on the same port and directory; it answers on return."""
        words = [str(self._directory), DATABASE, str(self.port), USER, PASSWORD, self._version]
        words.append("cluster" if self._cluster else "server")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.clickhouse_http", *words],
            env={**os.environ, "PYTHONPATH": str(_TESTS), "TZ": self._zone},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout
        said = self._process.stdout.readline()
        assert said == "ready\n", f"the stand-in for ClickHouse did not start: {said!r}"

    def kill(self) -> None:
        """End it at once, as a power cut would end its process."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def wait_killed(self) -> None:
        """Return once it has ended itself, as a fault told it to."""
        assert self._process
        self._process.communicate(timeout=60)
        self._process = None

    def pause(self) -> None:
        """Let it answer nothing, with its connections open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def fail(self, match: str, when: str, what: str, count: int = 1) -> None:
        """Have the next `count` statements that hold `match` go wrong: see `clickhouse_http`."""
        told = {"match": match, "when": when, "what": what, "count": count}
        address = f"http://127.0.0.1:{self.port}/-/fault"
        urllib.request.urlopen(address, data=json.dumps(told).encode(), timeout=30).close()


@contextmanager
def clickhouse_server(
    version: str = "", *, cluster: bool = False, zone: str = "UTC"
) -> Iterator[ClickHouseServer]:
    """A started server with an empty database, stopped at the end; it says it is `version`."""
    with tempfile.TemporaryDirectory(prefix="ecomind-clickhouse-") as directory:
        server = ClickHouseServer(Path(directory), version, cluster=cluster, zone=zone)
        server.start()
        try:
            yield server
        finally:
            server.kill()


@contextmanager
def store_settings(kind: str) -> Iterator[dict[str, Any]]:
    """Settings of one of `STORES`, which is there meanwhile: one test body runs on each."""
    if kind == EMBEDDED:
        yield {}
        return
    with clickhouse_server() as server:
        yield {"store_url": server.url}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port

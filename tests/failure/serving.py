"""`ecomind up` under load: the server that a trial torments, and the generator that goes on."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ecomind_query.bench.invariants import Sent, read_report
from ecomind_query.bench.process import Server
from ecomind_query.bench.workload import Mode
from ecomind_query.direct import DIRECT

WINDOW_SECONDS = 20
"""Of the server under load: longer than a restart, since a window looks back by its length."""


def make_server(folder: Path, **settings: str) -> Server:
    """A server on ports of its own that is found where it was when it starts again."""
    http_port, grpc_port = _free_ports(2)
    return Server(
        folder,
        {
            "ECOMIND_OTLP_HTTP_PORT": str(http_port),
            "ECOMIND_OTLP_GRPC_PORT": str(grpc_port),
            "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.2",
            "ECOMIND_SPOOL_SEGMENT_MAX_SPANS": "50000",
            "ECOMIND_RECONCILE_WINDOW_SECONDS": str(WINDOW_SECONDS),
            **settings,
        },
    )


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Generator:
    """A generator that sends until its time is up, over every restart of the server."""

    def __init__(self, server: Server, mode: Mode, seed: int, seconds: float, report: Path) -> None:
        self._seed, self._mode, self._report = seed, mode, report
        self._process = subprocess.Popen(
            [
                sys.executable, "-m", "ecomind_query.bench.generator",
                "--url", server.addresses["otlp_http"], "--seconds", str(seconds),
                "--connections", "4", "--mode", mode, "--seed", str(seed), "--report", str(report),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.totals: dict[str, Any] = {}

    @property
    def acked(self) -> int:
        """Requests acknowledged so far."""
        return self._report.stat().st_size // 8 if self._report.exists() else 0

    def finished(self) -> Sent:
        """Wait for its end: what it sent, and of it what was acknowledged."""
        self.totals = json.loads(self._process.communicate(timeout=120)[0].splitlines()[-1])
        sent = Sent(self._seed, self._mode, self.totals["sent_requests"], read_report(self._report))
        assert len(sent.acked) == self.totals["acked_requests"] > 0
        return sent

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def under_load(
    server: Server, mode: Mode, seed: int, seconds: float, report: Path
) -> Iterator[Generator]:
    """The server, started, with a generator; both are gone afterwards."""
    server.start()
    generator = Generator(server, mode, seed, seconds, report)
    try:
        yield generator
    finally:
        generator.kill()
        server.kill()


def metric(server: Server, name: str) -> float:
    """The value in /metrics of the first line that holds `name`; 0 if there is none."""
    text = _get(f"{server.addresses['api']}/metrics").decode()
    lines = [line for line in text.splitlines() if name in line and not line.startswith("#")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def told(server: Server, part: str) -> str:
    """What /ready says of a part."""
    return str(json.loads(_get(f"{server.addresses['api']}/ready"))["parts"][part]["detail"])


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return once a condition holds. Raises AssertionError if it takes too long."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.02)


def _get(url: str) -> bytes:
    try:
        with DIRECT.open(url, timeout=30) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as error:  # /ready of one that is not
        return error.read()

"""The demo's two child processes, the server and the app: start, wait for, stop.

Each gets a session of its own, so that Ctrl-C reaches only the demo and it can stop them in order:
the app first, to hand over its last spans, then the server, which stores what it acknowledged.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ecomind_query.demo import api
from ecomind_query.demo.errors import DemoError
from ecomind_query.demo.services import SERVICES

READY_SECONDS = 60
APP_SECONDS = 120
STOP_SECONDS = 30
POLL_SECONDS = 0.1
LOG_LINES_SHOWN = 5


class Server(NamedTuple):
    """A running server and its URLs."""

    process: subprocess.Popen[bytes]
    log: Path
    api: str
    otlp_http: str
    otlp_grpc: str

    def require_alive(self) -> None:
        """Raises `DemoError` with the last lines of the log if the server has ended."""
        require_alive(self.process, "server", self.log)


@contextlib.contextmanager
def server(data_dir: Path, log: Path, settings: Mapping[str, str]) -> Iterator[Server]:
    """`ecomind up` on a data directory, ready to accept; stopped at the end. Raises `DemoError`."""
    command = [sys.executable, "-m", "ecomind_query", "up", "--data-dir", str(data_dir)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **settings},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with _stopped_at_end(process):
        yield _wait_until_ready(process, data_dir / "server.json", log)


@contextlib.contextmanager
def app(provider_url: str, otlp_http: str, log: Path, once: bool) -> Iterator[list[dict[str, Any]]]:
    """The demo app, after its scenes; yields the ledger of each service. Raises `DemoError`."""
    arguments = ["--provider-url", provider_url, "--otlp-endpoint", otlp_http]
    command = [sys.executable, "-m", "ecomind_query.demo.demo_app", *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command + ["--once"] * once,
            env=_clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
    with _stopped_at_end(process):
        yield _ledgers(process, log)


def require_alive(process: subprocess.Popen[bytes], name: str, log: Path) -> None:
    """Raises `DemoError` with the last lines of its log if the process has ended."""
    if process.poll() is not None:
        raise DemoError(f"The {name} stopped with status {process.returncode}.", last_lines(log))


def last_lines(log: Path) -> list[str]:
    """The end of a log, for people."""
    return log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:]


def _wait_until_ready(process: subprocess.Popen[bytes], file: Path, log: Path) -> Server:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        require_alive(process, "server", log)
        addresses = _read_json(file)
        if addresses.get("pid") == process.pid and api.is_ready(addresses["api"]):
            urls = (addresses[name] for name in ("api", "otlp_http", "otlp_grpc"))
            return Server(process, log, *urls)
        time.sleep(POLL_SECONDS)
    raise DemoError(f"The server was not ready within {READY_SECONDS} seconds.", last_lines(log))


def _read_json(file: Path) -> dict[str, Any]:
    """What the file holds; nothing while it does not exist or is being written."""
    try:
        return dict(json.loads(file.read_text("utf-8")))
    except (FileNotFoundError, ValueError):
        return {}


def _ledgers(process: subprocess.Popen[bytes], log: Path) -> list[dict[str, Any]]:
    """One line of each service; a timer ends an app that hangs, and with it the reading."""
    assert process.stdout is not None  # it was opened as a pipe
    timer = threading.Timer(APP_SECONDS, _signal, (process, signal.SIGKILL))
    timer.start()
    try:
        lines = [line for line, _ in zip(process.stdout, SERVICES, strict=False)]
    finally:
        timer.cancel()
    if len(lines) < len(SERVICES):
        process.wait()
        require_alive(process, "demo app", log)
    return [json.loads(line) for line in lines]


def _clean_environment() -> dict[str, str]:
    """The environment without what would send the app elsewhere: its settings, and proxies."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "OPENAI_"))
    }
    return ours | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


@contextlib.contextmanager
def _stopped_at_end(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Ends the process and its children with SIGTERM, or SIGKILL if that takes too long."""
    try:
        yield
    finally:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            _signal(process, signal.SIGKILL)
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Signal the whole session, which outlives its leader only by children."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)

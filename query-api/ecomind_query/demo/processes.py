"""The demo's two child processes, the server and the app: start, wait for, stop.

Each gets a session of its own, so that Ctrl-C reaches only the demo and it can stop them in order:
the app first, to hand over its last spans, then the server, which stores what it acknowledged.
"""

from __future__ import annotations

import contextlib
import itertools
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

from ecomind_query.commands import running
from ecomind_query.commands.running import Server, ServerError
from ecomind_query.demo.errors import DemoError
from ecomind_query.demo.services import SERVICES

READY_SECONDS = 60
APP_SECONDS = 120
STOP_SECONDS = 30
POLL_SECONDS = 0.1
LOG_LINES_SHOWN = 5
_FOR_OTHERS = ("ECOMIND_AUTH", "ECOMIND_HOST", "ECOMIND_TLS_", "ECOMIND_CONTROL_URL")


class Child(NamedTuple):
    """A process that was started here, what to call it, and where it logs."""

    process: subprocess.Popen[bytes]
    name: str
    log: Path

    def require_alive(self) -> None:
        """Raises `DemoError` with the last lines of the log if the process has ended."""
        status = self.process.poll()
        if status is not None:
            raise DemoError(f"The {self.name} stopped with status {status}.", self.last_lines())

    def last_lines(self) -> list[str]:
        """The end of the log, for people."""
        return self.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES_SHOWN:]


class RunningServer(NamedTuple):
    """A server that is ready, and its process."""

    child: Child
    server: Server


@contextlib.contextmanager
def server(data_dir: Path, log: Path, settings: Mapping[str, str]) -> Iterator[RunningServer]:
    """`ecomind up` on a data directory, ready to accept; stopped at the end. Raises `DemoError`."""
    command = [sys.executable, "-m", "ecomind_query", "up", "--data-dir", str(data_dir)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=_environment(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    with _stopped_at_end(process):
        yield _wait_until_ready(Child(process, "server", log), data_dir)


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Ours, but on loopback without keys or TLS: the demo is for whoever sits here."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOR_OTHERS)}
    return {**kept, **settings}


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
        yield _ledgers(Child(process, "demo app", log))


def _wait_until_ready(child: Child, data_dir: Path) -> RunningServer:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        child.require_alive()
        server = running.find(data_dir)
        if server and server.pid == child.process.pid and _is_ready(server):
            return RunningServer(child, server)
        time.sleep(POLL_SECONDS)
    message = f"The server was not ready within {READY_SECONDS} seconds."
    raise DemoError(message, child.last_lines())


def _is_ready(server: Server) -> bool:
    try:
        server.get("/ready")
    except ServerError:  # 503 and what is missing
        return False
    return True


def _ledgers(child: Child) -> list[dict[str, Any]]:
    """One line of each service; a timer ends an app that hangs, and with it the reading."""
    assert child.process.stdout is not None  # it was opened as a pipe
    timer = threading.Timer(APP_SECONDS, _signal, (child.process, signal.SIGKILL))
    timer.start()
    try:
        lines = list(itertools.islice(child.process.stdout, len(SERVICES)))
    finally:
        timer.cancel()
    if len(lines) < len(SERVICES):
        child.process.wait()
        child.require_alive()
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

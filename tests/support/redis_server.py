"""A real Redis (Debian's `redis-server`) for tests: loopback, a free port, nothing on disk."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

_BINARY = shutil.which("redis-server")


class RedisServer:
    """A server that a test may stop, start again on the same port, or pause."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = _free_port()
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        """Its address, also while it is stopped."""
        return f"redis://127.0.0.1:{self._port}"

    def client(self) -> redis.Redis:
        """A plain client, to look at what is stored; the caller closes it."""
        return redis.Redis.from_url(self.url)

    def start(self) -> None:
        """Start it, empty; it takes connections on return."""
        command = [str(_BINARY), "--port", str(self._port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", str(self._directory)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        said = []
        for line in self._process.stdout:
            if "Ready to accept connections" in line:
                return
            said.append(line)
        self.stop()
        raise RuntimeError(f"redis-server did not start:\n{''.join(said)}")

    def stop(self) -> None:
        """Kill it; what it held is gone and its connections break."""
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def pause(self) -> None:
        """Let it answer nothing, with its connections open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process
        self._process.send_signal(number)


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """A started server, stopped at the end; skips the test where Redis is not installed."""
    if _BINARY is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="ecomind-redis-") as directory:
        server = RedisServer(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

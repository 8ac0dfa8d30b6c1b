"""Programs of others that `make peers` builds, run as children: started, listening, ended.

Who starts one gets it once its port takes connections; a program that ends before, or takes too
long, is an error that holds its log.
"""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

_BUILT = Path(__file__).parents[1] / "conformance/peers/bin"
OTELCOL, K6, ROTEL = _BUILT / "otelcol", _BUILT / "k6", _BUILT / "rotel"
_START_SECONDS, _STOP_SECONDS = 30, 60


class NotListening(Exception):
    """The program did not start; the message is what it wrote."""


@contextmanager
def listening(
    command: Sequence[str | Path], port: int, log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """The program once it listens on the port; ended with SIGTERM. Raises NotListening."""
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
    try:
        _wait_for(port, process, log)
        yield process
    finally:
        process.terminate()  # what it has taken it sends first
        process.wait(_STOP_SECONDS)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise NotListening(log.read_text(errors="replace")[-3000:])


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

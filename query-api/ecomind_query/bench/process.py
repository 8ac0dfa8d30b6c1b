"""A server of our own to measure or to torment: `ecomind up` as a child process on free ports.

It is started exactly as a user starts it and watched from outside (/proc, /metrics), so a figure
includes everything the process does.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from ecomind_query.direct import DIRECT

START_SECONDS = 30.0
STOP_SECONDS = 120.0
_POLL_SECONDS = 0.02
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class ServerError(Exception):
    """The server did not do what it was asked to; the message holds the end of its log."""


class Counters(NamedTuple):
    """What the server says of itself; counts since its start."""

    acked_spans: int
    stored_spans: int
    dropped_spans: int
    spool_segments: int

    @property
    def drained(self) -> bool:
        """Whether everything acknowledged is stored or dropped with a reason."""
        settled = self.stored_spans + self.dropped_spans
        return not self.spool_segments and settled >= self.acked_spans


@dataclass
class Server:
    """One `ecomind up`; start it again on the same folders and it is the same Ecomind."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    addresses: dict[str, str] = field(default_factory=dict)

    @property
    def data_dir(self) -> Path:
        """Its ECOMIND_DATA_DIR."""
        return self.folder / "data"

    @property
    def control_url(self) -> str:
        """A control store of its own: a server opens one at its start, and not somebody's."""
        return f"sqlite:///{self.data_dir.absolute() / 'control.db'}"

    @property
    def folders(self) -> dict[str, Path]:
        """Its settings as far as its store needs them."""
        return {"data_dir": self.data_dir, "key_dir": self.folder / "keys"}

    @property
    def environment(self) -> dict[str, str]:
        """What makes it this server: own folders, free ports, the settings given."""
        return {
            **{f"ECOMIND_{name.upper()}": str(path) for name, path in self.folders.items()},
            "ECOMIND_API_PORT": "0",
            "ECOMIND_OTLP_HTTP_PORT": "0",
            "ECOMIND_OTLP_GRPC_PORT": "0",
            "ECOMIND_CONTROL_URL": self.control_url,
            "ECOMIND_LOG_LEVEL": "warning",
            **self.settings,
        }

    @property
    def pid(self) -> int:
        """Process id. Raises ServerError if it does not run."""
        if self.process is None or self.process.poll() is not None:
            raise ServerError(f"the server is not running; the end of its log:\n{self.log_tail()}")
        return self.process.pid

    def start(self) -> None:
        """Return once it listens. Raises ServerError if it ends or takes too long."""
        self.folder.mkdir(parents=True, exist_ok=True)
        announcement = self.data_dir / "server.json"
        announcement.unlink(missing_ok=True)
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ecomind_query", "up"],
                env={**os.environ, **self.environment},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._announced(announcement):
            if time.monotonic() > deadline:
                self.kill()
                raise ServerError(f"the server did not start:\n{self.log_tail()}")
            time.sleep(_POLL_SECONDS)

    def kill(self) -> None:
        """End it at once, as a crash would (SIGKILL)."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        """Ask it to end (SIGTERM); it loads what it has acknowledged first."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServerError(f"the server did not stop:\n{self.log_tail()}") from None

    def counters(self) -> Counters:
        """Read /metrics."""
        with DIRECT.open(f"{self.addresses['api']}/metrics", timeout=30) as response:
            return parse_counters(response.read().decode())

    def wait_drained(self, timeout_seconds: float) -> None:
        """Return once all that was acknowledged is stored. Raises ServerError."""
        deadline = time.monotonic() + timeout_seconds
        while not (counters := self.counters()).drained:
            if time.monotonic() > deadline:
                raise ServerError(f"not drained after {timeout_seconds:.0f} s: {counters}")
            time.sleep(5 * _POLL_SECONDS)

    def cpu_seconds(self) -> float:
        """User and system time of the process so far. Raises ServerError if it does not run."""
        return cpu_seconds(self.pid)

    def memory_mb(self, peak: bool = False) -> float:
        """Resident memory now, or the highest since start, in MB (10⁶ bytes)."""
        name = "VmHWM:" if peak else "VmRSS:"
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024 / 1e6
        raise ServerError(f"/proc/{self.pid}/status has no {name}")

    def log_tail(self) -> str:
        """The last lines that the server wrote."""
        log = self.folder / "server.log"
        return log.read_text(errors="replace")[-3000:] if log.exists() else ""

    def _announced(self, announcement: Path) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise ServerError(f"the server ended while starting:\n{self.log_tail()}")
        try:
            written = json.loads(announcement.read_text())
        except (OSError, ValueError):
            return False
        if written["pid"] != self.process.pid:
            return False
        self.addresses = {name: url for name, url in written.items() if name != "pid"}
        return True


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    stat = Path(f"/proc/{pid}/stat").read_text()
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def parse_counters(text: str) -> Counters:
    """The counters in a Prometheus exposition."""
    values: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            outcome = sample.labels.get("ecomind_span_outcome", "")
            values[f"{sample.name}:{outcome}"] += int(sample.value)  # over signals
    loaded = {
        key.rpartition(":")[2]: value
        for key, value in values.items()
        if key.startswith("ecomind_loader_spans_total:")
    }
    loaded.pop("bad_id", 0)  # the receiver has refused these, in a partial success
    return Counters(
        acked_spans=values["ecomind_receiver_spans_total:accepted"],
        stored_spans=loaded.pop("stored", 0),
        dropped_spans=sum(loaded.values()),
        spool_segments=values["ecomind_spool_segments:"],
    )

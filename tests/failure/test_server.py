"""Two processes on one directory, and SIGTERM with requests in flight."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from failure.serving import make_server, under_load, wait_for
from failure.trials import Note, draw_of, judged, trials

from ecomind_query.bench.process import Server
from ecomind_query.bench.workload import Mode


@trials(20)
def test_a_second_process_refuses_and_the_first_is_unharmed(
    tmp_path: Path, note: Note, number: int
) -> None:
    row = "two processes on one directory"
    draw = draw_of(row, number)
    server = make_server(tmp_path, ECOMIND_RECONCILE_WINDOW_SECONDS="86400")
    with under_load(server, Mode.SMALL, number + 1, 2.0, tmp_path / "acknowledged") as generator:
        wait_for(lambda: generator.acked > 0)
        time.sleep(draw.uniform(0.0, 0.5))
        second = _start_another(server)
        assert second.returncode != 0
        assert f"Another Ecomind process (pid {server.pid}) already uses" in second.stderr
        assert "Traceback" not in second.stderr
        sent = generator.finished()
        assert not generator.totals["reconnects"]
        peak_mb = server.memory_mb(peak=True)
        server.stop()
    note(row, sent, judged(server.folder, sent), peak_mb)


def _start_another(server: Server) -> subprocess.CompletedProcess[str]:
    ports = {"ECOMIND_OTLP_HTTP_PORT": "0", "ECOMIND_OTLP_GRPC_PORT": "0"}
    return subprocess.run(
        [sys.executable, "-m", "ecomind_query", "up"],
        env={**os.environ, **server.environment, **ports},
        capture_output=True,
        text=True,
        timeout=60,
    )


@trials(20)
def test_sigterm_with_requests_in_flight(tmp_path: Path, note: Note, number: int) -> None:
    """Each was acknowledged and is stored when the process is gone, or it was not acknowledged."""
    row = "SIGTERM with requests in flight"
    draw = draw_of(row, number)
    server = make_server(tmp_path, ECOMIND_RECONCILE_WINDOW_SECONDS="86400")
    mode = draw.choice((Mode.SMALL, Mode.SINGLE))
    with under_load(server, mode, number + 1, 2.0, tmp_path / "acknowledged") as generator:
        wait_for(lambda: generator.acked > 0)
        time.sleep(draw.uniform(0.0, 1.0))
        peak_mb = server.memory_mb(peak=True)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        assert list((server.data_dir / "spool").glob("*.seg")) == []
        server.start()
        sent = generator.finished()
        server.stop()
    note(row, sent, judged(server.folder, sent), peak_mb)

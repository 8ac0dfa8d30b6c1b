"""`kill -9` in the middle of the load, again and again: what was acknowledged is stored once.

The generator goes on over every restart and sends again what it got no answer for, so the store
sees lost acks as well as lost writes. Afterwards all windows are closed and the invariants checked.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from ecomind_query.bench.invariants import Sent, Verdict, read_report, verify
from ecomind_query.bench.process import Server
from ecomind_query.bench.workload import Mode
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings

WINDOW_SECONDS = 20
"""Of the server under load: longer than a restart, since a window looks back by its length."""

DAY_SECONDS = 86_400
"""Of the final check: one window over all, which the reconciler's own thread will not touch."""

RUNS = [
    pytest.param(1, 3, id="3 kills"),
    pytest.param(2, 10, id="10 kills", marks=pytest.mark.soak),
]


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses now; a restarted server must be found where it was."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _server(folder: Path) -> Server:
    http_port, grpc_port = _free_ports(2)
    return Server(
        folder,
        {
            "ECOMIND_OTLP_HTTP_PORT": str(http_port),
            "ECOMIND_OTLP_GRPC_PORT": str(grpc_port),
            "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.2",
            "ECOMIND_SPOOL_SEGMENT_MAX_SPANS": "50000",
            "ECOMIND_RECONCILE_WINDOW_SECONDS": str(WINDOW_SECONDS),
        },
    )


def _generator(server: Server, mode: Mode, seed: int, seconds: float, report: Path) -> Any:
    return subprocess.Popen(
        [
            sys.executable, "-m", "ecomind_query.bench.generator",
            "--url", server.addresses["otlp_http"], "--seconds", str(seconds),
            "--connections", "4", "--mode", mode, "--seed", str(seed), "--report", str(report),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


async def _verified(server: Server, sent: Sent) -> Verdict:
    """Load what is left in the spool, close one window over all, check."""
    settings = {**server.folders, "reconcile_window_seconds": DAY_SECONDS}
    receiver = Receiver(Settings.model_validate(settings), listeners=False)
    await receiver.start()
    try:
        async with asyncio.timeout(120):
            await receiver.drain()
        assert receiver.status().store_error == ""
        later = time.time() + 3 * DAY_SECONDS
        await asyncio.to_thread(receiver.reconciler.close_windows, later)
        return await asyncio.to_thread(verify, receiver.store, sent)
    finally:
        await receiver.stop()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [Mode.BATCH, Mode.SINGLE])
@pytest.mark.parametrize(("seed", "kills"), RUNS)
def test_acknowledged_spans_survive_kills(
    tmp_path: Path, mode: Mode, seed: int, kills: int
) -> None:
    draw = random.Random(f"{mode} {seed}")
    server, report = _server(tmp_path), tmp_path / "acknowledged"
    server.start()
    generator = _generator(server, mode, seed, 4.0 * kills, report)
    try:
        for _ in range(kills):
            time.sleep(draw.uniform(0.3, 2.5))
            server.kill()
            server.start()
        totals = json.loads(generator.communicate(timeout=120)[0].splitlines()[-1])
    finally:
        generator.kill()
        server.kill()
    sent = Sent(seed, mode, totals["sent_requests"], read_report(report))
    assert len(sent.acked) == totals["acked_requests"] > 0
    assert totals["reconnects"] >= kills
    assert asyncio.run(_verified(server, sent)).failures == []
    assert list(server.data_dir.glob("quarantine/*")) == []

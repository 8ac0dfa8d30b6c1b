"""`kill -9` of the broker in the middle of the load: what was acknowledged is stored once.

The generator sends again what was refused or not answered, so the same spans reach the topic more
than once; the server is killed as well, while the broker is away or not. Afterwards all windows are
closed and the invariants checked, as after the kills of a server with a spool.
"""

from __future__ import annotations

import asyncio
import json
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.kafka_broker import KafkaBroker, kafka_broker, missing_kafka

from ecomind_query.bench.invariants import Sent, Verdict, read_report, verify
from ecomind_query.bench.process import Server
from ecomind_query.bench.workload import Mode
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings

WINDOW_SECONDS, DAY_SECONDS = 60, 86_400
PARTITIONS = 3


def _free_ports(count: int) -> list[int]:
    """Ports that nobody uses now; a restarted server must be found where it was."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _server(folder: Path, broker: KafkaBroker) -> Server:
    http_port, grpc_port = _free_ports(2)
    return Server(
        folder,
        {
            "ECOMIND_OTLP_HTTP_PORT": str(http_port),
            "ECOMIND_OTLP_GRPC_PORT": str(grpc_port),
            "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.2",
            "ECOMIND_RECONCILE_WINDOW_SECONDS": str(WINDOW_SECONDS),
            "ECOMIND_KAFKA_BROKERS": broker.address,
        },
    )


def _generator(server: Server, seed: int, seconds: float, report: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            sys.executable, "-m", "ecomind_query.bench.generator",
            "--url", server.addresses["otlp_http"], "--seconds", str(seconds),
            "--connections", "4", "--mode", Mode.BATCH, "--seed", str(seed),
            "--report", str(report),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )  # fmt: skip


async def _verified(server: Server, broker: KafkaBroker, sent: Sent) -> Verdict:
    """Load what is left in the topic, close one window over all, check."""
    settings = {
        **server.folders,
        "reconcile_window_seconds": DAY_SECONDS,
        "kafka_brokers": broker.address,
    }
    receiver = Receiver(Settings.model_validate(settings), listeners=False)
    await receiver.start()
    try:
        async with asyncio.timeout(120):
            await receiver.drain()
        assert receiver.status().store_error == ""
        topics = receiver.status().topics
        assert topics is not None
        assert (topics.waiting, topics.lost) == (0, 0)
        later = time.time() + 3 * DAY_SECONDS
        await asyncio.to_thread(receiver.reconciler.close_windows, later)
        return await asyncio.to_thread(verify, receiver.store, sent)
    finally:
        await receiver.stop()


def _trial(folder: Path, seed: int, *, kill_server: bool) -> Verdict:
    """One run with the broker killed once, and the server too if asked."""
    draw = random.Random(seed)
    with kafka_broker() as broker:
        broker.create("ecomind", PARTITIONS)
        server, report = _server(folder, broker), folder / "acknowledged"
        server.start()
        try:
            generator = _generator(server, seed, 14.0, report)
            try:
                time.sleep(draw.uniform(4.0, 7.0))
                broker.kill()
                if kill_server:
                    time.sleep(draw.uniform(0.0, 0.5))
                    server.kill()
                broker.start()
                if kill_server:
                    server.start()
                totals = json.loads(generator.communicate(timeout=120)[0].splitlines()[-1])
            finally:
                generator.kill()
                generator.communicate()
        finally:
            server.kill()
        sent = Sent(seed, Mode.BATCH, totals["sent_requests"], read_report(report))
        assert len(sent.acked) == totals["acked_requests"] > 0
        verdict = asyncio.run(_verified(server, broker, sent))
        assert verdict.stored_requests > 0
        assert list(server.data_dir.glob("quarantine/*")) == []
        return verdict


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kill_server", [False, True], ids=["broker", "broker and server"])
def test_acknowledged_spans_survive_a_killed_broker(tmp_path: Path, kill_server: bool) -> None:
    if reason := missing_kafka():
        pytest.skip(reason)
    assert _trial(tmp_path, 1, kill_server=kill_server).failures == []


@pytest.mark.soak
@pytest.mark.timeout(4000)
def test_twenty_trials(tmp_path: Path, report: Callable[[str], None]) -> None:
    """The row of the table of failures; lost and duplicated are counted in trials."""
    if reason := missing_kafka():
        pytest.skip(reason)
    trials, lost, duplicated, failures = 20, 0, 0, []
    for number in range(1, trials + 1):  # of seed 0 the first trace id would be all zero
        (tmp_path / str(number)).mkdir()
        verdict = _trial(tmp_path / str(number), number, kill_server=number % 2 == 1)
        lost += any("that are not stored" in one or "in part" in one for one in verdict.failures)
        duplicated += any("exactly once" in one for one in verdict.failures)
        failures += verdict.failures
    report("| what | trials | lost | duplicated |")
    report("|---|---|---|---|")
    report(f"| Kafka: broker killed | {trials} | {lost} | {duplicated} |")
    assert failures == []

"""Disks that fill up, become read-only or lose their power under load; real ones, if small."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from failure.disks import Disk, missing, small_disk
from failure.serving import make_server, metric, told, under_load, wait_for
from failure.trials import Note, draw_of, judged, trials

from ecomind_query.bench.workload import Mode

DISK_MB = 200


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    if missing():
        pytest.skip(missing())
    (tmp_path / "server").mkdir()
    with contextlib.ExitStack() as mounted:
        try:
            made = mounted.enter_context(small_disk(tmp_path / "server" / "data", DISK_MB))
        except OSError as error:
            pytest.skip(f"no disk can be mounted here: {error}")
        yield made


@trials(20)
def test_a_disk_is_full_and_has_room_again(
    disk: Disk, tmp_path: Path, note: Note, number: int
) -> None:
    row = "disk full and back"
    draw = draw_of(row, number)
    server = make_server(disk.at.parent, ECOMIND_RECONCILE_WINDOW_SECONDS="86400")
    with under_load(server, Mode.SMALL, number + 1, 4.0, tmp_path / "acknowledged") as generator:
        wait_for(lambda: generator.acked > 0)
        time.sleep(draw.uniform(0.1, 0.7))
        disk.fill()
        wait_for(lambda: metric(server, 'postponed_total{ecomind_refusal_cause="disk"') > 0)
        assert metric(server, "ecomind_spool_writable") == 0
        assert "No space left" in told(server, "spool")
        time.sleep(draw.uniform(0.0, 0.5))
        disk.free()
        sent = generator.finished()
        peak_mb = server.memory_mb(peak=True)
        server.stop()
    assert generator.totals["retried"]["503"] > 0
    note(row, sent, judged(server.folder, sent), peak_mb)


@trials(20)
def test_a_disk_becomes_read_only(disk: Disk, tmp_path: Path, note: Note, number: int) -> None:
    row = "disk read-only, repaired, started again"
    draw = draw_of(row, number)
    server = make_server(disk.at.parent, ECOMIND_RECONCILE_WINDOW_SECONDS="86400")
    with under_load(server, Mode.SMALL, number + 1, 2.0, tmp_path / "acknowledged") as generator:
        wait_for(lambda: generator.acked > 0)
        time.sleep(draw.uniform(0.1, 1.0))
        disk.fail()
        wait_for(lambda: metric(server, 'postponed_total{ecomind_refusal_cause="disk"') > 0)
        assert metric(server, "ecomind_spool_writable") == 0
        assert "can't be written" in told(server, "spool")  # EROFS, or EIO while it becomes so
        peak_mb = server.memory_mb(peak=True)
        server.kill()
        disk.repair()
        server.start()
        sent = generator.finished()
    note(row, sent, judged(server.folder, sent), peak_mb)


@trials(20)
def test_the_power_of_a_disk_is_cut(disk: Disk, tmp_path: Path, note: Note, number: int) -> None:
    row = "power cut: ext4 shut down under load"
    draw = draw_of(row, number)
    server = make_server(disk.at.parent, ECOMIND_RECONCILE_WINDOW_SECONDS="86400")
    with under_load(server, Mode.SMALL, number + 1, 1.5, tmp_path / "acknowledged") as generator:
        wait_for(lambda: generator.acked > 0)
        time.sleep(draw.uniform(0.1, 1.0))
        disk.lose_power()
        peak_mb = server.memory_mb(peak=True)
        server.kill()
        disk.repair()
        server.start()
        sent = generator.finished()
    note(row, sent, judged(server.folder, sent), peak_mb)

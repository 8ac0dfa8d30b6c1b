"""`kill -9` in the middle of the load, again and again: what was acknowledged is stored once.

The generator goes on over every restart and sends again what it got no answer for, so the store
sees lost acks as well as lost writes. Afterwards all windows are closed and the invariants checked.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from failure.serving import make_server, under_load, wait_for
from failure.trials import Note, draw_of, judged

from ecomind_query.bench.workload import Mode

RUNS = [
    pytest.param(1, 3, id="3 kills"),
    *(pytest.param(n, 10, id=f"10 kills {n}", marks=pytest.mark.soak) for n in range(2, 7)),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mode", [Mode.BATCH, Mode.SINGLE])
@pytest.mark.parametrize(("seed", "kills"), RUNS)
def test_acknowledged_spans_survive_kills(
    tmp_path: Path, note: Note, mode: Mode, seed: int, kills: int
) -> None:
    row = "kill -9 under load"
    draw = draw_of(f"{row} {mode}", seed)
    server, peak_mb = make_server(tmp_path), 0.0
    with under_load(server, mode, seed, 4.0 * kills, tmp_path / "acknowledged") as generator:
        wait_for(lambda: generator.acked > 0)  # it must have found the server once
        for _ in range(kills):
            time.sleep(draw.uniform(0.3, 2.5))
            peak_mb = max(peak_mb, server.memory_mb(peak=True))
            server.kill()
            server.start()
        sent = generator.finished()
    assert generator.totals["reconnects"] >= kills
    note(row, sent, judged(server.folder, sent), peak_mb, kills)
    assert list(server.data_dir.glob("quarantine/*")) == []

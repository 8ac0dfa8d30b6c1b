"""`ecomind bench keys` as a user runs it, for a second a run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ecomind_query.bench.keys import ARMS, COMPARED, SEVERAL, WITH, WITHOUT, order
from ecomind_query.bench.organisations import Organisation, keyed_server
from ecomind_receiver.api_keys import parse
from ecomind_receiver.control.orgs import list_orgs
from ecomind_receiver.control.store import ControlStore


@pytest.mark.soak
def test_it_measures_both_and_the_invariants_hold_over_all_organisations(tmp_path: Path) -> None:
    folder = tmp_path / "b"
    options = ["--json", "--seconds", "1", "--warmup", "0.2", "--data-dir", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "ecomind_query", "bench", "keys", *options],
        env={**os.environ, "ECOMIND_CONTROL_URL": f"sqlite:///{tmp_path / 'of-somebody.db'}"},
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout)
    assert list(figures) == [WITHOUT, WITH, SEVERAL]
    for arm in ARMS:
        assert set(figures[arm]["means"]) == set(figures[arm]["ratios"]) == set(COMPARED)
        [run] = figures[arm]["runs"]
        assert run["invariants"]["failures"] == []
        assert run["acked_spans"] == run["stored_spans"] > 0
        assert run["rollup_spans"] == run["stored_spans"] // 512 * 410
    runs = [f"1-{WITHOUT}", f"2-{WITH}", f"3-{SEVERAL}"]
    assert sorted(path.name for path in folder.iterdir()) == runs
    assert not (tmp_path / "of-somebody.db").exists()
    assert _used(folder / f"2-{WITH}") == {"org_demo"}
    assert _used(folder / f"3-{SEVERAL}") == {
        f"bench_{team}" for team in ("assist", "report", "search")
    }


def _used(folder: Path) -> set[str]:
    """Organisations whose key was used, as the server noted when it stopped."""
    store = ControlStore(f"sqlite:///{folder / 'data' / 'control.db'}")
    with store.reading() as tx:
        rows = tx.exec_driver_sql("SELECT org_id FROM api_keys WHERE last_used_at IS NOT NULL")
        found = {str(row.org_id) for row in rows}
    store.close()
    return found


def test_every_second_round_runs_the_other_way_round() -> None:
    assert order(1) == [WITHOUT, WITH, SEVERAL]
    assert order(2) == [WITHOUT, WITH, SEVERAL, SEVERAL, WITH, WITHOUT]


def test_every_request_is_charged_to_both_levels() -> None:
    assert [len(organisations) for organisations in ARMS.values()] == [0, 1, 3]
    assert all(None not in one for organisations in ARMS.values() for one in organisations)


@pytest.mark.parametrize("quota", [(None, None), (1_000.0, 500)])
def test_organisations_are_made_in_the_servers_own_folder(
    tmp_path: Path, quota: tuple[float | None, int | None]
) -> None:
    server, keys = keyed_server(tmp_path, [Organisation("bench_a", *quota)])
    [text] = keys.read_text("ascii").split()
    assert parse(text)
    assert keys.stat().st_mode & 0o777 == 0o600
    store = ControlStore(server.control_url)
    with store.reading() as tx:
        [org] = list_orgs(tx)
    store.close()
    assert (org.id, org.projects, org.live_keys) == ("bench_a", 1, 1)
    assert (org.spans_per_second, org.burst_spans) == quota

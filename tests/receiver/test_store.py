"""The end of the engine, which rarely does not come, and what the next start finds."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from support.receiver import make_settings

from ecomind_receiver import store
from ecomind_receiver.store import Store, StoreError


def test_an_engine_that_does_not_close_is_left_with_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "CLOSE_SECONDS", 0.05)
    released, left = threading.Event(), threading.Event()
    stuck = Store(make_settings(tmp_path))
    close_clients = stuck._close_clients

    def hang() -> None:
        released.wait()
        close_clients()
        left.set()

    monkeypatch.setattr(stuck, "_close_clients", hang)
    stuck.close()
    assert stuck.stuck
    with pytest.raises(StoreError, match="uses"):
        Store(make_settings(tmp_path))
    released.set()
    assert left.wait(30)  # a process has one engine: the next test needs it


def test_an_engine_that_closes_gives_the_lock_back(tmp_path: Path) -> None:
    for _ in range(2):
        opened: Any = Store(make_settings(tmp_path))
        opened.close()
        assert not opened.stuck


def test_a_block_of_the_first_run_is_known_in_the_next_one(tmp_path: Path) -> None:
    """The schema changed the rollup's view in this very run."""
    for _ in range(2):
        opened = Store(make_settings(tmp_path))
        opened.command(
            "INSERT INTO calls (org_id, start_time, counted, sign) SETTINGS max_threads = 1,"
            " insert_deduplication_token = 'a segment', max_insert_threads = 1,"
            " deduplicate_blocks_in_dependent_materialized_views = 1"
            " SELECT 'org_a', toDateTime64(toStartOfHour(now('UTC')), 6, 'UTC'), 1, 1"
        )
        found = opened.query(
            "SELECT (SELECT count() FROM calls) AS calls,"
            " (SELECT sum(calls) FROM usage_hourly) AS rolled_up"
        )
        opened.close()
        assert found == [{"calls": 1, "rolled_up": 1}]

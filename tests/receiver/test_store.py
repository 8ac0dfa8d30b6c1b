"""The end of the engine, which rarely does not come, and what the next start finds."""

from __future__ import annotations

import asyncio
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from query.rows import Seed
from support.receiver import Running, make_settings

from ecomind_receiver import connections
from ecomind_receiver.store import Store, StoreError


def test_an_engine_that_does_not_close_is_left_with_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "CLOSE_SECONDS", 0.05)
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


def days_kept(store: Store) -> list[str]:
    rows = store.query("SELECT DISTINCT toDate(start_time, 'UTC') AS day FROM calls ORDER BY day")
    return [str(row["day"]) for row in rows]


def not_done(store: Store) -> bool:
    return bool(store.query("SELECT 1 AS one FROM system.mutations WHERE NOT is_done"))


def test_another_retention_holds_for_what_is_stored_already(
    running: Running, tmp_path: Path
) -> None:
    """Shorter, then longer than before; a command beside the server changes nothing."""
    now = datetime.now(UTC)
    ages = (1, 20, 50)
    store = Store(make_settings(tmp_path, retention_days=90))
    Seed(store, "org_a").calls([{"start_time": now - timedelta(days=days)} for days in ages])
    store.close()
    day = [str((now - timedelta(days=days)).date()) for days in ages]

    async def serve(days: int, kept: list[str]) -> None:
        async with running(listeners=True, retention_days=days) as receiver:
            deadline = time.monotonic() + 30
            while days_kept(receiver.store) != kept or not_done(receiver.store):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)

    def command(days: int) -> list[str]:
        store = Store(make_settings(tmp_path, retention_days=days))
        found = days_kept(store)
        store.close()
        return found

    assert command(1) == [day[2], day[1], day[0]]
    asyncio.run(serve(30, kept=[day[1], day[0]]))
    asyncio.run(serve(400, kept=[day[1], day[0]]))
    store = Store(make_settings(tmp_path))
    rows = store.query(
        "SELECT sum(calls) AS calls, (SELECT min(delete_ttl_info_max) FROM system.parts"
        " WHERE table = 'calls' AND active AND rows > 0) AS goes FROM usage_hourly"
    )
    store.close()
    assert rows[0]["calls"] == 3
    assert rows[0]["goes"].date() == (now + timedelta(days=380)).date()


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

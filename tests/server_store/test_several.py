"""Several receivers on one server: each span once, twins of two found, windows closed in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from server_store.conftest import Joining
from server_store.test_exactly_once import of, once, stored
from support.clickhouse_server import ClickHouseServer
from support.otlp import CHAT, protobuf
from support.receiver import load, make_settings

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.migrations import known_migrations
from ecomind_receiver.receivers import Receivers
from ecomind_receiver.reconcile import Reconciler
from ecomind_receiver.server import Receiver
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL

DAY = 86_400
LATER = 2000
"""Seconds after which the windows of a test are over."""


async def feed(receiver: Receiver, first_id: int) -> None:
    for batch in range(6):
        body = protobuf([CHAT] * 10, first_id=first_id + 100 * batch)
        await receiver.accept(LOCAL, body, PROTOBUF)
        receiver.spool.seal()
    await receiver.drain()


def test_two_receivers_that_store_at_the_same_time(joining: Joining) -> None:
    async def scenario() -> Any:
        async with joining("a") as one, joining("b") as other:
            await asyncio.gather(feed(one, 1), feed(other, 10_000))
            return stored(one.store), stored(other.store)

    assert asyncio.run(scenario()) == (once(120), once(120))


def test_receivers_that_start_together_migrate_once(joining: Joining) -> None:
    async def scenario() -> Any:
        contexts = [joining(name) for name in ("a", "b", "c")]
        started = await asyncio.gather(*(each.__aenter__() for each in contexts))
        applied = started[0].store.query(
            "SELECT number, count() AS times FROM schema_migrations GROUP BY number ORDER BY number"
        )
        locks = started[0].store.query("SELECT name FROM system.tables WHERE name = 'schema_lock'")
        await asyncio.gather(*(each.__aexit__(None, None, None) for each in contexts))
        return applied, locks

    applied, locks = asyncio.run(scenario())
    assert applied == [{"number": number, "times": 1} for number in sorted(known_migrations())]
    assert locks == []


@pytest.mark.parametrize("windows", ["one", "two", "two, one job late"])
def test_what_two_receivers_took_twice_is_cancelled_once(joining: Joining, windows: str) -> None:
    """Both close the windows: what one writes down stands, whatever the other has found."""
    poor = CHAT | {"gen_ai.response.id": "r1"}
    rich = poor | {"gen_ai.usage.cache_read.input_tokens": 512}
    length = {"reconcile_window_seconds": DAY if windows == "one" else 1}

    async def scenario() -> Any:
        async with joining("a", **length) as one, joining("b", **length) as other:
            await load(one, protobuf([poor]))
            await asyncio.sleep(1.1 if windows != "one" else 0)
            await load(other, protobuf([rich], first_id=10), protobuf([poor]))
            now = time.time() + 2 * DAY
            both = [job.reconciler.close_windows for job in (one, other)]
            if windows == "two, one job late":
                _overtake(other.reconciler, lambda: one.reconciler.close_windows(now))
                both.pop(0)
            await asyncio.gather(*(asyncio.to_thread(close, now) for close in both))
            left = one.store.query(
                "SELECT span_id, counted, toInt64(sum(sign)) AS net FROM calls"
                " GROUP BY span_id, counted HAVING net != 0 ORDER BY counted"
            )
            return left, stored(other.store)[:2]

    left, sums = asyncio.run(scenario())
    assert [(row["counted"], row["net"]) for row in left] == [(0, 1), (1, 1)]
    assert {row["span_id"] for row in left} == {1, 10}
    assert [(each["calls"], each["input"]) for each in sums] == [(1, 1000), (1, 1000)]


def _overtake(slow: Reconciler, other_closes: Callable[[], object]) -> None:
    """Have the other close every window when the slow one has found its first one undecided."""
    decide = slow._decide

    def late(*given: Any) -> None:
        setattr(slow, "_decide", decide)  # noqa: B010
        other_closes()
        decide(*given)

    setattr(slow, "_decide", late)  # noqa: B010


def test_all_wait_for_the_slowest_receiver_and_the_first_by_name_leads(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    with closing(Store(make_settings(tmp_path, store_url=server.url))) as store:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            (tmp_path / name / "receiver").write_text(f"receiver-{name}", "ascii")
        first, second = (Receivers(store, tmp_path / name) for name in ("a", "b"))
        now_ns, behind_ns = 1_800_000_000 * 10**9, 1_799_990_000 * 10**9
        assert first.stored_until(now_ns) == now_ns
        assert second.stored_until(behind_ns) == behind_ns
        assert first.stored_until(now_ns) == behind_ns
        assert (first.leads, second.leads) == (True, False)
        second.leave(behind_ns, waiting=True)
        assert first.stored_until(now_ns) == behind_ns
        second.leave(now_ns, waiting=False)
        assert first.stored_until(now_ns + 10**9) == now_ns + 10**9
        first.leave(now_ns, waiting=False)
        assert second.stored_until(now_ns) == now_ns
        assert second.leads


def test_days_close_the_same_whoever_closes_them(joining: Joining) -> None:
    async def scenario() -> Any:
        two_days_ago = time.time_ns() - 3 * 24 * 3600 * 10**9
        async with joining("a") as one, joining("b") as other:
            await load(one, protobuf([CHAT | {"start_ns": two_days_ago}] * 4))
            one.reconciler.close_windows(time.time() + LATER)
            await asyncio.gather(
                *(asyncio.to_thread(each.closer.close_days) for each in (one, other))
            )
            return (
                one.store.query("SELECT generation, rows, calls FROM day_closes"),
                one.store.query("SELECT toInt64(sum(calls)) AS calls FROM closed_usage"),
                stored(one.store)[0],
            )

    closes, closed, rollup = asyncio.run(scenario())
    assert closes == [{"generation": 1, "rows": 1, "calls": 4}]
    assert closed == [{"calls": 4}]
    assert rollup == of(4)

"""Spans become calls on a server once, whatever happens to it, to its answers or to the receivers.

The server is chDB 26.9 behind ClickHouse's HTTP protocol: see support/clickhouse_server.py.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from server_store.conftest import Joining
from support.clickhouse_server import ClickHouseServer
from support.otlp import CHAT, protobuf
from support.receiver import load

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL

DAY_NS = 24 * 3600 * 1_000_000_000

ROLLED_UP = (
    "SELECT toInt64(sum(calls)) AS calls, toInt64(sum(input_tokens)) AS input,"
    " toInt64(sum(output_tokens)) AS output, round(sum(energy_wh), 3) AS energy_wh"
    " FROM usage_hourly"
)
RECOMPUTED = (
    "SELECT toInt64(sum(sign)) AS calls, toInt64(sum(sign * toInt64(input_tokens))) AS input,"
    " toInt64(sum(sign * toInt64(output_tokens))) AS output,"
    " round(sum(sign * toFloat64(energy_wh)), 3) AS energy_wh FROM calls WHERE counted"
)
TOLD = "SELECT outcome, toInt64(sum(spans)) AS spans FROM span_outcomes GROUP BY outcome"


def of(calls: int) -> dict[str, Any]:
    """What so many calls of 1,000 tokens in and 300 out come to; 0.8129 Wh each."""
    return {
        "calls": calls,
        "input": 1000 * calls,
        "output": 300 * calls,
        "energy_wh": round(0.8129292573 * calls, 3),
    }


def stored(store: Store) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The rollup, what it should be by its calls, and what became of the spans."""
    return store.query(ROLLED_UP)[0], store.query(RECOMPUTED)[0], store.query(TOLD)


def once(calls: int) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    return of(calls), of(calls), [{"outcome": "stored", "spans": calls}]


async def until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def holds_segments(receiver: Receiver, number: int) -> bool:
    return receiver.spool.segments >= number


def failing(receiver: Receiver) -> str:
    return receiver.status().store_error


def test_spans_are_stored_rolled_up_and_told_of_once(joining: Joining) -> None:
    now = time.time_ns()
    many_days = [CHAT | {"start_ns": now - day * DAY_NS} for day in range(80)]

    async def scenario() -> Any:
        async with joining("a") as receiver:
            await load(receiver, protobuf(many_days), protobuf([CHAT] * 20, first_id=1000))
            months = receiver.store.query(
                "SELECT uniqExact(toYYYYMM(start_time, 'UTC')) AS n, uniqExact(_part) AS parts"
                " FROM calls"
            )[0]
            assert receiver.store.engine is not receiver.store
            assert not (receiver.settings.data_dir / "store").exists()
            return stored(receiver.store), months

    found, months = asyncio.run(scenario())
    assert found == once(100)
    assert months["n"] >= 3 and months["parts"] >= 80


@pytest.mark.parametrize("table", ["INSERT INTO calls", "INSERT INTO span_outcomes"])
@pytest.mark.parametrize(
    ("when", "what"), [("after", "error"), ("after", "drop"), ("before", "error")]
)
def test_a_lost_answer_stores_nothing_twice(
    joining: Joining, server: ClickHouseServer, table: str, when: str, what: str
) -> None:
    async def scenario() -> Any:
        async with joining("a") as receiver:
            await load(receiver, protobuf([CHAT] * 5))
            server.fail(table, when, what, count=3)
            await load(receiver, protobuf([CHAT] * 7, first_id=100))
            assert failing(receiver) == ""
            return stored(receiver.store)

    assert asyncio.run(scenario()) == once(12)


@pytest.mark.parametrize("when", ["before", "during", "after"])
def test_a_server_killed_in_an_insert_has_each_span_once_when_it_is_back(
    joining: Joining, server: ClickHouseServer, when: str
) -> None:
    async def scenario() -> Any:
        async with joining("a") as receiver:
            await load(receiver, protobuf([CHAT] * 5))
            server.fail("INSERT INTO calls", when, "kill")
            await receiver.accept(LOCAL, protobuf([CHAT] * 400, first_id=100), PROTOBUF)
            receiver.spool.seal()
            await asyncio.to_thread(server.wait_killed)
            await until(lambda: failing(receiver))
            assert "does not answer" in failing(receiver)
            await asyncio.to_thread(server.start)
            await receiver.drain()
            return stored(receiver.store)

    assert asyncio.run(scenario()) == once(405)


def test_while_the_server_is_away_the_spool_takes_what_comes(
    joining: Joining, server: ClickHouseServer
) -> None:
    async def scenario() -> Any:
        async with joining("a") as receiver:
            await load(receiver, protobuf([CHAT] * 5))
            server.kill()
            for batch in range(4):
                body = protobuf([CHAT] * 10, first_id=100 * (batch + 1))
                await receiver.accept(LOCAL, body, PROTOBUF)
                receiver.spool.seal()
                await until(partial(holds_segments, receiver, batch + 1))
            await until(lambda: failing(receiver))
            status = receiver.status()
            assert status.ready and status.spool_segments == 4
            await asyncio.to_thread(server.start)
            await receiver.drain()
            return stored(receiver.store)

    assert asyncio.run(scenario()) == once(45)


def test_what_a_receiver_had_not_stored_is_stored_by_its_next_start(
    joining: Joining, server: ClickHouseServer
) -> None:
    """The server stored the segment and was killed before it could say so; so was the receiver."""

    async def scenario() -> Any:
        async with joining("a") as receiver:
            server.fail("INSERT INTO calls", "after", "kill")
            await receiver.accept(LOCAL, protobuf([CHAT] * 9), PROTOBUF)
            receiver.spool.seal()
            await asyncio.to_thread(server.wait_killed)
            await until(lambda: failing(receiver))
        await asyncio.to_thread(server.start)
        async with joining("a") as receiver:
            await receiver.drain()
            return stored(receiver.store)

    assert asyncio.run(scenario()) == once(9)

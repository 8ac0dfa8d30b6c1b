"""A server whose own time zone is not UTC: no figure and no window may move with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from server_store.conftest import Joining
from server_store.test_exactly_once import (  # collected here too, with the server of this file
    test_spans_are_stored_rolled_up_and_told_of_once,
)
from server_store.test_several import (
    test_all_wait_for_the_slowest_receiver_and_the_first_by_name_leads,
    test_days_close_the_same_whoever_closes_them,
    test_what_two_receivers_took_twice_is_cancelled_once,
)
from support.clickhouse_server import ClickHouseServer, clickhouse_server
from support.otlp import CHAT, protobuf
from support.receiver import load

from ecomind_query.reader import Reader
from ecomind_receiver.tenants import ANYONE

__all__ = [
    "test_all_wait_for_the_slowest_receiver_and_the_first_by_name_leads",
    "test_days_close_the_same_whoever_closes_them",
    "test_spans_are_stored_rolled_up_and_told_of_once",
    "test_what_two_receivers_took_twice_is_cancelled_once",
]


@pytest.fixture
def server() -> Iterator[ClickHouseServer]:
    with clickhouse_server(zone="America/New_York") as started:
        yield started


def test_hours_days_and_edges_are_utc(joining: Joining) -> None:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    starts = [day - timedelta(seconds=1), day, day + timedelta(hours=23, minutes=59)]
    spans = [CHAT | {"start_ns": int(start.timestamp()) * 10**9} for start in starts]

    async def scenario() -> Any:
        async with joining("a") as receiver:
            await load(receiver, protobuf(spans))
            reader = Reader(receiver.store, retention_days=90)
            found = reader.usage(
                ANYONE.reach,
                start=(day - timedelta(minutes=30)).isoformat(),
                end=(day + timedelta(days=1)).isoformat(),
                group_by=["day"],
            )
            asked = f"SELECT count() FROM calls WHERE start_time >= toDateTime('{day:%F} 00:00:00')"
            return (
                {row.group["day"]: row.totals.calls for row in found.rows},
                reader.sql(ANYONE.reach, asked).rows,
            )

    groups, counted = asyncio.run(scenario())
    assert groups == {f"{day - timedelta(days=1):%F}": 1, f"{day:%F}": 2}
    assert counted == [[2]]

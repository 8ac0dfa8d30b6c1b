"""The same as against the stand-in, on ClickHouse's own images: one server, and a cluster.

These run wherever Docker does. Where it does not each is skipped with the reason, which pytest
counts and shows.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from server_store.conftest import Joining
from server_store.test_exactly_once import (  # collected here too, with the server of this file
    failing,
    once,
    stored,
    test_spans_are_stored_rolled_up_and_told_of_once,
    test_while_the_server_is_away_the_spool_takes_what_comes,
    until,
)
from server_store.test_several import (
    test_days_close_the_same_whoever_closes_them,
    test_receivers_that_start_together_migrate_once,
    test_two_receivers_that_store_at_the_same_time,
    test_what_two_receivers_took_twice_is_cancelled_once,
)
from support.clickhouse_docker import DockerServer, a_cluster, missing_docker, one_server
from support.otlp import CHAT, protobuf
from support.receiver import load

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.tenants import LOCAL

__all__ = [
    "test_days_close_the_same_whoever_closes_them",
    "test_receivers_that_start_together_migrate_once",
    "test_spans_are_stored_rolled_up_and_told_of_once",
    "test_two_receivers_that_store_at_the_same_time",
    "test_what_two_receivers_took_twice_is_cancelled_once",
    "test_while_the_server_is_away_the_spool_takes_what_comes",
]

OLDEST, NEWER = "clickhouse/clickhouse-server:24.8", "clickhouse/clickhouse-server:25.8"
CLUSTER = "a cluster"

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


@pytest.fixture(scope="module", params=[OLDEST, NEWER, CLUSTER])
def started(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DockerServer]:
    if reason := missing_docker():
        pytest.skip(reason)
    if request.param == CLUSTER:
        with a_cluster(NEWER, tmp_path_factory.mktemp("nodes")) as server:
            yield server
    else:
        with one_server(request.param, _free_port()) as server:
            yield server


@pytest.fixture
def server(started: DockerServer) -> DockerServer:
    """With a database that nobody used."""
    started.make_database()
    return started


def test_a_server_killed_while_it_stores_has_each_span_once(
    joining: Joining, server: DockerServer
) -> None:
    async def scenario() -> Any:
        async with joining("a") as receiver:
            await load(receiver, protobuf([CHAT] * 5))
            for batch in range(20):
                body = protobuf([CHAT] * 50, first_id=1000 * (batch + 1))
                await receiver.accept(LOCAL, body, PROTOBUF)
                receiver.spool.seal()
            await asyncio.to_thread(server.kill)
            await until(lambda: failing(receiver) or not receiver.spool.busy)
            await asyncio.to_thread(server.start)
            await receiver.drain()
            return stored(receiver.store)

    assert asyncio.run(scenario()) == once(1005)


def test_the_tables_are_read_as_a_user_reads_them(joining: Joining, server: DockerServer) -> None:
    """The view joins calls of every shard with coefficients."""

    async def scenario() -> Any:
        async with joining("a") as receiver:
            for batch in range(8):  # with four shards' worth of tokens each shard has some
                await load(receiver, protobuf([CHAT] * 2, first_id=100 * batch + 1))
            return receiver.store.query(
                "SELECT count() AS calls, countIf(energy_wh_mid = 0) AS without,"
                " round(sum(energy_wh_mid), 2) AS energy_wh FROM calls_footprint"
            )

    assert asyncio.run(scenario()) == [{"calls": 16, "without": 0, "energy_wh": 13.01}]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port

"""The statements and the routes of a cluster, on one node that takes them for its own.

See support/clickhouse_cluster.py for what that proves and what it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from server_store.test_exactly_once import (  # collected here too, with the server of this file
    test_a_lost_answer_stores_nothing_twice,
    test_spans_are_stored_rolled_up_and_told_of_once,
    test_what_a_receiver_had_not_stored_is_stored_by_its_next_start,
)
from server_store.test_several import (
    test_days_close_the_same_whoever_closes_them,
    test_receivers_that_start_together_migrate_once,
    test_what_two_receivers_took_twice_is_cancelled_once,
)
from support.clickhouse_cluster import NAME
from support.clickhouse_server import ClickHouseServer, clickhouse_server
from support.receiver import make_settings

from ecomind_receiver.layout import SHARDED
from ecomind_receiver.shards import freeze_shards
from ecomind_receiver.store import Store, StoreError

__all__ = [
    "test_a_lost_answer_stores_nothing_twice",
    "test_days_close_the_same_whoever_closes_them",
    "test_receivers_that_start_together_migrate_once",
    "test_spans_are_stored_rolled_up_and_told_of_once",
    "test_what_a_receiver_had_not_stored_is_stored_by_its_next_start",
    "test_what_two_receivers_took_twice_is_cancelled_once",
]


@pytest.fixture
def server() -> Iterator[ClickHouseServer]:
    with clickhouse_server(cluster=True) as started:
        yield started


def test_what_a_cluster_is_made_of(server: ClickHouseServer, tmp_path: Path) -> None:
    with closing(Store(make_settings(tmp_path, store_url=server.url))) as store:
        tables = {
            row["name"]: row["engine"]
            for row in store.query(
                "SELECT name, engine FROM system.tables WHERE database = currentDatabase()"
            )
        }
        assert {name for name, engine in tables.items() if engine == "Merge"} == set(SHARDED)
        assert all(tables[f"{name}_local"].endswith("MergeTree") for name in SHARDED)
        assert (tables["calls_footprint"], tables["coefficients"]) == ("View", "MergeTree")
        shards = store.query("SELECT place, hosts FROM schema_shards")
        assert shards == [{"place": 1, "hosts": ["127.0.0.1"]}]
        assert store.node("any token") is not store
        assert store.block["insert_quorum"] == "0"
        store.keep_calls(30)
        kept = store.query(
            "SELECT create_table_query AS text FROM system.tables WHERE name = 'calls_local'"
        )[0]["text"]
        assert "toIntervalDay(30)" in kept


def test_the_list_of_shards_stays_what_it_was(server: ClickHouseServer, tmp_path: Path) -> None:
    settings = make_settings(tmp_path, store_url=server.url)
    with closing(Store(settings)) as store:
        store.command("TRUNCATE TABLE schema_shards")
        store.insert("schema_shards", ["place", "hosts"], [[1, ["a", "b"]], [2, ["c"]]], "once")
        assert settings.store is not None
        assert freeze_shards(store, settings.store) == [("a", "b"), ("c",)]


def test_a_cluster_that_the_server_does_not_know(server: ClickHouseServer, tmp_path: Path) -> None:
    other = server.url.replace(NAME, "another")
    with pytest.raises(StoreError, match="knows no cluster 'another'"):
        Store(make_settings(tmp_path, store_url=other))


def test_a_quorum_that_is_asked_for_goes_with_every_block(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    url = f"{server.url}&insert_quorum=2"
    with closing(Store(make_settings(tmp_path, store_url=url))) as store:
        assert store.block["insert_quorum"] == "2"
        assert store.node("any token").block["insert_quorum"] == "2"

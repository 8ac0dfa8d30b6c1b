"""The DDL of a server and of a cluster, whole, and what must hold of every statement in it."""

from __future__ import annotations

import re

import pytest
from server_store.rendering import GOLDEN, LAYOUTS, rendered

from ecomind_receiver.layout import (
    SHARDED,
    WINDOW_BLOCKS,
    WINDOW_SECONDS,
    ClusterLayout,
    Layout,
    shard_of,
)


@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_the_statements_are_those_of_the_golden_file(name: str) -> None:
    """If the change is meant: PYTHONPATH=tests python -m server_store.rendering"""
    assert rendered(LAYOUTS[name]) == (GOLDEN / f"{name}.sql").read_text("utf-8")


def test_one_engine_has_the_statements_as_written() -> None:
    statement = "CREATE TABLE IF NOT EXISTS t (a UInt8) ENGINE = MergeTree ORDER BY a"
    layout = Layout()
    assert layout.migration(statement) == layout.everywhere(statement) == statement
    assert layout.readers() == [] and layout.local("calls") == "calls"


def test_the_windows_are_those_of_the_formula() -> None:
    """4 receivers × 1 segment a second × 2 partitions × 6 hours; a week."""
    assert (WINDOW_BLOCKS, WINDOW_SECONDS) == (172_800, 604_800)
    server, cluster = (rendered(LAYOUTS[name]) for name in ("server", "cluster"))
    tokens = server.count("non_replicated_deduplication_window = 172800")
    assert tokens == 11
    assert cluster.count("replicated_deduplication_window = 172800") == tokens
    assert cluster.count("replicated_deduplication_window_seconds = 604800") == tokens
    assert "non_replicated" not in cluster


def test_every_table_of_a_cluster_is_replicated_and_made_on_every_node() -> None:
    text = rendered(LAYOUTS["cluster"])
    created = re.findall(r"CREATE TABLE IF NOT EXISTS (\w+) (ON CLUSTER 'eu-1')?", text)
    engines = re.findall(
        r"ENGINE = Replicated\w*MergeTree\('/clickhouse/ecomind/(\S+)', '(\S+)'", text
    )
    assert len(created) == len(engines) == text.count("CREATE TABLE IF NOT EXISTS")
    for (table, on), (path, replica) in zip(created, engines, strict=True):
        assert on
        if table.removesuffix("_local") in SHARDED:
            assert (path, replica) == (f"{{database}}/{{shard}}/{table}", "{replica}")
        else:
            assert (path, replica) == (f"{{database}}/all/{table}", "{shard}-{replica}")
    readers = re.findall(r"CREATE OR REPLACE TABLE (\w+) ON CLUSTER 'eu-1' AS (\w+)", text)
    assert readers == [(name, f"{name}_local") for name in SHARDED]


def test_rollups_of_a_cluster_read_and_write_the_local_tables() -> None:
    text = rendered(LAYOUTS["cluster"])
    assert "usage_hourly_mv ON CLUSTER 'eu-1' TO usage_hourly_local AS" in text
    queries = re.findall(r"\bFROM calls\w*(?: AS calls)?\n", text)
    assert set(queries) == {"FROM calls_local AS calls\n"}


def test_a_statement_without_a_rule_stops_the_migration() -> None:
    with pytest.raises(ValueError, match="No rule says how this runs on a cluster: OPTIMIZE"):
        ClusterLayout("c").migration("OPTIMIZE TABLE calls")


def test_a_token_has_the_same_shard_for_ever() -> None:
    """The places of these tokens are written down: a retry after an upgrade must find them."""
    tokens = ["00000000075bcd15-202611", "reconcile-1795959000", "close-2026-11-20-0-0"]
    assert [shard_of(token, 4) for token in tokens] == [1, 2, 2]
    spread = [shard_of(f"{number:016x}-202611", 4) for number in range(1000)]
    assert all(200 < spread.count(place) < 300 for place in range(4))

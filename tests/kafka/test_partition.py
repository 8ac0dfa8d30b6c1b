"""Where a partition goes on, and where its batches end: by the store first, then by Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.receiver import make_settings

from ecomind_receiver.kafka.partition import Beginning, Partition, begin
from ecomind_receiver.kafka.plans import Place, Standing

PLAN = Standing(100, 149, 1, 1, "")
PLACE = Place("id", "topic", 0)


@pytest.mark.parametrize(
    ("newest", "committed", "low", "high", "expected"),
    [
        pytest.param(None, -1001, 0, 0, (0, 0, None, 0), id="a new topic"),
        pytest.param(None, -1001, 7, 9, (7, 7, None, 0), id="what is there, in a new group"),
        pytest.param(None, 8, 7, 9, (8, 8, None, 0), id="an empty store, a group that knows"),
        pytest.param(None, 500, 0, 9, (0, 0, None, 0), id="an offset of another topic"),
        pytest.param(PLAN, 150, 0, 200, (150, 150, None, 0), id="stored and committed"),
        pytest.param(PLAN, 100, 0, 200, (100, 100, PLAN, 0), id="not known to be stored"),
        pytest.param(PLAN, 20, 0, 200, (100, 100, PLAN, 0), id="commits were lost"),
        pytest.param(PLAN, -1001, 0, 200, (100, 100, PLAN, 0), id="the group was forgotten"),
        pytest.param(PLAN, 180, 0, 200, (150, 150, None, 0), id="a store from a backup"),
        pytest.param(PLAN, 150, 160, 200, (160, 160, None, 10), id="deleted before it was stored"),
        pytest.param(PLAN, 100, 120, 200, (100, 120, PLAN, 20), id="a batch that lacks records"),
        pytest.param(PLAN, 100, 160, 200, (160, 160, None, 60), id="a batch that is gone"),
        pytest.param(None, 3, 7, 9, (7, 7, None, 4), id="deleted, and the store is empty"),
    ],
)
def test_where_a_partition_begins(
    newest: Standing | None, committed: int, low: int, high: int, expected: tuple[Any, ...]
) -> None:
    assert begin(newest, committed, low, high) == Beginning(*expected)


class Message:
    """What is looked at of a record."""

    def __init__(self, offset: int) -> None:
        self._offset = offset

    def offset(self) -> int:
        return self._offset

    def value(self) -> bytes:
        return b"12345678"

    def headers(self) -> list[tuple[str, bytes]]:
        return [("ecomind-spans", b"10")]


def fetched(partition: Partition, *offsets: int) -> None:
    for offset in offsets:
        partition.add(Message(offset))  # type: ignore[arg-type]


def started(beginning: Beginning) -> Partition:
    partition = Partition("topic", 0, None)
    fetched(partition, 0, 1)  # of before: nothing is taken until the beginning is known
    partition.start(PLACE, beginning)
    return partition


def cut(partition: Partition) -> tuple[tuple[int, int], list[int | None], bool]:
    borders, records, _, whole = partition.cut()
    return borders, [record.offset() for record in records], whole


def test_a_batch_ends_with_what_was_fetched_and_the_next_begins_behind(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, spool_segment_max_seconds=600, spool_segment_max_spans=30)
    partition = started(Beginning(5, 5, None, 0))
    fetched(partition, 4, 5, 7)  # 4 was taken before, 6 is a mark of a transaction
    assert not partition.is_due(settings, hurry=False)
    assert partition.is_due(settings, hurry=True)
    fetched(partition, 7, 8)
    assert partition.is_due(settings, hurry=False)  # three records of ten spans
    assert cut(partition) == ((5, 8), [5, 7, 8], True)
    assert not partition.is_due(settings, hurry=True)
    partition.reach(12)  # only marks up to here
    assert partition.pass_marks()
    fetched(partition, 12)
    assert cut(partition) == ((12, 12), [12], True)


def test_a_standing_plan_rules_where_a_batch_ends(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, spool_segment_max_spans=1)
    partition = started(Beginning(100, 100, Standing(100, 102, 1, 1, "{}"), 0))
    fetched(partition, 100, 101)
    assert not partition.is_due(settings, hurry=True)
    fetched(partition, 102, 103, 104)
    assert partition.is_due(settings, hurry=False)
    assert cut(partition) == ((100, 102), [100, 101, 102], True)
    assert cut(partition) == ((103, 104), [103, 104], True)


def test_a_planned_batch_that_kafka_holds_in_part_is_not_whole(tmp_path: Path) -> None:
    partition = started(Beginning(100, 102, Standing(100, 103, 1, 1, "{}"), 2))
    fetched(partition, 102, 103)
    assert cut(partition) == ((100, 103), [102, 103], False)


def test_what_was_fetched_is_loaded_before_a_partition_begins_elsewhere(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, spool_segment_max_seconds=600)
    partition = started(Beginning(5, 5, None, 0))
    fetched(partition, 5)
    partition.moved = True
    assert partition.is_due(settings, hurry=False)
    assert not partition.idle
    assert cut(partition) == ((5, 5), [5], True)
    assert partition.idle

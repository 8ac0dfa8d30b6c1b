"""What was decided for each batch of a partition, in the telemetry store: `kafka_plans`.

A file beside a segment belongs to one process; a partition does not. So borders and decisions are
one row, inserted before anything of the batch is stored, under a token that names the batch's
beginning: of two that insert, the first stands, and both read back what stands and obey it. The
newest row of a partition is also where it goes on, whatever the group's offset says: a store that
was restored from a backup reads again what it no longer holds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ecomind_receiver.store import Store

_COLUMNS = [
    "topic_id", "topic", "partition", "first_offset", "last_offset", "planned_ns", "newest_ns",
    "plan",
]  # fmt: skip
_NEWEST = """
SELECT first_offset, last_offset, planned_ns, newest_ns, plan
FROM kafka_plans
WHERE topic_id = {topic_id:String} AND partition = {partition:UInt32}
"""
_ORDER = " ORDER BY first_offset DESC, planned_ns LIMIT 1"


class Place(NamedTuple):
    """A partition of one creation of a topic."""

    topic_id: str  # cluster/name/creation
    topic: str
    partition: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}"


class Standing(NamedTuple):
    """The borders of a batch, both inclusive, and its plan as JSON; empty if no longer kept."""

    first: int
    last: int
    planned_ns: int
    newest_ns: int
    plan: str


class Plans:
    """The plans that stand. Blocking; raises what the store raises."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest(self, place: Place) -> Standing | None:
        """Of the partition's last batch that was planned."""
        return self._first(_NEWEST + _ORDER, _bound(place))

    def is_made_again(self, place: Place) -> bool:
        """Whether plans stand for the partition of another topic of this name and cluster only."""
        if self.newest(place) is not None:
            return False
        of_name = "/".join(place.topic_id.split("/", 2)[:2]) + "/"  # a creation may hold one too
        found = self._store.query(
            "SELECT count() AS n FROM kafka_plans"
            " WHERE startsWith(topic_id, {of_name:String}) AND partition = {partition:UInt32}",
            {"of_name": of_name, "partition": place.partition},
        )
        return bool(found[0]["n"])

    def before(self, place: Place, offset: int) -> Standing | None:
        """Of the last batch that ends before the offset."""
        condition = " AND last_offset < {offset:UInt64}"
        return self._first(_NEWEST + condition + _ORDER, _bound(place) | {"offset": offset})

    def at(self, place: Place, offset: int) -> Standing | None:
        """Of the batch that begins at the offset."""
        condition = " AND first_offset = {offset:UInt64}"
        return self._first(_NEWEST + condition + _ORDER, _bound(place) | {"offset": offset})

    def settle(self, place: Place, proposed: Standing) -> Standing:
        """Insert a plan unless one stands for its beginning; the one that stands."""
        row: list[object] = [*place, *proposed]
        token = f"{place.topic_id}/{place.partition}/{proposed.first}"
        self._store.insert("kafka_plans", _COLUMNS, [row], token)
        standing = self.at(place, proposed.first)
        if standing is None:
            raise LookupError("a plan that was inserted can't be read back")
        return standing

    def _first(self, sql: str, params: dict[str, object]) -> Standing | None:
        rows: list[dict[str, Any]] = self._store.query(sql, params)
        return Standing(*rows[0].values()) if rows else None


def _bound(place: Place) -> dict[str, object]:
    return {"topic_id": place.topic_id, "partition": place.partition}

"""Two organisations with two projects each: a caller sees what is within reach, and that in full.

Every name that a call can carry holds the mark of its owner, so that a mark in an answer tells
whose row it came from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pytest
from query.rows import NOW, PAPER, Seed

from ecomind_processor.footprint import Coefficients
from ecomind_query import cursors
from ecomind_query.errors import BadParameter, QueryError
from ecomind_query.held import SQL_TABLES
from ecomind_query.queries import Queries
from ecomind_query.reader import Reader
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Reach, Tenant

NORTH, SOUTH = "org_north", "org_south"
OWNERS = [Tenant(org, project) for org in (NORTH, SOUTH) for project in ("alpha", "beta")]
REACHES = [Reach(org, project) for org in (NORTH, SOUTH) for project in (None, "alpha", "beta")]
DAY: dict[str, Any] = {"start": "2026-11-18", "end": "2026-11-19"}
RAGGED: dict[str, Any] = {"start": "2026-11-18T09:10:00Z", "end": "2026-11-18T09:20:00Z"}
_MARK = re.compile(r"mark-(org_[a-z]+)-([a-z]+)")


def mark(owner: Tenant) -> str:
    return f"mark-{owner.org_id}-{owner.project_id}"


def marks(answer: object) -> set[Tenant]:
    """Whose rows an answer came from."""
    return {Tenant(*found) for found in _MARK.findall(str(answer))}


def spoken(reach: Reach) -> str:
    return "/".join(filter(None, reach))


def within(reach: Reach) -> set[Tenant]:
    return {
        owner
        for owner in OWNERS
        if owner.org_id == reach.org_id and reach.project_id in (None, owner.project_id)
    }


class Filled(NamedTuple):
    """What was stored for each owner: two counted calls, an error and a recent span."""

    call_ids: dict[Tenant, str]
    coefficients: dict[Tenant, Coefficients]


@pytest.fixture(scope="module")
def filled(store: Store) -> Filled:
    ids, used = {}, {}
    seeds = {org_id: Seed(store, org_id) for org_id in (NORTH, SOUTH)}
    for number, owner in enumerate(OWNERS, start=1):
        used[owner] = replace(PAPER, pue=1.5 + number / 1000)
        names: dict[str, Any] = dict.fromkeys(
            ("team", "service", "environment", "request_model", "response_model", "place"),
            mark(owner),
        )
        calls = [
            names | {"trace_hash": number, "span_id": 1},
            names | {"trace_hash": number, "span_id": 2, "start_time": NOW - timedelta(minutes=1)},
            names | {"trace_hash": number, "span_id": 3, "counted": 0, "reason": "error"},
        ]
        seeds[owner.org_id].calls(
            [call | {"project_id": owner.project_id, "segment_id": number} for call in calls],
            used[owner],
        )
        ids[owner] = cursors.call_id(number, 1)
        _receive(store, owner, number)
    return Filled(ids, used)


def _receive(store: Store, owner: Tenant, number: int) -> None:
    """What the loader notes of a segment: outcomes by number, and the last spans."""
    token = f"reach-{number}"
    columns = ["received_at", "segment_id", "org_id", "project_id"]
    shared: list[object] = [NOW - timedelta(minutes=1), number, *owner]
    store.insert(
        "span_outcomes", [*columns, "outcome", "spans"], [[*shared, mark(owner), 3]], token
    )
    shared[0] = datetime.now(UTC)  # kept for a day of real time
    columns += ["trace_id", "span_id", "service", "scope", "model", "outcome", "reason"]
    last = [bytes([number]) * 16, bytes([number]) * 8, mark(owner), "test", "m", "stored", ""]
    store.insert("recent_spans", columns, [shared + last], token)


def everything(table: str) -> Callable[[Reader, Reach], object]:
    return lambda reader, reach: reader.sql(reach, f"SELECT * FROM {table}")


ANSWERS: dict[str, Callable[[Reader, Reach], object]] = {
    "usage": lambda reader, reach: reader.usage(reach, **DAY, group_by=["team"]),
    "usage of ragged hours": lambda reader, reach: reader.usage(
        reach, **RAGGED, group_by=["model"]
    ),
    "calls": lambda reader, reach: reader.calls(reach),
    "overview": lambda reader, reach: reader.overview(reach, 7),
    "last spans": lambda reader, reach: reader.received(reach, 50).spans,
    "outcomes": lambda reader, reach: reader.received(reach, 50).outcomes_24h,
    **{f"sql over {table}": everything(table) for table in SQL_TABLES if table != "coefficients"},
}
"""Question → its answer, which names every owner within reach."""


@pytest.mark.parametrize("question", ANSWERS)
@pytest.mark.parametrize("reach", REACHES, ids=spoken)
def test_an_answer_holds_what_is_within_reach_and_nothing_else(
    reader: Reader, filled: Filled, reach: Reach, question: str
) -> None:
    assert marks(ANSWERS[question](reader, reach)) == within(reach)


@pytest.mark.parametrize("reach", REACHES, ids=spoken)
def test_numbers_without_names(reader: Reader, store: Store, filled: Filled, reach: Reach) -> None:
    """Each owner has two counted calls, of which one in the ragged ten minutes, and three spans."""
    owners = len(within(reach))
    page = reader.overview(reach, 7)
    assert page.org_id == reach.org_id
    assert (page.today.calls, sum(page.calls_per_minute)) == (2 * owners, owners)
    assert sum(tier.calls for tier in page.tiers) == 2 * owners
    assert reader.usage(reach, **DAY).total.calls == 2 * owners
    assert reader.usage(reach, **RAGGED).total.calls == owners
    assert reader.today(reach).calls == 2 * owners
    assert reader.daily(reach).total.calls == 2 * owners
    assert len(reader.calls(reach).calls) == 3 * owners
    assert sum(reader.received(reach, 50).outcomes_24h.values()) == 3 * owners
    assert len(reader.received(reach, 50).spans) == owners
    found = Queries(store, reach).counted_since(NOW - timedelta(days=30))
    assert sum(row["calls"] for row in found if row["counted"]) == 2 * owners


@pytest.mark.parametrize("reach", REACHES, ids=spoken)
@pytest.mark.parametrize("owner", OWNERS, ids=mark)
def test_a_call_exists_within_reach_only(
    reader: Reader, filled: Filled, reach: Reach, owner: Tenant
) -> None:
    id = filled.call_ids[owner]
    detail, identity = reader.call(reach, id), cursors.parse_call_id(id)
    assert identity is not None
    assert (detail is not None) == (owner in within(reach))
    assert reader.is_stored(reach, *identity) == (owner in within(reach))


@pytest.mark.parametrize("reach", REACHES, ids=spoken)
def test_filters_narrow_and_never_widen(reader: Reader, filled: Filled, reach: Reach) -> None:
    for owner in OWNERS:
        filters = {"project": owner.project_id, "team": mark(owner)}
        calls = 2 if owner in within(reach) else 0
        assert reader.usage(reach, **DAY, filters=filters).total.calls == calls
        assert marks(reader.calls(reach, filters=filters)) == within(reach) & {owner}


def test_a_neighbours_correction_hides_nothing(reader: Reader, store: Store) -> None:
    """Ids of spans are the senders' own: two projects, two organisations may use the same."""
    ids: dict[str, Any] = {"trace_hash": 77, "span_id": 7, "segment_id": 77}
    east, west = Seed(store, "org_east"), Seed(store, "org_west")
    east.call(**ids, project_id="alpha")
    east.cancel(east.call(**ids, project_id="beta", start_time=NOW - timedelta(hours=1)))
    west.cancel(west.call(**ids))
    for reach, calls in (
        (Reach("org_east", "alpha"), 1), (Reach("org_east", "beta"), 0), (Reach("org_west"), 0),
    ):  # fmt: skip
        assert len(reader.calls(reach).calls) == calls
        assert reader.usage(reach, **DAY).total.calls == calls
    kept = reader.call(Reach("org_east", "alpha"), cursors.call_id(77, 7))
    assert kept is not None and not kept.cancelled_by_reconcile


@pytest.mark.parametrize("reach", REACHES, ids=spoken)
def test_coefficients_are_those_of_the_calls_within_reach(
    reader: Reader, filled: Filled, reach: Reach
) -> None:
    """Which coefficients exist tells which models are used and where, so others' are not shown."""
    rows = reader.sql(reach, "SELECT DISTINCT pue FROM coefficients ORDER BY pue").rows
    assert rows == [[filled.coefficients[owner].pue] for owner in OWNERS if owner in within(reach)]


@pytest.mark.parametrize(
    "statement",
    [
        "WITH '{org}' AS org_id SELECT team FROM calls",
        "WITH (SELECT '{org}') AS org_id SELECT team FROM calls",
        "WITH '{project}' AS project_id SELECT team FROM usage_hourly",
        "WITH '{org}' AS org_id, '{project}' AS project_id"
        " SELECT (SELECT groupArray(team) FROM calls)",
        "WITH '{org}' AS org_id SELECT team FROM calls_footprint",
        "SELECT '{org}' AS org_id, '{project}' AS project_id, team FROM calls",
        "SELECT '{project}' AS project_id, (SELECT groupArray(team) FROM calls) AS teams",
        "SELECT c.team FROM (SELECT '{org}' AS org_id, '{project}' AS project_id) AS t, calls AS c",
        "WITH x AS (SELECT '{org}' AS org_id) SELECT team FROM calls, x",
        "SELECT team FROM calls WHERE org_id != '{org}' OR project_id != '{project}' OR 1 = 1",
        "SELECT team, '{own}' AS text FROM calls",
    ],
)
@pytest.mark.parametrize("reach", [Reach(NORTH), Reach(NORTH, "alpha")], ids=spoken)
def test_no_name_in_a_statement_stands_for_the_bound_columns(
    reader: Reader, filled: Filled, reach: Reach, statement: str
) -> None:
    """With the caller's own values under these names, the condition would hold for every row."""
    text = statement.replace("{org}", NORTH).replace("{project}", "alpha")
    try:
        answer: object = reader.sql(reach, text)
    except QueryError as error:
        answer = error.detail
    assert marks(answer) == within(reach)


def test_a_users_text_is_not_taken_for_a_slot(reader: Reader, filled: Filled) -> None:
    text = "SELECT '{own}' AS a, '{limit:UInt32}' AS b, '{statement}' AS c, '{org:String}' AS d"
    assert reader.sql(Reach(NORTH, "alpha"), text).rows == [
        ["{own}", "{limit:UInt32}", "{statement}", "{org:String}"]
    ]


def test_a_cursor_serves_the_reach_it_was_made_for(reader: Reader, filled: Filled) -> None:
    cursor = {reach: reader.calls(reach, limit=1).next_cursor for reach in REACHES}
    for reach in REACHES:
        assert marks(reader.calls(reach, cursor=cursor[reach])) <= within(reach)
        for other in set(REACHES) - {reach}:
            with pytest.raises(BadParameter, match="is not a cursor of this list"):
                reader.calls(reach, cursor=cursor[other])


@pytest.mark.parametrize(
    "name", ["", "org_north' OR '1'='1", "{org:String}", "org_n%", "ORG_NORTH"]
)
def test_a_name_is_compared_whatever_it_holds(reader: Reader, filled: Filled, name: str) -> None:
    for reach in (Reach(name), Reach(name, "alpha"), Reach(NORTH, name)):
        assert reader.usage(reach, **DAY).total.calls == 0
        assert reader.calls(reach).calls == []
        assert reader.sql(reach, "SELECT count() FROM calls").rows == [[0]]

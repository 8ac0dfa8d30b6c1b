"""A day that is over becomes rows of integers and a digest; what comes later, a generation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from query.rows import Seed
from support.receiver import make_settings

from ecomind_processor.ledger import line, root
from ecomind_receiver.closing import KEYS, LATER, SUMS, Closer, canonical, digest
from ecomind_receiver.store import Store

DAY = date(2026, 11, 18)
DUE = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(make_settings(tmp_path, retention_days=3650))
    yield store
    store.close()


@pytest.fixture
def closer(store: Store) -> Iterator[Closer]:
    closer = Closer(store)
    yield closer
    closer.stop()


def reconciled(store: Store, until: datetime) -> None:
    store.insert("reconciled", ["window_end", "corrections"], [[until, 0]])


def closes(store: Store, org_id: str = "org_a") -> list[tuple[int, int, int, str]]:
    rows = store.query(
        "SELECT generation, rows, calls, root FROM day_closes WHERE org_id = {org:String}"
        " ORDER BY day, generation",
        {"org": org_id},
    )
    return [(r["generation"], r["rows"], r["calls"], r["root"]) for r in rows]


def test_a_day_closes_two_days_after_its_end(store: Store, closer: Closer) -> None:
    Seed(store, "org_a").call()
    reconciled(store, DUE)
    assert closer.close_days(DUE - timedelta(seconds=1)) == 0
    assert closes(store) == []
    assert closer.close_days(DUE) == 1
    ((generation, rows, calls, _),) = closes(store)
    assert (generation, rows, calls) == (1, 1, 1)
    assert closer.until == DAY + timedelta(days=1)
    assert closer.close_days(DUE) == 0


def test_a_day_waits_until_it_is_reconciled(store: Store, closer: Closer) -> None:
    Seed(store, "org_a").call()
    assert closer.close_days(DUE) == 0
    reconciled(store, DUE)
    assert closer.close_days(DUE) == 1


def test_the_digest_by_hand(store: Store, closer: Closer) -> None:
    """Two rows of a day, hashed here as docs/methodology.md says; the tree has one node."""
    seed = Seed(store, "org_a")
    first = seed.call(team="search", input_tokens=1000, output_tokens=100)
    seed.call(team="search", input_tokens=2000, output_tokens=50)
    other = seed.call(team="ads", input_tokens=40_000, output_tokens=7)
    reconciled(store, DUE)
    closer.close_days(DUE)
    coef = f"{first['coef_id']:016x}"
    assert other["coef_id"] == first["coef_id"]

    def row(team: str, *numbers: int) -> bytes:
        keys = ["default", team, "ranker", "production", "openai", "gpt-4o", "gpt-4o-2024-08-06"]
        keys += ["us-east-1", "chat", "", "reported", "2026-11-18T09:00:00Z", coef]
        values = ["org_a", "2026-11-18", *keys, *numbers]
        return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()

    # calls, adjusted, in, cache read, cache write, out, reasoning, uncached, > 8k, > 32k, > 128k,
    # measured, images, audio, video, generation twice, duration
    ads = row("ads", 1, 1000, 40_000, 0, 0, 7, 0, 40_000, 32_000, 8_000, 0, *[0] * 6, 1500)
    search = row("search", 2, 2000, 3000, 0, 0, 150, 0, 3000, *[0] * 9, 3000)
    leaves = [hashlib.sha256(b"\x00" + each).digest() for each in sorted((ads, search))]
    by_hand = hashlib.sha256(b"\x01" + leaves[0] + leaves[1]).hexdigest()
    assert closes(store) == [(1, 2, 3, by_hand)]


def test_what_came_later_ends_a_line_only_where_it_is_not_zero() -> None:
    """A day that was closed without it keeps its digest."""
    row: dict[str, object] = {**dict.fromkeys(KEYS, ""), **dict.fromkeys(SUMS, 0), "calls": 1}
    row |= {"hour": datetime(2026, 11, 18, 9, tzinfo=UTC), "coef_id": 7}
    without, paid = (
        json.loads(*canonical("org_a", DAY, [row | {"spend_microusd": amount}]))
        for amount in (0, 5)
    )
    before = SUMS[: -len(LATER)]
    assert before[-1] == "duration_ms"
    assert without[-len(before) :] == [1, *[0] * (len(before) - 1)]
    assert paid == [*without, 5]


def test_late_data_opens_a_generation_that_holds_the_difference(
    store: Store, closer: Closer
) -> None:
    seed = Seed(store, "org_a")
    Seed(store, "org_b").call()
    seed.call()
    reconciled(store, DUE)
    closer.close_days(DUE)
    first = closes(store)
    late = DUE + timedelta(days=3)
    seed.call(output_tokens=5, received_at=late)
    reconciled(store, late + timedelta(minutes=15))
    assert closer.close_days(late + timedelta(hours=1)) == 1
    assert closes(store)[:1] == first  # what was closed stays as it was
    assert closes(store)[1][:3] == (2, 1, 2)
    assert [generation for generation, *_ in closes(store, "org_b")] == [1]
    delta = store.query(
        "SELECT calls, output_tokens FROM closed_usage WHERE org_id = 'org_a' AND generation = 2"
    )
    assert delta == [{"calls": 1, "output_tokens": 5}]
    assert closer.close_days(late + timedelta(hours=2)) == 0


def test_a_row_that_is_taken_back_leaves_the_day(store: Store, closer: Closer) -> None:
    seed = Seed(store, "org_a")
    kept, gone = seed.call(), seed.call(team="ads")
    reconciled(store, DUE)
    closer.close_days(DUE)
    late = DUE + timedelta(days=1)
    seed.cancel(gone | {"received_at": late})
    reconciled(store, late + timedelta(minutes=15))
    closer.close_days(late + timedelta(hours=1))
    assert closes(store)[1][1:3] == (1, 1)
    alone = Store.query(store, "SELECT team FROM closed_usage GROUP BY team HAVING sum(calls) != 0")
    assert alone == [{"team": kept["team"]}]


@pytest.mark.parametrize("statement", ["DELETE FROM day_closes WHERE 1", "SELECT 1"])
def test_a_crash_between_rows_and_close_is_made_good(
    statement: str, store: Store, closer: Closer
) -> None:
    Seed(store, "org_a").call()
    reconciled(store, DUE)
    closer.close_days(DUE)
    before = closes(store)
    if statement.startswith("DELETE"):  # the rows are there, no close vouches for them
        store.command("TRUNCATE TABLE day_closes")
        store.command("TRUNCATE TABLE closed_days")
        closer.close_days(DUE)
    assert closes(store) == before
    assert store.query("SELECT sum(calls) AS n FROM closed_usage") == [{"n": 1}]


def test_the_digest_is_the_same_on_one_and_on_two_threads(store: Store, closer: Closer) -> None:
    seed = Seed(store, "org_a")
    seed.calls([{"team": f"team-{n % 97}", "service": f"s{n % 53}"} for n in range(6000)])
    reconciled(store, DUE)
    closer.close_days(DUE, threads=2)
    one, two = (digest(store, "org_a", DAY, threads) for threads in (1, 2))
    assert one == two == closes(store)[0][1:]
    assert one[0] == 97 * 53


def test_every_integer_of_the_rollup_is_closed(store: Store) -> None:
    columns = {row["name"]: row["type"] for row in store.query("DESCRIBE TABLE usage_hourly")}
    floats = {name for name, kind in columns.items() if kind == "Float64"}
    assert floats == {"energy_wh", "co2e_g", "water_ml"}
    assert set(columns) - floats == {"org_id", *KEYS, *SUMS}
    for table in ("closed_usage", "restated_usage"):
        found = {row["name"] for row in store.query(f"DESCRIBE TABLE {table}")}
        assert found - {"generation", "restatement_id", "day"} == set(columns) - floats


def test_the_root_of_nothing_and_of_three() -> None:
    def leaf(data: bytes) -> bytes:
        return hashlib.sha256(b"\x00" + data).digest()

    assert root([]) == hashlib.sha256().hexdigest()
    assert root([b"x"]) == leaf(b"x").hex()
    node = hashlib.sha256(b"\x01" + leaf(b"a") + leaf(b"b")).digest()
    assert root([b"c", b"a", b"b"]) == hashlib.sha256(b"\x01" + node + leaf(b"c")).hexdigest()


@given(st.lists(st.binary(max_size=4), max_size=20), st.randoms())
def test_the_root_does_not_hang_on_the_order(lines: list[bytes], chance: st.DataObject) -> None:
    mixed = list(lines)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert root(mixed) == root(lines)


@given(st.sets(st.binary(max_size=4), min_size=1, max_size=20), st.data())
def test_another_line_gives_another_root(lines: set[bytes], data: st.DataObject) -> None:
    gone = data.draw(st.sampled_from(sorted(lines)))
    assert root(lines - {gone}) != root(lines) != root([*lines, b"one more"])


def test_a_line_is_compact_json() -> None:
    assert line(["org_a", "größe", 5]) == '["org_a","größe",5]'.encode()

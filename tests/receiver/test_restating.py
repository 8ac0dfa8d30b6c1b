"""Closed days under another set or method: equal to a recomputation from the single calls."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from query.rows import Seed
from support.receiver import make_settings

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, Quantities, footprint
from ecomind_processor.resolution import CallKey, resolve
from ecomind_processor.terms import (
    NO_TERMS,
    Contract,
    Document,
    EnergyOverride,
    OwnMethod,
    RegionMap,
    Terms,
)
from ecomind_query.totals import Sums
from ecomind_query.totals import footprint as of_sums
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.closing import SUMS, Closer
from ecomind_receiver.restating import CALLS, CLOSED, Moved, Plan, Request, RestateError, Restater
from ecomind_receiver.store import Store

OLDER, NEWER = FactorSet.load("ecomind-2026.1"), FactorSet.load()
FROM, TO = date(2024, 3, 1), date(2025, 3, 1)
MODELS = ["gpt-4o", "mistral-large-latest", "claude-sonnet-4-5", "acme-70b", "acme", "o1-preview"]
PLACES = ["USA", "eu-north-1", "us-central1", "", "US-CAISO"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = Store(make_settings(tmp_path_factory.mktemp("restating"), retention_days=3650))
    seed = Seed(store, "org_a")
    rows: list[tuple[Coefficients, dict[str, Any]]] = []
    for number, (month, model, place) in enumerate(itertools.product(range(12), MODELS, PLACES)):
        start = datetime(2024, 3, 1, 5, tzinfo=UTC) + timedelta(days=30 * month, hours=number % 40)
        given = {
            "provider": "openai",
            "request_model": model,
            "response_model": "",
            "place": place,
            "start_time": start,
            "input_tokens": 50_000 + number,
            "cache_read_tokens": 100 * number,
            "output_tokens": 17 * number,
            "reasoning_tokens": number,
            "usage_quality": "partial" if number % 7 == 0 else "reported",
            "measured_energy_mj": 900 * number if number % 11 == 0 else 0,
            "duration_us": 40_000 * number,
            "segment_id": number,
        }
        if number % 13 == 0:  # nothing is known but what was paid
            used = ("input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")
            given |= dict.fromkeys((*used, "measured_energy_mj"), 0)
            given["spend_microusd"] = 1_000_000 + number
        rows.append((resolve(key_of(given), OLDER), given))
    seed.mixed(rows)
    Seed(store, "org_b").call(start_time=datetime(2024, 5, 1, tzinfo=UTC))
    store.insert("reconciled", ["window_end", "corrections"], [[datetime.now(UTC), 0]])
    closer = Closer(store)
    closer.close_days(datetime(2025, 3, 10, tzinfo=UTC))
    closer.stop()
    yield store
    store.close()


@pytest.fixture
def restater(store: Store) -> Restater:
    return Restater(store, Catalogue(store, NEWER, 1000))


def key_of(row: dict[str, Any]) -> CallKey:
    return CallKey(
        row["provider"], row["request_model"], row["response_model"], row["place"], "",
        row["start_time"].date(), row["measured_energy_mj"] > 0, row["usage_quality"],
        spend=row.get("spend_microusd", 0) > 0,
    )  # fmt: skip


def request(method: str = "ecomind@v1", factors: FactorSet = NEWER, **given: Any) -> Request:
    asked: dict[str, Any] = {"org_id": "org_a", "from_day": FROM, "to_day": TO} | given
    return Request(**asked, factors=factors, method=method)


def from_raw(
    store: Store, factors: FactorSet, method: str, terms: Terms = NO_TERMS
) -> dict[str, float]:
    """Each figure added over the single calls, each resolved and worked out by itself."""
    figures: dict[str, list[float]] = {}
    for row in store.query("SELECT * FROM calls WHERE org_id = 'org_a' AND counted"):
        quantities = Quantities(*(int(row[name]) for name in Quantities._fields))
        result = footprint(quantities, resolve(key_of(row), factors, method, terms))
        for name in ("energy_wh", "co2e_g_location", "co2e_g_embodied", "water_ml_offsite"):
            for end in ("low", "mid", "high"):
                value = getattr(getattr(result, name), end)
                figures.setdefault(f"{name}_{end}", []).append(value)
    return {name: math.fsum(values) for name, values in figures.items()}


def from_plan(
    moved: tuple[Moved, ...], book: dict[int, Coefficients], old: bool
) -> dict[str, float]:
    figures: dict[str, list[float]] = {}
    for row in moved:
        sums = Sums(*(row.sums[name] for name in Sums._fields))
        result = of_sums(sums, book[row.old_coef_id if old else row.new_coef_id])
        for name in ("energy_wh", "co2e_g_location", "co2e_g_embodied", "water_ml_offsite"):
            for end in ("low", "mid", "high"):
                value = getattr(getattr(result, name), end)
                figures.setdefault(f"{name}_{end}", []).append(value)
    return {name: math.fsum(values) for name, values in figures.items()}


def book(store: Store) -> dict[int, Coefficients]:
    rows = store.query("SELECT * FROM coefficients LIMIT 1 BY coef_id")
    return {row.pop("coef_id"): Coefficients(**row) for row in rows}


@pytest.mark.parametrize("method", ["ecomind@v1", "benchmark", "class"])
def test_a_restatement_equals_a_recomputation_from_raw(
    method: str, store: Store, restater: Restater
) -> None:
    plan = restater.plan(request(method))
    assert plan.basis == CLOSED
    restated = from_plan(plan.moved, book(store), old=False)
    assert restated == pytest.approx(from_raw(store, NEWER, method), rel=1e-9)
    original = from_plan(plan.moved, book(store), old=True)
    assert original == pytest.approx(from_raw(store, OLDER, "ecomind@v1"), rel=1e-9)
    assert restated["energy_wh_mid"] != original["energy_wh_mid"] or method == "ecomind@v1"


def test_a_method_that_counts_time_is_worked_out_from_single_calls(
    store: Store, restater: Restater
) -> None:
    """To the microsecond that is kept of each call's generation."""
    plan = restater.plan(request("ecologits@0.11.3"))
    assert plan.basis == CALLS
    restated = from_plan(plan.moved, book(store), old=False)
    assert restated == pytest.approx(from_raw(store, NEWER, "ecologits@0.11.3"), rel=1e-6)


def test_nothing_changes_until_it_is_kept(store: Store, restater: Restater) -> None:
    before = counts(store)
    plan = restater.plan(request())
    assert counts(store) == before
    id = restater.keep(plan, "newer factors", "user_alice", "{}")
    after = counts(store)
    assert after["closed_usage"] == before["closed_usage"]
    assert after["restated_usage"] == 360
    (kept,) = store.query("SELECT * FROM restatements")
    assert (kept["restatement_id"], kept["org_id"], kept["calls"]) == (id, "org_a", 360)
    assert (kept["from_day"], kept["to_day"], kept["factor_set"]) == (FROM, TO, NEWER.id)
    rows = store.query("SELECT coef_id, sum(calls) AS calls FROM restated_usage GROUP BY coef_id")
    expected: dict[int, int] = {}
    for row in plan.moved:
        expected[row.new_coef_id] = expected.get(row.new_coef_id, 0) + row.sums["calls"]
    assert {row["coef_id"]: row["calls"] for row in rows} == expected


def counts(store: Store) -> dict[str, int]:
    tables = ("closed_usage", "restated_usage", "restatements", "usage_hourly", "calls")
    return {t: store.query(f"SELECT count() AS n FROM {t}")[0]["n"] for t in tables}


def test_only_ones_own_rows_are_restated(store: Store, restater: Restater) -> None:
    calls = {org: total(restater.plan(request(org_id=org))) for org in ("org_a", "org_b", "org_c")}
    assert calls == {"org_a": 360, "org_b": 1, "org_c": 0}


def total(plan: Plan) -> int:
    return sum(row.sums["calls"] for row in plan.moved)


def test_a_part_of_the_period(store: Store, restater: Restater) -> None:
    plan = restater.plan(request(from_day=date(2024, 6, 1), to_day=date(2024, 7, 1)))
    days = store.query(
        "SELECT sum(calls) AS n FROM closed_usage WHERE org_id = 'org_a'"
        " AND day >= '2024-06-01' AND day < '2024-07-01'"
    )
    assert total(plan) == days[0]["n"] > 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"to_day": date(2026, 1, 1)}, r"the last closed day is 2025-03-07"),
        ({"to_day": FROM}, r"--to must lie after --from"),
    ],
)
def test_what_is_not_closed_is_refused(
    given: dict[str, Any], says: str, restater: Restater
) -> None:
    with pytest.raises(RestateError, match=says):
        restater.plan(request(**given))


def test_a_method_that_counts_time_is_refused_once_calls_are_gone(
    store: Store, restater: Restater
) -> None:
    asked: dict[str, Any] = {"org_id": "org_b", "from_day": FROM, "to_day": TO}
    assert total(restater.plan(request("ecologits@0.11.3", **asked))) == 1
    store.command("ALTER TABLE calls DELETE WHERE org_id = 'org_b' SETTINGS mutations_sync = 1")
    with pytest.raises(RestateError, match=r"of the 1 in these days 0 are kept"):
        restater.plan(request("ecologits@0.11.3", **asked))
    assert total(restater.plan(request(**asked))) == 1


DOCUMENT = Document("Energy of our models", "docs/energy.pdf", 2024)
AUTUMN = date(2024, 9, 1)
TERMS = Terms(
    energy=(EnergyOverride("gpt-4o", 0.001, DOCUMENT, AUTUMN, date(2025, 1, 1)),),
    contract=(Contract("openai", 25.0, "ppa", DOCUMENT, AUTUMN),),
    region=(RegionMap("SWE", AUTUMN, place="us-central1"),),
)


def test_the_terms_of_the_organisation_hold_on_their_days(store: Store) -> None:
    """Of org_a only; equal to each call resolved by itself, and in whole once kept."""
    own = Restater(store, Catalogue(store, NEWER, 1000, lambda: {"org_a": TERMS}))
    plan = own.plan(request(""))
    restated = from_plan(plan.moved, book(store), old=False)
    assert restated == pytest.approx(from_raw(store, NEWER, "", TERMS), rel=1e-9)
    assert restated != pytest.approx(from_raw(store, NEWER, ""), rel=1e-3)
    own.keep(plan, "what we agreed", "user_alice", "{}")
    rows = store.query(
        "SELECT day >= '2024-09-01' AS after, any(c.co2e_g_per_kwh_market) AS market,"
        " uniqExact(c.co2e_g_per_kwh_market) AS kinds, countIf(c.model_tier = 'B') AS stated"
        " FROM restated_usage AS r INNER JOIN (SELECT * FROM coefficients LIMIT 1 BY coef_id) AS c"
        " USING (coef_id) WHERE restatement_id = (SELECT argMax(restatement_id, created_at)"
        " FROM restatements) GROUP BY after ORDER BY after"
    )
    assert [(row["market"], row["kinds"]) for row in rows] == [(None, 0), (25.0, 1)]
    assert [row["stated"] > 0 for row in rows] == [False, True]
    (theirs,) = own.plan(request("", org_id="org_b")).moved
    assert book(store)[theirs.new_coef_id].co2e_g_per_kwh_market is None


def test_a_method_of_the_organisation_that_counts_time_takes_single_calls(store: Store) -> None:
    terms = Terms(method=(OwnMethod("ecologits@0.11.3", AUTUMN, date(2025, 1, 1)),))
    own = Restater(store, Catalogue(store, NEWER, 1000, lambda: {"org_a": terms}))
    plan = own.plan(request(""))
    assert (plan.basis, plan.methods) == (CALLS, "ecomind@v1, ecologits@0.11.3")
    restated = from_plan(plan.moved, book(store), old=False)
    assert restated == pytest.approx(from_raw(store, NEWER, "", terms), rel=1e-6)
    before = own.plan(request("", to_day=AUTUMN))
    assert (before.basis, before.methods) == (CLOSED, "ecomind@v1")
    assert own.plan(request("class")).methods == "class"


def test_each_integer_moves_whole(restater: Restater, store: Store) -> None:
    plan = restater.plan(request())
    sums = ", ".join(f"sum(c.{name}) AS {name}" for name in SUMS)
    (whole,) = store.query(f"SELECT {sums} FROM closed_usage AS c WHERE org_id = 'org_a'")
    assert {name: sum(row.sums[name] for row in plan.moved) for name in SUMS} == whole

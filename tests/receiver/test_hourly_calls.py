"""Calls and their hours: stored with the grid's intensity of the hour, replayed and restated."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from query.rows import Seed
from support.receiver import Running, make_settings
from support.spans import BEGIN_NS, NS, Item, Span
from support.spans import send as send_to

from ecomind_processor.explain import explain
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, Quantities, footprint
from ecomind_processor.hourly import Grids, Intensity, Kind, utc_hour
from ecomind_processor.resolution import HOURLY, CallKey, in_hour, resolve
from ecomind_processor.terms import Contract, Document, Terms
from ecomind_query.totals import Sums
from ecomind_query.totals import footprint as of_sums
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.closing import Closer
from ecomind_receiver.pipeline import Job, Pipeline
from ecomind_receiver.restating import Request, Restater
from ecomind_receiver.server import Receiver
from ecomind_receiver.store import Store, StoreError

FACTORS = FactorSet.load()
BEGAN = utc_hour(datetime.fromtimestamp(BEGIN_NS / NS, UTC)) - timedelta(hours=6)
"""A full hour; calls are sent an hour or more after it."""

CALL = Quantities(input_tokens=1000, output_tokens=300)
DAY = datetime(2026, 2, 3, tzinfo=UTC)


class Table:
    """Intensities of some hours of Great Britain."""

    kind: Kind = "average"
    zones = frozenset({"GBR"})

    def __init__(self, hours: dict[datetime, float], *, estimated: bool = False) -> None:
        self._hours = hours
        self._estimated = estimated

    def learn(self, hours: dict[datetime, float]) -> None:
        self._hours = hours

    def factor(self, zone: str, hour: datetime) -> Intensity | None:
        g_per_kwh = self._hours.get(hour)
        if g_per_kwh is None:
            return None
        return Intensity(g_per_kwh, "a test", hour, self.kind, self._estimated)


def key(place: str = "GBR", **given: Any) -> CallKey:
    return CallKey("openai", "gpt-4o", "", place, "", DAY.date(), measured=False)._replace(**given)


def test_an_hour_takes_the_place_of_the_year() -> None:
    """0.8129 Wh (gpt-4o, 1,000 in, 300 out) at 100 g/kWh: 0.08129 g; ÷ and × 3 · 1.1."""
    yearly = resolve(key(), FACTORS)
    hourly = in_hour(yearly, DAY + timedelta(minutes=59), Grids([Table({DAY: 100.0})]), FACTORS)
    result = footprint(CALL, hourly)
    assert result.energy_wh.mid == pytest.approx(0.8129, abs=5e-5)
    assert result.co2e_g_location.mid == pytest.approx(0.08129, abs=5e-6)
    assert result.co2e_g_location.low == pytest.approx(0.08129 / 3.3, abs=5e-6)
    assert result.co2e_g_location.high == pytest.approx(0.08129 * 3.3, abs=5e-5)
    assert (hourly.grid_tier, hourly.grid_year) == ("A", 2026)
    assert hourly.zone_match == f"stated grid zone{HOURLY}a test"
    (step,) = (s for s in explain(CALL, hourly).steps if s.name == "CO2e, location-based")
    assert step.source == "grid GBR 2026 (stated grid zone), tier A; a test"
    untouched = ("band_energy", "band_water", "water_l_per_kwh_offsite", "pue")
    assert all(getattr(hourly, name) == getattr(yearly, name) for name in untouched)


def test_an_hour_that_nobody_knows_is_that_of_its_year() -> None:
    yearly = resolve(key(), FACTORS)
    grids = Grids([Table({DAY: 100.0})])
    assert in_hour(yearly, DAY + timedelta(hours=1), grids, FACTORS) is yearly
    elsewhere = resolve(key("USA"), FACTORS)
    assert in_hour(elsewhere, DAY, grids, FACTORS) is elsewhere


def test_ecologits_keeps_the_grid_of_its_library() -> None:
    theirs = resolve(key(), FACTORS, "ecologits@0.11.3")
    assert in_hour(theirs, DAY, Grids([Table({DAY: 100.0})]), FACTORS) is theirs


def test_a_forecast_says_so_and_a_contract_stays() -> None:
    contract = Contract("openai", 20.0, "ppa", Document("PPA", "docs/ppa.pdf", 2026), DAY.date())
    yearly = resolve(key(), FACTORS, terms=Terms(contract=(contract,)))
    grids = Grids([Table({DAY: 100.0}, estimated=True)])
    hourly = in_hour(yearly, DAY, grids, FACTORS)
    assert hourly.co2e_g_per_kwh_market == 20.0
    before, _, market = yearly.zone_match.partition("; market: ")
    assert hourly.zone_match == f"{before}{HOURLY}a test, estimated; market: {market}"


def table_file(directory: Path, *rows: tuple[str, datetime, float]) -> str:
    """The setting of a table of these rows."""
    path = directory / "grid.csv"
    lines = [f"{zone},{hour:%Y-%m-%dT%H}:00Z,{value},My utility" for zone, hour, value in rows]
    path.write_text("\n".join(["zone,hour,g_per_kwh,source", *lines]) + "\n", "utf-8")
    return f"file:{path}"


def at(hours: float, id: int, place: str = "GBR", **more: Any) -> Span:
    """A call that begins this long after `BEGAN`."""
    start = (BEGAN - datetime.fromtimestamp(BEGIN_NS / NS, UTC)).total_seconds() + hours * 3600
    more = {"ecomind.inference.region": place, **more}
    return Span(id, start=start, tokens=(1000, 300), more=more)


async def send(receiver: Receiver, items: Sequence[Item]) -> None:
    await send_to(receiver, "org_a", items)
    await receiver.drain()


def stored(store: Store) -> list[tuple[datetime, float, str]]:
    """Hour, gCO2e per kWh and grid tier of each call, oldest first."""
    rows = store.query(
        "SELECT toStartOfHour(start_time) AS hour, round(1000 * co2e_g / energy_wh, 2) AS g,"
        " grid_tier FROM (SELECT * FROM calls WHERE sign = 1) AS c"
        " INNER JOIN (SELECT coef_id, any(grid_tier) AS grid_tier FROM coefficients"
        " GROUP BY coef_id) AS k USING (coef_id) ORDER BY start_time"
    )
    return [(row["hour"].replace(tzinfo=UTC), row["g"], row["grid_tier"]) for row in rows]


def test_calls_of_one_segment_take_the_intensity_of_their_hours(
    running: Running, tmp_path: Path
) -> None:
    """Two hours that the table knows, one that it does not (217.41 g/kWh of the year), the USA."""
    hours = [BEGAN + timedelta(hours=n) for n in range(4)]
    setting = table_file(tmp_path, ("GBR", hours[0], 120.5), ("GBR", hours[1], 80.25))

    async def scenario() -> list[tuple[datetime, float, str]]:
        async with running(grid_hourly=setting, spool_segment_max_seconds=60) as receiver:
            await send(receiver, [at(0.2, 1), at(1.0, 2), at(2.5, 3), at(3.0, 4, "USA")])
            assert receiver.status().loaded_segments == 1
            return stored(receiver.store)

    assert asyncio.run(scenario()) == [
        (hours[0], 120.5, "A"),
        (hours[1], 80.25, "A"),
        (hours[2], 217.41, "C"),
        (hours[3], 384.4, "C"),
    ]


def test_a_replay_keeps_the_hours_that_were_decided(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends after the plan was written, and comes back without the table; names are
    capped, so keys are made anew on the way."""
    hours = [BEGAN, BEGAN + timedelta(hours=1)]
    setting = table_file(tmp_path, ("GBR", hours[0], 120.5), ("GBR", hours[1], 80.25))
    stopped: list[bool] = []

    def stop(pipeline: Pipeline, job: Job) -> None:
        stopped.append(True)
        raise StoreError("the power went out")

    async def before() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(Pipeline, "_mark_losers", stop)
            async with running(grid_hourly=setting, names_per_day_max=1) as receiver:
                other = at(1.1, 3, **{"gen_ai.request.model": "gpt-4o-mini"})
                await send_to(receiver, "org_a", [at(0.2, 1), at(1.0, 2), other])
                while not stopped:
                    await asyncio.sleep(0.01)

    async def after() -> list[tuple[datetime, float, str]]:
        async with running(names_per_day_max=1) as receiver:
            await receiver.drain()
            await send(receiver, [at(0.5, 9)])
            return stored(receiver.store)

    asyncio.run(before())
    found = asyncio.run(after())
    assert found[0] == (hours[0], 120.5, "A")
    assert found[1] == (hours[0], 217.41, "C")
    assert found[2:] == [(hours[1], 80.25, "A")] * 2


def test_a_restatement_by_the_hour_equals_each_call_by_itself(tmp_path: Path) -> None:
    """Under a table that came later, for the zones and hours that it knows; then kept."""
    store = Store(make_settings(tmp_path, retention_days=3650))
    table = Table({DAY + timedelta(hours=n): 50.0 + 7 * n for n in range(30)})
    grids = Grids([table])
    seed = Seed(store, "org_a")
    rows: list[tuple[Coefficients, dict[str, Any]]] = []
    for number, place in itertools.product(range(40), ("GBR", "USA")):
        start = DAY + timedelta(hours=number, minutes=number)
        given: dict[str, Any] = {
            "provider": "openai", "request_model": "gpt-4o", "response_model": "", "place": place,
            "start_time": start, "input_tokens": 1000 + number, "output_tokens": 300,
            "segment_id": number,
        }  # fmt: skip
        rows.append((resolve(key(place, day=start.date()), FACTORS), given))
    seed.mixed(rows)
    store.insert("reconciled", ["window_end", "corrections"], [[datetime.now(UTC), 0]])
    closer = Closer(store)
    closer.close_days(DAY + timedelta(days=9))
    closer.stop()
    restater = Restater(store, Catalogue(store, FACTORS, 1000, grids=grids))
    request = Request("org_a", DAY.date(), (DAY + timedelta(days=2)).date(), FACTORS, "")
    plan = restater.plan(request)
    ids = store.query("SELECT * FROM coefficients LIMIT 1 BY coef_id")
    book = {row.pop("coef_id"): Coefficients(**row) for row in ids}
    restated = [
        of_sums(Sums(*(row.sums[name] for name in Sums._fields)), book[row.new_coef_id])
        for row in plan.moved
    ]
    alone = [
        footprint(
            Quantities(input_tokens=given["input_tokens"], output_tokens=300),
            in_hour(coefficients, given["start_time"], grids, FACTORS),
        )
        for coefficients, given in rows
    ]
    for end in ("low", "mid", "high"):
        both = [
            math.fsum(getattr(f.co2e_g_location, end) for f in part) for part in (restated, alone)
        ]
        assert both[0] == pytest.approx(both[1], rel=1e-9)
    assert plan.resolved.unknown_hours == 10
    table.learn({DAY + timedelta(hours=n): 1000.0 for n in range(48)})
    restater.keep(plan, "hourly figures came", "user_alice", "{}")  # what was tried, and no other
    tiers = store.query(
        "SELECT place, sumIf(calls, grid_tier = 'A') AS hourly, sum(calls) AS n"
        " FROM restated_usage INNER JOIN (SELECT coef_id, any(grid_tier) AS grid_tier"
        " FROM coefficients GROUP BY coef_id) AS k USING (coef_id) GROUP BY place ORDER BY place"
    )
    assert [tuple(row.values()) for row in tiers] == [("GBR", 30, 40), ("USA", 0, 40)]
    store.close()

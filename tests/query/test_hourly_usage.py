"""Totals where grids are known by the hour: each hour by itself, and yet in few rows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from query.rows import MARKET, PAPER, Seed

from ecomind_processor.footprint import Coefficients
from ecomind_processor.resolution import HOURLY
from ecomind_query import usage
from ecomind_query.reader import Reader
from ecomind_receiver.tenants import Reach

START = datetime(2026, 11, 10, tzinfo=UTC)
WEEK: dict[str, Any] = {"start": "2026-11-10", "end": "2026-11-17"}
HOURS = range(7 * 24)


def at(hour: int, of: Coefficients = PAPER) -> Coefficients:
    """These coefficients in an hour: 100 g/kWh in the first, and 1 more from hour to hour."""
    return replace(
        of,
        co2e_g_per_kwh_location=100.0 + hour,
        band_grid=1.1,
        grid_tier="A",
        grid_year=2026,
        zone_match=f"stated grid zone{HOURLY}a test",
    )


def calls(of: Coefficients, **given: Any) -> list[tuple[Coefficients, dict[str, Any]]]:
    """A call in every hour of the week; of each day's last hour only the year is known."""
    return [
        (
            of if hour % 24 == 23 else at(hour, of),
            {"start_time": START + timedelta(hours=hour), "output_tokens": 100 + hour, **given},
        )
        for hour in HOURS
    ]


def grams(hour: int, yearly: float) -> float:
    """By hand: (1 + 0.01 · output) Wh · PUE 1.5 · intensity."""
    g_per_kwh = yearly if hour % 24 == 23 else 100 + hour
    return (1 + 0.01 * (100 + hour)) * 1.5 * g_per_kwh / 1000


def test_each_call_has_its_own_hour(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.mixed(calls(PAPER, team="search") + calls(MARKET, team="ads"))
    answer = reader.usage(reach, **WEEK, group_by=["team", "day"])
    for row in answer.rows:
        day = (datetime.fromisoformat(row.group["day"]).replace(tzinfo=UTC) - START).days
        hours = range(day * 24, day * 24 + 24)
        yearly = {"search": 400.0, "ads": 40.0}[row.group["team"]]
        found = row.totals.co2e_g_location
        assert found.mid == pytest.approx(sum(grams(hour, yearly) for hour in hours), rel=1e-12)
        known, last = sum(grams(hour, yearly) for hour in hours[:23]), grams(hours[23], yearly)
        assert found.high == pytest.approx(known * 2 * 1.1 + last * 2 * 1.25, rel=1e-12)
        assert found.low == pytest.approx(known / 2.2 + last / 2.5, rel=1e-12)
        assert (row.totals.co2e_g_market is None) == (row.group["team"] == "search")
        assert row.totals.calls == 24
    assert len(answer.rows) == 14
    assert answer.total.energy_wh.mid == pytest.approx(
        2 * sum(1.5 + 0.015 * (100 + hour) for hour in HOURS)
    )


def test_a_year_of_hours_fits_into_an_answer(
    reader: Reader, reach: Reach, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """168 coefficients of two families are four rows: those known by the hour, and the others."""
    seed.mixed(calls(PAPER, team="search") + calls(MARKET, team="ads"))
    monkeypatch.setattr(usage, "MAX_ROWS", 4)
    total = reader.usage(reach, **WEEK).total
    each = sum(grams(hour, yearly) for hour in HOURS for yearly in (400.0, 40.0))
    assert total.co2e_g_location.mid == pytest.approx(each, rel=1e-12)


def test_what_was_taken_back_is_gone(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.mixed(calls(PAPER))
    for hour in (3, 4):
        seed.cancel(seed.call(at(hour), start_time=START + timedelta(hours=hour)))
    total = reader.usage(reach, **WEEK).total
    assert total.calls == len(HOURS)
    expected = sum(grams(hour, 400.0) for hour in HOURS)
    assert total.co2e_g_location.mid == pytest.approx(expected, rel=1e-12)


def test_no_energy_at_all(reader: Reader, reach: Reach, seed: Seed) -> None:
    nothing = {"input_tokens": 0, "output_tokens": 0, "start_time": START}
    seed.call(at(0), **nothing)
    assert reader.usage(reach, **WEEK).total.co2e_g_location.mid == 0

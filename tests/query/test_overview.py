"""What the front page is given: today, the same hours yesterday, the trend, rankings, evidence."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from query.rows import NOW, PAPER, Seed

from ecomind_query.errors import BadParameter
from ecomind_query.reader import Reader
from ecomind_receiver.tenants import Reach

BETTER = replace(PAPER, model_tier="C", factor_set="paper-2")


def test_today_stands_against_the_same_hours_of_yesterday(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    yesterday = NOW - timedelta(days=1)
    seed.call(start_time=NOW - timedelta(seconds=1))
    seed.call(start_time=yesterday - timedelta(seconds=1))
    seed.call(start_time=yesterday + timedelta(seconds=1))  # later than the same hours
    page = reader.overview(reach, 7)
    assert (page.today.calls, page.yesterday_same_hours.calls) == (1, 1)
    assert page.org_id == reach.org_id


def test_trend_keeps_the_largest_models_and_adds_up_the_others(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    for size in range(1, 9):
        seed.call(request_model=f"model-{size}", output_tokens=100 * size)
    points = reader.overview(reach, 7).trend
    assert [point.series for point in points] == [*(f"model-{n}" for n in range(3, 9)), "other"]
    other = points[-1]
    assert (other.start, other.calls) == (datetime(2026, 11, 18, tzinfo=UTC), 2)
    assert other.energy_wh == pytest.approx(1.5 * (2 * 1 + 1 + 2))  # 2 × 1,000 in, 100 + 200 out


@pytest.mark.parametrize(("days", "calls"), [(7, 1), (30, 2)])
def test_trend_begins_at_a_midnight(
    reader: Reader, reach: Reach, seed: Seed, days: int, calls: int
) -> None:
    for back in (days - 1, days):
        seed.call(start_time=datetime(2026, 11, 18, 0, tzinfo=UTC) - timedelta(days=back))
    seed.call(start_time=datetime(2026, 11, 12, 0, tzinfo=UTC), team="x") if days == 30 else None
    assert sum(point.calls for point in reader.overview(reach, days).trend) == calls


def test_rankings_are_by_co2e(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call(team="ads", service="banner", output_tokens=50)
    seed.call(team="search", service="ranker", output_tokens=500)
    page = reader.overview(reach, 30)
    assert [row.group for row in page.top_teams] == [{"team": "search"}, {"team": "ads"}]
    assert [row.group["service"] for row in page.top_services] == ["ranker", "banner"]
    assert [row.group["model"] for row in page.top_models] == ["gpt-4o"]


def test_evidence_is_shared_by_energy(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call(PAPER)
    seed.call(BETTER, input_tokens=2000, output_tokens=400)  # 6 Wh of IT energy against 2
    seed.call(PAPER, counted=0, reason="error")
    page = reader.overview(reach, 7)
    assert [(tier.tier, tier.calls) for tier in page.tiers] == [("C", 1), ("D", 1)]
    assert [tier.share for tier in page.tiers] == pytest.approx([0.75, 0.25])
    assert page.factor_set in ("paper-1", "paper-2")


def test_what_is_coming_in(reader: Reader, reach: Reach, seed: Seed) -> None:
    ages = (
        0.1,
        20,
        60,
        61,
        1739,
        1790,
    )  # seconds; 29 minutes and 7 s is where the half hour begins
    seed.calls([{"start_time": NOW - timedelta(seconds=age)} for age in ages])
    page = reader.overview(reach, 7)
    minutes = page.calls_per_minute
    assert (len(minutes), minutes[-1], minutes[-2], minutes[0]) == (30, 1, 3, 1)
    assert [call.start_time for call in page.live] == sorted(
        (NOW - timedelta(seconds=age) for age in ages), reverse=True
    )
    assert all(call.provisional for call in page.live)


def test_an_empty_organisation(reader: Reader, reach: Reach) -> None:
    page = reader.overview(reach, 30)
    assert (page.today.calls, page.trend, page.live, page.tiers) == (0, [], [], [])
    assert (page.calls_per_minute, page.factor_set) == ([0] * 30, "")
    assert len(page.equivalents) == 3


def test_other_lengths_are_refused(reader: Reader, reach: Reach) -> None:
    with pytest.raises(BadParameter, match="7 or 30"):
        reader.overview(reach, 14)

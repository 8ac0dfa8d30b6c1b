"""Totals against sums done by hand: the coefficients of `rows.PAPER` are chosen for it.

One call of 1,000 input and 100 output tokens takes 1,000 × 0.001 + 100 × 0.01 = 2 Wh of IT energy,
so 3 Wh with the PUE of 1.5; 3 × 400 ÷ 1000 = 1.2 g; 2 × 0.5 = 1 mL on site and 3 × 2 = 6 mL at
power plants. Its price is that of gpt-4o: 2.50 and 10 dollars per million tokens (OpenAI's price
list of October 2024), so 0.0025 + 0.001 = 0.0035 dollars.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from query.rows import MARKET, NOW, PAPER, Seed

from ecomind_processor.footprint import (
    Coefficients,
    Quantities,
    footprint,
    generation_seconds,
    uncached_tokens,
)
from ecomind_query.errors import BadParameter
from ecomind_query.models import Range
from ecomind_query.reader import Reader
from ecomind_query.totals import Part, Sums, totals
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Reach

DAY: dict[str, Any] = {"start": "2026-11-18", "end": "2026-11-19"}


def near(low: float, mid: float, high: float) -> Range:
    return Range.model_construct(
        low=pytest.approx(low), mid=pytest.approx(mid), high=pytest.approx(high)
    )


def test_one_call_in_full(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call()
    total = reader.usage(reach, **DAY).total
    assert (total.calls, total.input_tokens, total.output_tokens) == (1, 1000, 100)
    assert total.energy_wh == near(1.5, 3, 6)
    assert total.co2e_g_location == near(1.2 / 2.5, 1.2, 3.0)
    assert total.co2e_g_market is None
    assert total.co2e_g_embodied == near(0.06, 0.12, 0.24)
    assert total.water_ml_onsite == near(1 / 3, 1, 3)
    assert total.water_ml_offsite == near(2, 6, 18)
    assert total.water_ml == near(7 / 3, 7, 21)
    assert total.cost_usd == pytest.approx(0.0035)
    assert total.unpriced_calls == 0


def test_lows_add_to_lows_over_different_coefficients(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    seed.call()
    seed.call(MARKET)
    total = reader.usage(reach, **DAY).total
    assert total.co2e_g_location == near((1.2 + 0.12) / 2.5, 1.32, 3.3)
    assert total.co2e_g_market is None  # one of the two has no evidence
    market = reader.usage(reach, **DAY, filters={"team": "search"}).total.co2e_g_market
    assert market is None


def test_market_figure_needs_evidence_for_every_call(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    seed.call(MARKET)
    assert reader.usage(reach, **DAY).total.co2e_g_market == near(0.03 / 2.5, 0.03, 0.075)


def test_long_prompts_and_caches_are_summed_per_call(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    """Two prompts of 20,000 are not one of 40,000: only a single long one costs extra."""
    seed.call(input_tokens=20_000, output_tokens=0)
    seed.call(input_tokens=20_000, output_tokens=0)
    seed.call(input_tokens=42_000, cache_read_tokens=8_000, output_tokens=0)
    it_wh = 20 + 20 + (34 + 2 + 0.8)  # 34,000 uncached, 2,000 of them beyond 32,000, 8,000 cached
    assert reader.usage(reach, **DAY).total.energy_wh.mid == pytest.approx(it_wh * 1.5)


def test_groups_by_several_dimensions_in_order_of_time_and_size(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    seed.call(team="ads", output_tokens=300)
    seed.call(team="search")
    seed.call(team="search", start_time=datetime(2026, 11, 17, 23, 59, 59, tzinfo=UTC))
    answer = reader.usage(reach, start="2026-11-17", end="2026-11-19", group_by=["team", "day"])
    assert answer.group_by == ["team", "day"]
    assert [row.group for row in answer.rows] == [
        {"team": "search", "day": "2026-11-17"},
        {"team": "ads", "day": "2026-11-18"},
        {"team": "search", "day": "2026-11-18"},
    ]
    assert [row.totals.energy_wh.mid for row in answer.rows] == pytest.approx([3, 6, 3])
    assert answer.total.calls == 3


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        ("model", "gpt-4o"),
        ("provider", "openai"),
        ("team", "search"),
        ("project", "default"),
        ("service", "ranker"),
        ("environment", "production"),
        ("region", "us-east-1"),
        ("hour", "2026-11-18T09:00:00Z"),
        ("day", "2026-11-18"),
        ("month", "2026-11"),
    ],
)
def test_every_dimension(
    reader: Reader, reach: Reach, seed: Seed, dimension: str, value: str
) -> None:
    seed.call()
    rows = reader.usage(reach, **DAY, group_by=[dimension]).rows
    assert [row.group for row in rows] == [{dimension: value}]


@pytest.mark.parametrize(
    ("name", "value", "calls"),
    [
        ("model", "gpt-4o", 1),
        ("model", "gpt-4o-2024-08-06", 1),
        ("model", "gpt-4", 0),
        ("team", "search", 1),
        ("team", "search' OR '1'='1", 0),
        ("provider", "openai", 1),
        ("project", "other", 0),
        ("service", "ranker", 1),
        ("environment", "", 0),
        ("region", "us-east-1", 1),
    ],
)
def test_every_filter_matches_exactly(
    reader: Reader, reach: Reach, seed: Seed, name: str, value: str, calls: int
) -> None:
    """At an unaligned time too, so that rollup and single calls are filtered alike."""
    seed.call()
    for period in (DAY, {"start": "2026-11-18T09:10:00Z", "end": "2026-11-18T09:20:00Z"}):
        assert reader.usage(reach, **period, filters={name: value}).total.calls == calls


def test_ranges_are_half_open_to_the_microsecond(reader: Reader, reach: Reach, seed: Seed) -> None:
    first = datetime(2026, 11, 18, 9, 15, tzinfo=UTC)
    seed.calls([{"start_time": first + timedelta(hours=h)} for h in range(4)])

    def calls(start: datetime, end: datetime) -> int:
        answer = reader.usage(reach, start=start.isoformat(), end=end.isoformat())
        return answer.total.calls

    instant = timedelta(microseconds=1)
    last = first + timedelta(hours=3)
    assert calls(first, last) == 3
    assert calls(first, last + instant) == 4
    assert calls(first + instant, last + instant) == 3
    assert calls(first, first + instant) == 1
    assert calls(first - instant, first) == 0


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 5 * 3600), st.integers(1, 5 * 3600))
def test_any_range_counts_the_calls_inside(
    store: Store, many: list[datetime], offset: int, length: int
) -> None:
    """Whole hours from the rollup plus ragged ends from single calls are the calls themselves."""
    reader = Reader(store, retention_days=90, clock=lambda: NOW)
    start = datetime(2026, 11, 17, 8, tzinfo=UTC) + timedelta(seconds=offset)
    end = start + timedelta(seconds=length)
    answer = reader.usage(MANY, start=start.isoformat(), end=end.isoformat())
    assert answer.total.calls == sum(start <= at < end for at in many)


MANY = Reach("org_many")


@pytest.fixture(scope="module")
def many(store: Store) -> list[datetime]:
    first = datetime(2026, 11, 17, 8, tzinfo=UTC)
    times = [first + timedelta(seconds=step * 331) for step in range(100)]
    Seed(store, MANY.org_id).calls([{"start_time": at} for at in times])
    return times


def test_what_reconcile_took_back_is_in_no_total(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call()
    seed.cancel(seed.call(segment_id=2, team="ads"))
    seed.twin(seed.call(segment_id=3, team="ads"))
    seed.call(counted=0, reason="container", team="ads")
    for period in (DAY, {"start": "2026-11-18T09:10:00Z", "end": "2026-11-18T09:20:00Z"}):
        answer = reader.usage(reach, **period, group_by=["team"])
        assert [(row.group["team"], row.totals.calls) for row in answer.rows] == [("search", 1)]
        assert answer.total.energy_wh.mid == pytest.approx(3)


def test_another_organisation_is_never_seen(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call()
    stranger = Reach("org_stranger")
    assert reader.usage(stranger, **DAY).total.calls == 0
    assert reader.calls(stranger).calls == []
    assert reader.call(stranger, reader.calls(reach).calls[0].id) is None


def test_unknown_models_are_counted_as_unpriced(reader: Reader, reach: Reach, seed: Seed) -> None:
    house: dict[str, Any] = {"request_model": "house-llm", "response_model": "", "provider": "acme"}
    seed.call(**house)
    total = reader.usage(reach, **DAY).total
    assert (total.cost_usd, total.unpriced_calls) == (None, 1)
    seed.call()
    total = reader.usage(reach, **DAY).total
    assert total.cost_usd == pytest.approx(0.0035)
    assert total.unpriced_calls == 1


def test_a_price_step_is_that_of_the_average_prompt(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    """gemini-2.5-pro costs 1.25 dollars per million input tokens up to 200,000 a prompt.

    Ten prompts of 100,000 stay below it, though their sum does not (Google, price list of 2025).
    """
    gemini = {"provider": "gcp.gemini", "request_model": "gemini-2.5-pro", "response_model": ""}
    seed.calls([gemini | {"input_tokens": 100_000, "output_tokens": 0}] * 10)
    assert reader.usage(reach, **DAY).total.cost_usd == pytest.approx(1.25)


def test_no_calls_are_zeros_not_gaps(reader: Reader, reach: Reach) -> None:
    answer = reader.usage(reach, **DAY)
    assert (answer.rows, answer.total.calls, answer.total.cost_usd) == ([], 0, 0.0)
    assert answer.total.co2e_g_market == Range(low=0, mid=0, high=0)


def test_today_and_days(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call(start_time=datetime(2026, 11, 17, 23, tzinfo=UTC))
    seed.call(start_time=datetime(2026, 11, 18, 0, tzinfo=UTC))
    seed.call(start_time=NOW)  # not yet: the end is exclusive
    assert reader.today(reach).calls == 1
    days = reader.daily(reach)
    assert [row.group["day"] for row in days.rows][::29] == ["2026-10-20", "2026-11-18"]
    assert [row.totals.calls for row in days.rows] == [0] * 28 + [1, 1]


def test_defaults_are_the_seven_days_until_now(reader: Reader, reach: Reach) -> None:
    answer = reader.usage(reach)
    assert (answer.from_, answer.to) == (datetime(2026, 11, 11, 14, tzinfo=UTC), NOW)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"start": "2026-11-18T09:00:00"}, "from: '2026-11-18T09:00:00' has no time zone; add Z"),
        ({"end": "yesterday"}, "to: 'yesterday' is not a time. Write it as 2026-11-01T00:00:00Z"),
        ({"start": "2026-11-19", "end": "2026-11-19"}, "must be before to"),
        ({"start": "1970-01-01"}, "years 2000 to 2099"),
        ({"group_by": ["colour"]}, "group_by: 'colour' is not one of model, provider, team,"),
        ({"group_by": ["team", "team"]}, "names a dimension twice"),
        ({"filters": {"user": "x"}}, "filter: 'user' is not one of"),
        ({"start": "2026-01-01T00:30:00Z"}, "from: 2026-01-01T00:30:00+00:00 must be a full hour"),
    ],
)
def test_bad_questions_are_told_what_to_change(
    reader: Reader, reach: Reach, asked: dict[str, object], sentence: str
) -> None:
    with pytest.raises(BadParameter) as refused:
        reader.usage(reach, **asked)  # type: ignore[arg-type]
    assert sentence in refused.value.detail


def test_provisional_until_the_window_is_closed(
    reader: Reader, reach: Reach, seed: Seed, store: Store
) -> None:
    assert reader.usage(reach, **DAY).provisional_from is None  # nothing there may change
    received = datetime(2026, 11, 18, 13, 5, tzinfo=UTC)
    seed.call(received_at=received)
    assert reader.usage(reach, **DAY).provisional_from == received
    until = datetime(2026, 11, 18, 14, 15, tzinfo=UTC)
    store.insert("reconciled", ["window_end", "corrections"], [[until, 0]], "window")
    assert reader.usage(reach, **DAY).provisional_from == until
    assert reader.usage(reach, start="2026-11-17", end="2026-11-18").provisional_from is None


COEFFICIENTS = st.sampled_from(
    [
        replace(PAPER, wh_per_call=0.003, wh_per_reasoning_token=0.0005),
        replace(PAPER, wh_per_image=2.0, wh_per_audio_second=0.1, wh_per_video_second=9.0),
        replace(PAPER, wh_per_usd=3.0),
        replace(  # a smallest and a largest value, and seconds of generation
            PAPER,
            wh_per_second=0.01,
            wh_per_second_high=0.03,
            seconds_to_first_token=0.5,
            seconds_per_output_token=0.01,
            seconds_per_output_token_high=0.02,
            co2e_g_per_second_embodied=0.002,
            pue_high=1.7,
            water_l_per_kwh_onsite_high=0.9,
        ),
    ]
)
CALLS = st.builds(
    lambda i, o, r, w, ms: Quantities(
        i + r + w, r, w, o, o // 2, 0, i % 3, ms, 2 * ms, ms * 1000, 7 * i
    ),
    st.integers(0, 200_000),
    st.integers(0, 200_000),
    st.integers(0, 50_000),
    st.integers(0, 9_000),
    st.integers(0, 90_000),
)


@given(st.lists(CALLS, min_size=1, max_size=8), COEFFICIENTS, st.floats(1, 3))
def test_sums_give_what_the_single_calls_give(
    calls: list[Quantities], coefficients: Coefficients, pue: float
) -> None:
    """The footprint of summed quantities is the sum of the processor's footprints.

    To 1e-12; where time counts, to the microsecond that the rollup keeps of each call.
    """
    c = replace(coefficients, pue=pue, pue_high=coefficients.pue_high and pue * 1.2)
    uncached = [uncached_tokens(q) for q in calls]
    own = ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens")
    also = ("reasoning_tokens", "measured_energy_mj", "images", "audio_ms", "video_ms",
            "spend_microusd")  # fmt: skip
    sums = Sums(
        calls=len(calls),
        adjusted_calls_milli=1000 * len(calls),
        uncached_tokens=sum(uncached),
        input_tokens_over_32k=sum(max(tokens - 32_000, 0) for tokens in uncached),
        generation_us=sum(round(generation_seconds(q, c) * 1e6) for q in calls),
        generation_us_high=sum(round(generation_seconds(q, c.largest) * 1e6) for q in calls),
        **{name: sum(getattr(q, name) for q in calls) for name in own + also},
    )
    whole = totals([Part("reported", sums, c, None)])
    single = [footprint(q, c) for q in calls]
    for name in ("energy_wh", "co2e_g_location", "co2e_g_embodied", "water_ml_offsite"):
        for end in ("low", "mid", "high"):
            expected = sum(getattr(getattr(each, name), end) for each in single)
            found = getattr(getattr(whole, name), end)
            assert found == pytest.approx(expected, rel=1e-12, abs=1e-7 * c.wh_per_second)

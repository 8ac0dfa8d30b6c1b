"""The list of calls and a single one, as they stand after corrections."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from query.rows import MARKET, NOW, PAPER, Seed

from ecomind_query import cursors
from ecomind_query.errors import BadParameter
from ecomind_query.queries import Place
from ecomind_query.reader import Reader
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Reach

FIRST = datetime(2026, 11, 18, 9, 15, tzinfo=UTC)
MANY = Reach("org_pages")
REACHES = [Reach("org"), Reach("org", "p"), Reach("org", ""), Reach("another"), Reach("orgp")]


def test_a_call_in_full(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call(trace_hash=0xA1, span_id=0xB2, reasoning_tokens=40, cache_read_tokens=200)
    (call,) = reader.calls(reach).calls
    assert call.id == "00000000000000a100000000000000b2"
    assert (call.start_time, call.duration_ms, call.counted) == (FIRST, 1500.0, True)
    assert (call.input_tokens, call.cache_read_tokens, call.reasoning_tokens) == (1000, 200, 40)
    assert (call.method, call.model_tier) == ("ecomind@v1", "D")
    it_wh = 800 * 0.001 + 200 * 0.0001 + 100 * 0.01
    assert call.energy_wh == pytest.approx(it_wh * 1.5)
    assert call.co2e_g == pytest.approx(it_wh * 1.5 * 0.4)
    assert call.water_ml == pytest.approx(it_wh * 0.5 + it_wh * 1.5 * 2)


def test_corrections(reader: Reader, reach: Reach, seed: Seed) -> None:
    """Cancelled calls are gone; a twin stays, does not count and has no footprint of its own."""
    seed.call(span_id=1)
    seed.cancel(seed.call(span_id=2))
    seed.twin(seed.call(span_id=3))
    resent = seed.call(span_id=4)
    seed.cancel(seed.call(span_id=4, segment_id=9))
    calls = {call.id[-1]: call for call in reader.calls(reach).calls}
    assert sorted(calls) == ["1", "3", "4"]
    assert (calls["3"].counted, calls["3"].reason, calls["3"].energy_wh) == (False, "duplicate", 0)
    assert calls["4"].counted
    assert resent["segment_id"] == 1


def test_details_of_corrected_calls(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.twin(seed.call(span_id=1))
    seed.cancel(seed.call(span_id=2))
    twin = reader.call(reach, cursors.call_id(7, 1))
    gone = reader.call(reach, cursors.call_id(7, 2))
    assert twin is not None and gone is not None
    assert (twin.call.reason, twin.cancelled_by_reconcile) == ("duplicate", True)
    assert [line.name for line in twin.derivation] == ["Not counted"]
    assert gone.cancelled_by_reconcile


def test_a_call_that_was_replaced_is_shown_as_it_is_now(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    old = seed.call(span_id=1, request_model="", response_model="", usage_quality="reported")
    seed.cancel(old)
    seed.call(span_id=1, request_model="gpt-5", response_model="gpt-5")
    detail = reader.call(reach, cursors.call_id(7, 1))
    assert detail is not None
    assert (detail.call.request_model, detail.cancelled_by_reconcile) == ("gpt-5", False)
    assert [call.request_model for call in reader.calls(reach).calls] == ["gpt-5"]


def test_derivation_can_be_checked_with_a_calculator(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    seed.call(MARKET, span_id=1)
    detail = reader.call(reach, cursors.call_id(7, 1))
    assert detail is not None
    lines = {
        line.name: (line.formula.rpartition(" = ")[2], line.value) for line in detail.derivation
    }
    assert lines == {
        "IT energy": ("0.001 · 1,000 + 0.01 · 100", 2.0),
        "Energy": ("2 · 1.5", 3.0),
        "CO2e, location-based": ("3 · 40 ÷ 1,000", 0.12),
        "CO2e, market-based": ("3 · 10 ÷ 1,000", 0.03),
        "CO2e, embodied": ("3 · 40 ÷ 1,000", 0.12),
        "Water on site": ("2 · 0.5", 1.0),
        "Water at power plants": ("3 · 2", 6.0),
        "Energy, low": ("3 ÷ 2 (tier D)", 1.5),
        "Energy, high": ("3 · 2 (tier D)", 6.0),
        "CO2e, location-based, low": ("0.12 ÷ 2 (tier D) ÷ 1.25 (grid tier C)", 0.048),
        "CO2e, location-based, high": ("0.12 · 2 (tier D) · 1.25 (grid tier C)", 0.3),
        "CO2e, market-based, low": ("0.03 ÷ 2 (tier D) ÷ 1.25 (grid tier C)", 0.012),
        "CO2e, market-based, high": ("0.03 · 2 (tier D) · 1.25 (grid tier C)", 0.075),
        "CO2e, embodied, low": ("0.12 ÷ 2 (tier D)", 0.06),
        "CO2e, embodied, high": ("0.12 · 2 (tier D)", 0.24),
        "Water on site, low": ("1 ÷ 2 (tier D) ÷ 1.5 (water)", pytest.approx(1 / 3)),
        "Water on site, high": ("1 · 2 (tier D) · 1.5 (water)", 3.0),
        "Water at power plants, low": ("6 ÷ 2 (tier D) ÷ 1.5 (water)", 2.0),
        "Water at power plants, high": ("6 · 2 (tier D) · 1.5 (water)", 18.0),
    }
    assert "paper-1" in detail.derivation[1].source  # a set that is not here leaves its name
    assert detail.co2e_g_market is not None
    assert detail.coefficients["zone"] == "SWE"


def test_missing_evidence_is_said(reader: Reader, reach: Reach, seed: Seed) -> None:
    seed.call(PAPER, span_id=1)
    detail = reader.call(reach, cursors.call_id(7, 1))
    assert detail is not None and detail.co2e_g_market is None
    market = next(line for line in detail.derivation if line.name == "CO2e, market-based")
    assert (market.value, market.source) == (None, "")


@pytest.mark.parametrize(
    ("filters", "spans"),
    [
        ({}, "4321"),
        ({"counted": "true"}, "421"),
        ({"counted": "false"}, "3"),
        ({"reason": "error"}, "3"),
        ({"team": "ads"}, "2"),
        ({"model": "gpt-4o-mini"}, "4"),
        ({"from": "2026-11-18T10:15:00Z"}, "432"),
        ({"from": "2026-11-18T10:15:00Z", "to": "2026-11-18T12:15:00+00:00"}, "32"),
        ({"to": "2026-11-18T11:15:00+01:00"}, "1"),
        ({"environment": "%"}, ""),
    ],
)
def test_filters(
    reader: Reader, reach: Reach, seed: Seed, filters: dict[str, str], spans: str
) -> None:
    hour = timedelta(hours=1)
    seed.call(span_id=1, start_time=FIRST)
    seed.call(span_id=2, start_time=FIRST + hour, team="ads")
    seed.call(span_id=3, start_time=FIRST + 2 * hour, counted=0, reason="error")
    seed.call(span_id=4, start_time=FIRST + 3 * hour, response_model="gpt-4o-mini")
    calls = reader.calls(reach, filters=filters).calls
    assert "".join(call.id[-1] for call in calls) == spans


@pytest.fixture(scope="module")
def pages(store: Store) -> list[str]:
    """Ids of 60 calls, newest first; many share their time, some were cancelled."""
    seed = Seed(store, MANY.org_id)
    rows = seed.calls(
        [
            {"start_time": FIRST + timedelta(seconds=n % 4), "trace_hash": n % 3, "span_id": n}
            for n in range(60)
        ]
    )
    for row in rows[::7]:
        seed.cancel(row)
    kept = [row for n, row in enumerate(rows) if n % 7]
    kept.sort(key=lambda r: (r["start_time"], r["trace_hash"], r["span_id"]), reverse=True)
    return [cursors.call_id(row["trace_hash"], row["span_id"]) for row in kept]


@settings(max_examples=15, deadline=None)
@given(limits=st.lists(st.integers(1, 20), min_size=1, max_size=8))
def test_pages_join_to_the_whole_list(store: Store, pages: list[str], limits: list[int]) -> None:
    """Whatever the page sizes: no call twice, none missing, newest first."""
    reader = Reader(store, retention_days=90, clock=lambda: NOW)
    seen: list[str] = []
    cursor: str | None = None
    for turn in range(100):
        page = reader.calls(MANY, cursor=cursor, limit=limits[turn % len(limits)])
        seen += [call.id for call in page.calls]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == pages


def test_calls_that_arrive_meanwhile_shift_nothing(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    seed.calls([{"start_time": FIRST + timedelta(seconds=n), "span_id": n + 1} for n in range(4)])
    first = reader.calls(reach, limit=2)
    seed.call(start_time=FIRST + timedelta(hours=1), span_id=99)
    second = reader.calls(reach, limit=2, cursor=first.next_cursor)
    assert [call.id[-1] for call in first.calls + second.calls] == ["4", "3", "2", "1"]
    assert second.next_cursor is None


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),
    *[st.integers(0, 2**64 - 1)] * 3,
)
def test_a_cursor_reads_back_what_it_holds(
    at: datetime, trace_hash: int, span_id: int, segment_id: int
) -> None:
    place = Place(at, trace_hash, span_id, segment_id)
    for reach in REACHES:
        cursor = cursors.encode(reach, place)
        assert cursors.decode(reach, cursor) == place
        for other in set(REACHES) - {reach}:
            with pytest.raises(BadParameter):
                cursors.decode(other, cursor)


@given(st.text(max_size=80))
def test_any_other_text_is_refused_as_a_cursor(text: str) -> None:
    with pytest.raises(BadParameter, match="next_cursor"):
        cursors.decode(Reach("org"), text)


@pytest.mark.parametrize("limit", [0, 501])
def test_limits(reader: Reader, reach: Reach, limit: int) -> None:
    with pytest.raises(BadParameter, match="between 1 and 500"):
        reader.calls(reach, limit=limit)


@pytest.mark.parametrize("id", ["", "xyz", "0" * 31, "A" * 32, "0" * 32])
def test_ids_that_name_no_call(reader: Reader, reach: Reach, id: str) -> None:
    assert reader.call(reach, id) is None

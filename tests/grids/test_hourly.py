"""Average and marginal intensity never stand in for each other, whatever plug-ins there are."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecomind_processor.hourly import KINDS, Grids, Intensity, Kind, is_plausible, utc_hour

HOUR = datetime(2026, 11, 18, 14, tzinfo=UTC)


class Fixed(NamedTuple):
    """A plug-in that says one thing of some zones; it may say it of another kind or hour."""

    kind: Kind
    zones: frozenset[str]
    says: Intensity | None

    def factor(self, zone: str, hour: datetime) -> Intensity | None:
        return self.says


def said(kind: Kind, g_per_kwh: float = 100.0, hour: datetime = HOUR) -> Intensity:
    return Intensity(g_per_kwh, "a test", hour, kind, estimated=False)


GBR = frozenset({"GBR"})
intensities = st.builds(
    said,
    st.sampled_from(KINDS),
    st.floats() | st.floats(0, 2000),
    st.sampled_from([HOUR, HOUR - timedelta(hours=1)]),
)
plugins = st.builds(
    Fixed,
    st.sampled_from(KINDS),
    st.sampled_from([GBR, frozenset({"FRA"}), frozenset({"FRA", "GBR"})]),
    st.none() | intensities,
)


@given(st.lists(plugins, max_size=6), st.integers(0, 3599))
def test_an_answer_is_of_the_kind_hour_and_zone_that_was_asked(
    given_plugins: list[Fixed], second: int
) -> None:
    grids = Grids(given_plugins)
    moment = HOUR + timedelta(seconds=second)
    for kind, found in (
        ("average", grids.average("GBR", moment)),
        ("marginal", grids.marginal("GBR", moment)),
    ):
        right = [
            plugin.says
            for plugin in given_plugins
            if plugin.kind == kind
            and "GBR" in plugin.zones
            and plugin.says is not None
            and plugin.says.kind == kind
            and plugin.says.hour == HOUR
            and 0 <= plugin.says.g_per_kwh <= 2000
        ]
        assert found == (right[0] if right else None)


def test_without_plug_ins_nothing_is_known() -> None:
    assert Grids().average("GBR", HOUR) is None
    assert Grids().marginal("GBR", HOUR) is None


def test_the_first_that_knows_answers() -> None:
    first, second = Fixed("average", GBR, None), Fixed("average", GBR, said("average", 7))
    third = Fixed("average", GBR, said("average", 8))
    found = Grids([first, second, third]).average("GBR", HOUR)
    assert found is not None and found.g_per_kwh == 7


def test_a_plug_in_of_no_known_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="'total'"):
        Grids([Fixed("total", GBR, None)])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("moment", "hour"),
    [
        (datetime(2026, 11, 18, 14, 59, 59, 999999, tzinfo=UTC), HOUR),
        (datetime(2026, 11, 18, 20, 15, tzinfo=timezone(timedelta(hours=5, minutes=30))), HOUR),
        # Clocks in London go back on 25 October 2026 at 01:00 UTC; hours here do not.
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ],
)
def test_an_hour_is_a_full_one_in_utc(moment: datetime, hour: datetime) -> None:
    assert utc_hour(moment) == hour
    assert utc_hour(moment).tzinfo is UTC


def test_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without a time zone"):
        Grids().average("GBR", datetime(2026, 11, 18, 14))


@pytest.mark.parametrize("odd", [-0.1, 2000.1, math.inf, -math.inf, math.nan])
def test_what_no_grid_emits_is_not_plausible(odd: float) -> None:
    assert not is_plausible(odd)

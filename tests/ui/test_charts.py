"""Charts are deterministic, well-formed, free of inline style, and their lengths are right."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from ecomind_query.ui import charts

TWO_BARS = (
    charts.Bar(values=(30.0, 10.0), label="1 May", tip="1 May\t40 g"),
    charts.Bar(values=(0.0, 20.0), label="today", tip="today\t20 g", partial=True),
)
TICKS = (charts.Tick(0, "0"), charts.Tick(50, "50 g"))


def two_bars() -> Markup:
    return charts.stacked_bars(TWO_BARS, TICKS, (0, 6), id="t", title="A title", desc="A text")


def whisker(
    low: float, mid: float, high: float, before: float | None = None
) -> ElementTree.Element:
    labels = (f"{low} Wh", f"{high} Wh")
    markup = charts.whisker(low, mid, high, labels, before=before, id="w", title="t", desc="d")
    return ElementTree.fromstring(markup)


def test_a_stacked_chart_in_whole() -> None:
    assert two_bars() == (
        '<svg class="chart chart-bars" id="t" role="img" aria-labelledby="t-title t-desc">'
        '<title id="t-title">A title</title><desc id="t-desc">A text</desc>'
        '<g><line class="grid base" x1="0%" y1="100%" x2="100%" y2="100%"></line>'
        '<text class="y-label" x="-0.6em" y="100%" dy="0.34em">0</text></g>'
        '<g><line class="grid" x1="0%" y1="0%" x2="100%" y2="0%"></line>'
        '<text class="y-label" x="-0.6em" y="0%" dy="0.34em">50 g</text></g>'
        # 30 of 50 is 60 % of the height, standing on the axis; 10 of 50 is 20 % on top of it
        '<g class="bar"><rect class="seg s0" x="11%" y="40%" width="28%" height="60%"></rect>'
        '<rect class="seg s6" x="11%" y="20%" width="28%" height="20%"></rect>'
        '<text class="x-label" x="25%" y="100%" dy="1.6em">1 May</text>'
        '<rect class="hit" x="0%" y="0" width="50%" height="100%"><title>1 May\t40 g</title></rect>'
        "</g>"
        '<g class="bar partial"><rect class="seg s6" x="61%" y="60%" width="28%" height="40%">'
        '</rect><text class="x-label" x="75%" y="100%" dy="1.6em">today</text>'
        '<rect class="hit" x="50%" y="0" width="50%" height="100%"><title>today\t20 g</title>'
        "</rect></g></svg>"
    )


def test_the_same_input_gives_the_same_bytes() -> None:
    assert two_bars() == two_bars()


def test_a_whisker_places_low_mid_high_and_before_on_a_line_from_zero() -> None:
    svg = whisker(25, 50, 100, before=40)
    band, mid = svg.find("rect"), svg.find("circle")
    assert band is not None and mid is not None
    assert (band.get("x"), band.get("width"), mid.get("cx")) == ("25%", "75%", "50%")
    assert [line.get("x1") for line in svg.findall("line")] == ["0%", "40%"]


def test_a_larger_yesterday_stretches_the_line() -> None:
    svg = whisker(25, 50, 100, before=200)
    assert [line.get("x1") for line in svg.findall("line")] == ["0%", "100%"]
    mid = svg.find("circle")
    assert mid is not None and mid.get("cx") == "25%"


def test_a_whisker_of_nothing_is_at_zero() -> None:
    mid = whisker(0, 0, 0).find("circle")
    assert mid is not None and mid.get("cx") == "0%"


def test_minutes_not_reconciled_are_marked() -> None:
    markup = charts.sparkline(
        [4, 8, 0], ["a", "b", "c"], provisional=2, id="m", title="t", desc="d"
    )
    minutes = ElementTree.fromstring(markup).findall("g")
    assert [minute.get("class") for minute in minutes] == ["minute", "minute", "minute provisional"]
    assert [minute[0].get("height") for minute in minutes] == ["50%", "100%", "1.5%"]


def test_shares_follow_one_another() -> None:
    markup = charts.share_bar([0.25, 0, 0.5], ["a", "b", "c"], id="s", title="t", desc="d")
    rects = [group[0] for group in ElementTree.fromstring(markup).findall("g")]
    assert [(r.get("x"), r.get("width"), r.get("class")) for r in rects] == [
        ("0%", "25%", "seg s0"),
        ("25%", "0%", "seg s1"),
        ("25%", "50%", "seg s2"),
    ]


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_ticks_are_few_round_and_reach_the_top(maximum: float) -> None:
    values = charts.ticks(maximum)
    assert values[0] == 0
    assert values[-1] >= maximum * (1 - 1e-6)
    assert values[-2] < maximum
    assert 2 <= len(values) <= 6


@pytest.mark.parametrize(
    ("maximum", "values"),
    [
        (0, [0, 1]),
        (7, [0, 2, 4, 6, 8]),
        (10, [0, 2.5, 5, 7.5, 10]),
        (0.0031, [0, 0.001, 0.002, 0.003, 0.004]),
    ],
)
def test_ticks_by_hand(maximum: float, values: list[float]) -> None:
    assert charts.ticks(maximum) == values


@given(st.text())
def test_names_cannot_break_out_of_the_markup(name: str) -> None:
    bar = charts.Bar(values=(1.0,), label=name, tip=name)
    markup = charts.stacked_bars([bar], TICKS, (0,), id="x", title=name, desc=name)
    for character in '<>"':
        assert markup.count(character) == charts.stacked_bars(
            [charts.Bar(values=(1.0,), label="n" if name else "", tip="n")],
            TICKS, (0,), id="x", title="n", desc="n",
        ).count(character)  # fmt: skip
    assert " style=" not in markup.replace(str(Markup.escape(name)), "")

"""Figures read as a person would write them; never an exponent, never more than three figures."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecomind_query.ui import format

AMOUNTS = st.floats(min_value=1e-9, max_value=1e15)
SHOWN = re.compile(r"−?(\d{1,3}(,\d{3})*|0)(\.\d+)?|<0\.001|>−0\.001")


@pytest.mark.parametrize(
    ("energy_wh", "shown"),
    [
        (0, "0 Wh"),
        (0.00034, "0.340 mWh"),
        (0.34, "340 mWh"),
        (0.8129, "813 mWh"),
        (0.9994, "999 mWh"),
        (0.9996, "1.00 Wh"),             # rounds into the next unit, never "1,000 mWh"
        (823, "823 Wh"),
        (8230, "8.23 kWh"),              # never 8.23e+03
        (999_600, "1.00 MWh"),
        (12_300_000_000, "12,300 MWh"),
        (1e-7, "<0.001 mWh"),
        (-4.2, "−4.20 Wh"),
        (-1e-7, ">−0.001 mWh"),
    ],
)  # fmt: skip
def test_energy(energy_wh: float, shown: str) -> None:
    assert str(format.energy(energy_wh)) == shown.replace(" ", "\u202f")


@pytest.mark.parametrize(
    ("figure", "shown"),
    [
        (format.carbon(0.3125), "312 mg CO₂e"),       # 312.5: half goes to even
        (format.carbon(0.3135), "314 mg CO₂e"),
        (format.carbon(5_600_000), "5.60 t CO₂e"),
        (format.mass(1234), "1.23 kg"),
        (format.water(0.26), "0.260 mL"),
        (format.water(36_800), "36.8 L"),
        (format.water(12_000_000), "12.0 m³"),
    ],
)  # fmt: skip
def test_carbon_and_water(figure: format.Figure, shown: str) -> None:
    number, _, unit = shown.partition(" ")
    assert figure == (number, unit)
    assert str(figure) == f"{number}\u202f{unit}"


@given(AMOUNTS, st.sampled_from([format.ENERGY, format.MASS, format.WATER]), st.booleans())
def test_every_figure_is_plain_and_true_to_half_a_unit_of_its_last_place(
    amount: float, steps: format.Steps, negative: bool
) -> None:
    value = -amount if negative else amount
    figure = format.scaled(value, steps)
    assert SHOWN.fullmatch(figure.number), figure
    if figure.number[0] in "<>":
        assert amount < 10.0 ** steps[0][0] / 1000
        return
    exponent = {unit: exponent for exponent, unit in steps}[figure.unit]
    back = Decimal(figure.number.replace(",", "").replace("−", "-")).scaleb(exponent)
    exact = Decimal(repr(value))
    half_of_the_third_figure = Decimal(5).scaleb(exact.adjusted() - 3)
    assert abs(back - exact) <= half_of_the_third_figure


@given(AMOUNTS)
def test_a_number_in_the_middle_units_has_one_to_three_whole_digits(amount: float) -> None:
    figure = format.scaled(amount, format.ENERGY)
    if figure.unit not in ("mWh", "MWh"):
        assert 1 <= float(figure.number) < 1000


@given(AMOUNTS, AMOUNTS)
def test_more_never_reads_as_less(one: float, other: float) -> None:
    small, large = sorted((one, other))
    exact = [format.significant(Decimal(repr(value))) for value in (small, large)]
    assert exact[0] <= exact[1]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        format.energy(value)


def test_counts_shares_money_and_durations() -> None:
    assert format.integer(12_481) == "12,481"
    assert format.integer(-3) == "−3"
    assert [format.compact(n) for n in (0, 999, 1000, 31_240_000)] == [
        "0", "999", "1.00\u202fk", "31.2\u202fM",
    ]  # fmt: skip
    assert [format.percent(p) for p in (0, 0.004, 0.125, 0.135, 0.999, 1)] == [
        "0\u202f%", "<1\u202f%", "12\u202f%", "14\u202f%", ">99\u202f%", "100\u202f%",
    ]  # fmt: skip
    assert [format.money(m) for m in (0, 0.00001, 0.0123, 84.2, 1234.565)] == [
        "$0.00", "<$0.0001", "$0.0123", "$84.20", "$1,234.56",
    ]  # fmt: skip
    assert [format.duration(ms) for ms in (4.5, 1234, 60_000, 5_400_000)] == [
        "4.50\u202fms", "1.23\u202fs", "1.00\u202fmin", "1.50\u202fh",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("now", "before", "told"),
    [
        (115, 100, "+15\u202f%"),
        (92, 100, "−8\u202f%"),
        (100.2, 100, "0\u202f%"),
        (0, 100, "−100\u202f%"),
        (1400, 100, "×14.0"),
        (5, 0, None),
    ],
)
def test_change(now: float, before: float, told: str | None) -> None:
    assert format.change(now, before) == told


def test_an_axis_names_its_unit_once() -> None:
    assert format.axis([0, 500, 1000, 1500], format.MASS) == ["0", "0.5", "1", "1.5\u202fkg"]
    assert format.axis([0, 20, 40], format.MASS) == ["0", "20", "40\u202fg"]
    assert format.axis([0.0, 0.0001], format.MASS) == ["0", "0.1\u202fmg"]

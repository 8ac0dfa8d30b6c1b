"""Equivalents by hand, from the published figures named in equivalents.yaml."""

from __future__ import annotations

import pytest
from ui.sample import totals

from ecomind_query.models import Range, Totals
from ecomind_query.ui.equivalents import comparisons, equivalents_for


def of(energy_wh: float, co2e_g: float, water_ml: float) -> Totals:
    mids = {"energy_wh": energy_wh, "co2e_g_location": co2e_g, "water_ml": water_ml}
    ranges = {name: Range(low=mid / 2, mid=mid, high=mid * 2) for name, mid in mids.items()}
    return totals(1, 1).model_copy(update=ranges)


def told(totals: Totals) -> dict[str, float]:
    return {equivalent.label: equivalent.amount for equivalent in equivalents_for(totals)}


def test_large_amounts() -> None:
    # EPA: 393 g a mile and 1.609344 km a mile, so 1 kg is 2.5445 miles or 4.095 km;
    # 1 kWh at 0.019 kWh a charge is 52.63 charges; 598 L at 59.8 L a shower is 10.
    assert told(of(1000, 1000, 598_000)) == pytest.approx(
        {"km by car": 4.095, "phone charges": 52.63, "showers": 10}, rel=1e-3
    )


def test_small_amounts_take_a_smaller_picture() -> None:
    # 24.42 g is 100 m; 1.9 Wh is a tenth of a charge; 29.9 L is half of 7.8 minutes.
    assert told(of(1.9, 24.42, 29_900)) == pytest.approx(
        {"metres by car": 100, "% of a phone charge": 10, "minutes of a shower": 3.9}, rel=1e-3
    )
    assert told(of(0, 0, 0)) == {
        "metres by car": 0,
        "% of a phone charge": 0,
        "seconds of a shower": 0,
    }


def test_the_steps_of_a_comparison_agree_with_each_other() -> None:
    car, phone, shower = comparisons()
    assert car.steps[0].per_unit == pytest.approx(393 / 1.609344, rel=1e-3)
    assert car.steps[0].per_unit == pytest.approx(1000 * car.steps[1].per_unit)
    assert phone.steps[0].per_unit == pytest.approx(100 * phone.steps[1].per_unit)
    assert shower.steps[0].per_unit == pytest.approx(7.8 * shower.steps[1].per_unit, rel=1e-4)
    assert shower.steps[1].per_unit == pytest.approx(60 * shower.steps[2].per_unit, rel=1e-4)


def test_every_comparison_names_its_source_and_year() -> None:
    for comparison in comparisons():
        assert comparison.source_url.startswith("https://")
        assert any(str(year) in comparison.source_title for year in range(2010, 2027))

"""What the same calls would have cost elsewhere: worked by hand from the example of the docs."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from query.rows import Seed

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.hourly import Grids, Intensity, Kind
from ecomind_processor.resolution import CallKey, resolve
from ecomind_processor.terms import OwnMethod, Terms
from ecomind_query.errors import BadParameter
from ecomind_query.models import WhatIf
from ecomind_query.parameters import WhatIfQuery
from ecomind_query.reader import Reader
from ecomind_receiver.tenants import Reach

START = datetime(2026, 11, 18, 9, tzinfo=UTC)
PERIOD = {"from": "2026-11-18", "to": "2026-11-19"}


class Hours:
    """A grid whose intensity in g/kWh is ten times the hour of the day."""

    kind: Kind = "average"
    zones = frozenset({"USA"})

    def factor(self, zone: str, hour: datetime) -> Intensity | None:
        return Intensity(hour.hour * 10.0, "a table", hour, self.kind, False)


def stated(model: str = "gpt-4o", place: str = "USA", *, measured: bool = False) -> Coefficients:
    key = CallKey("openai", model, "", place, "", date(2026, 11, 18), measured)
    return resolve(key, FactorSet.load())


def ask(reader: Reader, reach: Reach, grids: Grids | None = None, **given: Any) -> WhatIf:
    query = WhatIfQuery.model_validate(PERIOD | given)
    return reader.whatif(reach, query, grids or Grids())


@pytest.fixture
def one_call(seed: Seed) -> None:
    """The worked example: gpt-4o in the USA, 1,000 tokens in and 300 out, 0.8129 Wh."""
    seed.call(stated(), start_time=START, response_model="", place="USA", output_tokens=300)


@pytest.mark.usefixtures("one_call")
def test_on_another_model(reader: Reader, reach: Reach) -> None:
    # slopes 1.5396 and 0.058744 mWh per token: energy falls by 1 − 0.058744 ÷ 1.5396 = 96.18 %
    found = ask(reader, reach, to_model="gpt-4o-mini")
    energy = found.difference.energy_wh
    assert energy.original.mid == pytest.approx(0.8129, abs=5e-5)
    assert energy.restated.mid == pytest.approx(0.8129 * 0.058744 / 1.5396, rel=1e-4)
    assert energy.percent == pytest.approx(-96.18, abs=0.01)
    assert found.difference.calls == 1
    assert ["quality differs" in caveat for caveat in found.caveats] == [False, True]


@pytest.mark.usefixtures("one_call")
def test_in_another_place(reader: Reader, reach: Reach) -> None:
    # 384.4 → 35.26 g/kWh, and the operator stays: OpenAI's PUE and WUE
    found = ask(reader, reach, to_region="SWE")
    moved = found.difference
    assert moved.energy_wh.percent == 0
    assert moved.co2e_g_location.restated.mid == pytest.approx(0.8129293 * 0.03526, rel=1e-6)
    assert moved.co2e_g_location.percent == pytest.approx((35.26 / 384.4 - 1) * 100)
    assert moved.water_ml_onsite.percent == 0
    assert "differ by region" in found.caveats[0]


@pytest.mark.usefixtures("one_call")
def test_in_another_hour(reader: Reader, reach: Reach) -> None:
    # in the ninth hour 90 g/kWh, in the third 30: a third of the CO2e, the same energy
    found = ask(reader, reach, Grids([Hours()]), to_hour=3)
    original = found.difference.co2e_g_location.original
    assert original.mid == pytest.approx(0.8129293 * 0.090)
    assert original.high == pytest.approx(original.mid * 3 * 1.1)  # tier D; the grid by the hour
    assert found.difference.co2e_g_location.percent == pytest.approx(-200 / 3)
    assert found.difference.energy_wh.percent == 0


@pytest.mark.usefixtures("one_call")
def test_an_hour_needs_a_source(reader: Reader, reach: Reach) -> None:
    with pytest.raises(BadParameter, match=r"no intensity is known for the grid USA.*GRID_HOURLY"):
        ask(reader, reach, to_hour=3)


def test_marginal_intensity_is_never_taken_for_average(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    seed.call(stated(), start_time=START, response_model="", place="USA")
    marginal = Hours()
    marginal.kind = "marginal"
    with pytest.raises(BadParameter, match="no intensity is known"):
        ask(reader, reach, Grids([marginal]), to_hour=3)


def test_a_measurement_holds_for_its_own_model(reader: Reader, reach: Reach, seed: Seed) -> None:
    # 3,600 J are 1 Wh of IT energy, 1.2 Wh with the PUE; on another model tokens decide again
    call = {"start_time": START, "response_model": "", "place": "USA", "output_tokens": 300}
    seed.call(stated(measured=True), measured_energy_mj=3_600_000, **call)
    elsewhere = ask(reader, reach, to_region="FRA").difference.energy_wh
    assert elsewhere.original.mid == elsewhere.restated.mid == pytest.approx(1.2)
    other = ask(reader, reach, to_model="gpt-4o").difference.energy_wh
    assert other.restated.mid == pytest.approx(0.8129, abs=5e-5)


def test_only_what_is_asked_for(reader: Reader, reach: Reach, seed: Seed) -> None:
    call = {"response_model": "", "place": "USA"}
    seed.call(stated(), start_time=START, team="search", **call)
    seed.call(stated(), start_time=START, team="ads", **call)
    seed.call(stated(), start_time=START - timedelta(days=1), team="search", **call)
    Seed(seed.store, "org_other").call(stated(), start_time=START, **call)
    assert ask(reader, reach, to_model="o1").difference.calls == 2
    assert ask(reader, reach, to_model="o1", team="search").difference.calls == 1


@pytest.mark.usefixtures("one_call")
def test_something_must_change(reader: Reader, reach: Reach) -> None:
    with pytest.raises(BadParameter, match="to_model: is missing"):
        ask(reader, reach)


def test_nothing_used_is_no_error(reader: Reader, reach: Reach) -> None:
    found = ask(reader, reach, to_model="o1")
    assert (found.difference.calls, found.difference.energy_wh.percent) == (0, None)
    assert found.difference.by_model == []


def test_the_method_of_the_organisation_holds_on_both_sides(
    reader: Reader, reach: Reach, seed: Seed
) -> None:
    """`class` makes one of all models; EcoLogits' method needs single calls, so the set's own."""
    seed.call(stated(), start_time=START, response_model="", place="USA", output_tokens=300)
    query = WhatIfQuery.model_validate(PERIOD | {"to_model": "o1"})
    for name, said, moves in (
        ("class", "class", False),
        ("ecologits@0.11.3", "ecomind@v1 in place of ecologits@0.11.3", True),
    ):
        terms = Terms(method=(OwnMethod(name, START.date()),))
        found = reader.whatif(reach, query, Grids(), terms)
        assert found.method == said
        assert (found.difference.energy_wh.percent != 0) == moves


@pytest.mark.usefixtures("one_call")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("o1", "o1 is taken for o1 (exact name"),
        ("gpt-4o-mni", "gpt-4o-mni is taken for gpt-4o ("),
        ("nonsense", "nonsense is taken for class:text (default class), tier F."),
    ],
)
def test_what_a_name_is_taken_for_is_said(
    reader: Reader, reach: Reach, name: str, said: str
) -> None:
    assert ask(reader, reach, to_model=name).caveats[0].startswith(said)

"""What a single number of the method does to one call, everything else held.

Owns the table on the method page. A component is moved to the ends of its range, through the code
that counts real calls, and the result is read off. Ranges come from the factor set itself where it
holds several values of a kind (data centres, grids), else from the evidence in `published.yaml`.
None of this makes a low or a high: those are the bands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from ecomind_processor.factor_rows import Dated, Number, Zone
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, footprint
from ecomind_query.factors.published import Call, Evidence, published
from ecomind_query.factors.tables import cloud_countries

EXAMPLE = Call(model="gpt-4o", provider="openai", place="USA", input_tokens=1000, output_tokens=300)
"""The first worked example of the method page."""


class End(NamedTuple):
    """One end of a component's range, and the figure that it leads to."""

    text: str
    result: float


class Component(NamedTuple):
    """A number, its range, and what the ends make of the example's figure."""

    name: str
    unit: str
    figure: str
    low: End
    mid: float
    high: End
    why: str


def components(factors: FactorSet) -> Iterator[Component]:
    """Every component, those of energy first."""
    for group in (_energy, _carbon, _water):
        yield from group(factors)


def _energy(factors: FactorSet) -> Iterator[Component]:
    model = factors.models[EXAMPLE.model]
    row = factors.architectures[model.evidence]

    def with_active(billions: float) -> FactorSet:
        one = replace(row, active_b=(billions, billions))
        return replace(factors, architectures={**factors.architectures, model.evidence: one})

    yield _component(
        "active parameters", "billion", "energy_wh", row.active_b,
        lambda billions: _figure("energy_wh", EXAMPLE.coefficients(with_active(billions))),
        factors, "EcoLogits' guess, smallest and largest",
    )  # fmt: skip
    for constant, name, unit in (
        ("weight_bytes_per_parameter", "weights", "bytes per parameter"),
        ("input_per_output_token", "input token per output token", "ratio"),
        ("idle_share", "idle share", "ratio"),
    ):
        yield _of_constant(constant, name, unit, "energy_wh", factors)
    batch = _evidence("batch_tier")
    yield _component(
        "batch tier", "ratio", "energy_wh", batch.range,
        lambda share: share * _figure("energy_wh", EXAMPLE.coefficients(factors)),
        factors, batch.why,
    )  # fmt: skip
    yield _of_coefficient(
        "PUE", "ratio", "energy_wh", "pue",
        [_published(f.pue.on(factors.published), factors) for f in factors.facilities.values()],
        factors,
    )  # fmt: skip


def _carbon(factors: FactorSet) -> Iterator[Component]:
    countries = cloud_countries(factors)
    regions = [zone for zone in factors.zones.values() if zone.id.startswith("US-")]
    for name, zones in (
        ("grid, another country", countries),
        ("grid, a region of the USA", regions),
    ):
        values = [(_carbon_of(zone, factors), zone.name.partition(" (")[0]) for zone in zones]
        yield _of_coefficient(
            name, "g/kWh", "co2e_g_location", "co2e_g_per_kwh_location", values, factors
        )
    combustion = _evidence("combustion_g_per_kwh_usa")
    life_cycle = _carbon_of(factors.zones[EXAMPLE.place], factors)
    yield _of_coefficient(
        "boundary of the grid's figure", "g/kWh", "co2e_g_location", "co2e_g_per_kwh_location",
        [(combustion.range[0], "combustion"), (life_cycle, "life cycle")], factors, combustion.why,
    )  # fmt: skip
    yield _of_constant("embodied_g_per_kwh", "embodied", "g/kWh", "co2e_g_embodied", factors)


def _water(factors: FactorSet) -> Iterator[Component]:
    yield _of_coefficient(
        "WUE", "L/kWh", "water_ml_onsite", "water_l_per_kwh_onsite",
        [
            _published(f.wue_l_per_kwh.on(factors.published), factors)
            for f in factors.facilities.values()
        ],
        factors,
    )  # fmt: skip
    yield _of_coefficient(
        "water of the grid", "L/kWh", "water_ml_offsite", "water_l_per_kwh_offsite",
        [
            (zone.water_l_per_kwh.value, zone.name)
            for zone in cloud_countries(factors)
            if zone.water_l_per_kwh
        ],
        factors,
    )  # fmt: skip


def _of_constant(constant: str, name: str, unit: str, figure: str, factors: FactorSet) -> Component:
    evidence = _evidence(constant)

    def result(value: float) -> float:
        moved = {**factors.constants, constant: Number(value, "")}
        return _figure(figure, EXAMPLE.coefficients(replace(factors, constants=moved)))

    return _component(name, unit, figure, evidence.range, result, factors, evidence.why)


def _of_coefficient(
    name: str,
    unit: str,
    figure: str,
    field: str,
    values: list[tuple[float, str]],
    factors: FactorSet,
    why: str = "least and most in the set",
) -> Component:
    """The coefficient at the least and at the most of `values`, which have names."""
    c = EXAMPLE.coefficients(factors)
    low, high = (
        End(f"{value:g} ({label})", _figure(figure, _moved(c, field, value)))
        for value, label in (min(values), max(values))
    )
    return Component(name, unit, figure, low, _figure(figure, c), high, why)


def _moved(c: Coefficients, field: str, value: float) -> Coefficients:
    moved: dict[str, Any] = {field: value}
    return replace(c, **moved)


def _component(
    name: str,
    unit: str,
    figure: str,
    span: tuple[float, float],
    result: Callable[[float], float],
    factors: FactorSet,
    why: str,
) -> Component:
    low, high = (End(f"{value:g}", result(value)) for value in span)
    mid = _figure(figure, EXAMPLE.coefficients(factors))
    return Component(name, unit, figure, low, mid, high, why)


def _figure(name: str, c: Coefficients) -> float:
    mid: float = getattr(footprint(EXAMPLE.quantities, c), name).mid
    return mid


def _published(figure: Dated, factors: FactorSet) -> tuple[float, str]:
    """A figure and who says so."""
    return figure.value, factors.measures[figure.by].source.title.partition(",")[0]


def _carbon_of(zone: Zone, factors: FactorSet) -> float:
    return zone.co2e_g_per_kwh.on(factors.published).value


def _evidence(name: str) -> Evidence:
    return published().evidence[name]

"""The tables of a factor set as people read them, for the method page.

Owns which rows stand in which table and in what order; the template says how they look. Everything
is read from the set, so a new set changes the page and nothing here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from ecomind_processor import energy, models, placement
from ecomind_processor.factor_rows import Dated, Facility, Measure, Mix, Model, Number, Zone
from ecomind_processor.factors import FactorSet, read_document
from ecomind_semconv.units import wh_to_mwh

FORMULA = "ecologits-formula"
SECONDARY = "secondary sources"


class Constant(NamedTuple):
    """A constant of the method, with its unit and its measure."""

    name: str
    number: Number
    unit: str
    measure: Measure


class Grid(NamedTuple):
    """A zone's newest figures; `water_zone` is the one whose water figure it uses."""

    zone: Zone
    carbon: Dated
    first_year: int
    mix: Mix | None
    water: Number
    water_zone: Zone
    stress: str


class Operator(NamedTuple):
    """A facility, with the figures of the set's day and the measure of each."""

    facility: Facility
    zone: Zone
    pue: Dated
    wue: Dated


class Costed(NamedTuple):
    """A catalogue model, its tier when named exactly, and its energy per output token.

    `judged`: its size is guessed, or which model or class it is like.
    """

    model: Model
    tier: str
    mwh_per_output_token: float
    judged: bool


class Origin(NamedTuple):
    """A measure and how many numbers of the set it has."""

    key: str
    measure: Measure
    numbers: int


def secondary(measure: Measure) -> bool:
    """Whether the numbers of a measure were read in what others made of the source."""
    return SECONDARY in measure.note


def constants(factors: FactorSet, hardware: bool) -> Iterator[Constant]:
    """Constants of the method, or those of the hardware that it assumes."""
    units = read_document(factors.id)["constant_units"]
    for name, number in factors.constants.items():
        if hardware == (number.by == FORMULA or name == "embodied_g_per_kwh"):
            yield Constant(name, number, units[name], factors.measures[number.by])


def operators(factors: FactorSet) -> Iterator[Operator]:
    """Facilities, in the order of the set."""
    day = factors.published
    for f in factors.facilities.values():
        yield Operator(f, factors.zones[f.zone], f.pue.on(day), f.wue_l_per_kwh.on(day))


def grid(zone: Zone, factors: FactorSet) -> Grid:
    """A zone's figures on the day of the set."""
    water_zone, water = placement.water(zone, factors)
    return Grid(
        zone=zone,
        carbon=zone.co2e_g_per_kwh.on(factors.published),
        first_year=zone.co2e_g_per_kwh[0].year,
        mix=zone.mix[-1] if zone.mix else None,
        water=water,
        water_zone=water_zone,
        stress=zone.water_stress[0] if zone.water_stress else "",
    )


def wide_areas(factors: FactorSet) -> list[Grid]:
    """The world and its continents."""
    return [grid(zone, factors) for zone in factors.zones.values() if zone.tier in "DE"]


def cloud_countries(factors: FactorSet) -> list[Zone]:
    """Countries that a cloud region of the set, or a provider's default, stands in, by name."""
    placed = {zone for zone, _ in factors.regions.values()}
    placed |= {facility.zone for facility in factors.facilities.values()}
    countries = {_country(factors.zones[zone], factors) for zone in placed}
    return sorted((factors.zones[key] for key in countries if key), key=lambda zone: zone.name)


def _country(zone: Zone, factors: FactorSet) -> str:
    while zone.tier < "C":
        zone = factors.zones[zone.parent]
    return zone.id if zone.tier == "C" else ""


def all_grids(factors: FactorSet) -> list[Grid]:
    """Every zone, from the world down to grid regions, by name within its tier."""
    zones = sorted(factors.zones.values(), key=lambda zone: (-ord(zone.tier), zone.id))
    return [grid(zone, factors) for zone in zones]


def catalogue(factors: FactorSet) -> Iterator[Costed]:
    """Catalogue models by vendor, newest first."""
    ordered = sorted(factors.models.values(), key=lambda m: str(m.released or ""), reverse=True)
    for model in sorted(ordered, key=lambda m: m.vendor):
        tier = models.EVIDENCE_TIERS[model.kind]
        mwh = wh_to_mwh(energy.of_model(model, factors))
        yield Costed(model, tier, mwh, _is_judged(model, factors))


def _is_judged(model: Model, factors: FactorSet) -> bool:
    if model.kind == "architecture":
        return factors.measures[factors.architectures[model.evidence].by].judgement
    return model.kind != "benchmark"


def origins(factors: FactorSet) -> list[Origin]:
    """Every measure of the set with the number of its figures, in the order of the set."""
    counts = Counter(_measures(factors))
    return [Origin(key, measure, counts[key]) for key, measure in factors.measures.items()]


def _measures(factors: FactorSet) -> Iterator[str]:
    """The measure of each figure. A span counts as one, and so does a mix of shares."""
    for scale in read_document(factors.id)["bands"].values():
        yield from (scale["by"] for tier in scale if tier in models.TIERS)
    for group in (factors.constants, factors.benchmarks, factors.architectures):
        yield from (row.by for row in group.values())
    for zone in factors.zones.values():
        yield from (row.by for row in (*zone.co2e_g_per_kwh, *zone.mix))
        if zone.water_l_per_kwh:
            yield zone.water_l_per_kwh.by
        if zone.water_stress:
            yield zone.water_stress[1]
    for facility in factors.facilities.values():
        yield from (row.by for row in (*facility.pue, *facility.wue_l_per_kwh))
    for mix in factors.mixes.values():
        yield mix.by
    for provider in {h.provider: h for h in factors.hostings.values()}.values():
        yield provider.by

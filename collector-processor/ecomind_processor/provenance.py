"""Which published numbers stand behind a row of coefficients.

Owns the way back: a stored row names a model, a zone and a facility, and the factor set says where
each of their numbers was read. The page and the reports print this beside every figure.
"""

from __future__ import annotations

from typing import NamedTuple

from ecomind_processor.factors import FactorSet, Measure
from ecomind_processor.footprint import Coefficients
from ecomind_processor.placement import water
from ecomind_processor.resolution import MEASURED


class Citation(NamedTuple):
    """One quantity of the row and the measure its number belongs to."""

    quantity: str
    measure: Measure


def provenance(c: Coefficients, factors: FactorSet) -> tuple[Citation, ...]:
    """Citations for energy, PUE, carbon, embodied carbon and both waters, in that order.

    `factors` must be the set that the row names. A call that brought its own measurement has no
    citation for energy.
    """
    zone, facility = factors.zones[c.zone], factors.facilities[c.provider]
    _, water_l_per_kwh = water(zone, factors)
    energy = () if c.method == MEASURED else _energy_keys(c.model, factors)
    keys = [
        *(("energy", key) for key in energy),
        ("pue", facility.pue.by),
        ("co2e_location", zone.co2e_g_per_kwh.by),
        ("co2e_embodied", factors.constants["embodied_g_per_kwh"].by),
        ("water_onsite", facility.wue_l_per_kwh.by),
        ("water_offsite", water_l_per_kwh.by),
    ]
    return tuple(Citation(quantity, factors.measures[key]) for quantity, key in keys)


def _energy_keys(model: str, factors: FactorSet) -> tuple[str, ...]:
    formula = factors.constants["gpu_energy_gamma_wh_per_token"].by
    if model.startswith("size:"):
        return (formula,)
    if model.startswith("class:"):
        return _class_keys(model.removeprefix("class:"), factors)
    known = factors.models[model]
    if known.kind == "like":
        return _energy_keys(known.evidence, factors)
    if known.kind == "class":
        return _class_keys(known.evidence, factors)
    if known.kind == "benchmark":
        host = factors.constants["host_per_accelerator"].by
        return (factors.benchmarks[known.evidence].by, host)
    return (factors.architectures[known.evidence].by, formula)


def _class_keys(key: str, factors: FactorSet) -> tuple[str, ...]:
    group = factors.classes[key]
    if group.architecture:
        formula = factors.constants["gpu_energy_gamma_wh_per_token"].by
        return (factors.architectures[group.architecture].by, formula)
    return tuple(dict.fromkeys(k for m in group.models for k in _energy_keys(m, factors)))

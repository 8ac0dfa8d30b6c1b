"""Who published the numbers behind a call's coefficients, as a line for people.

Coefficients name their factor set, model, zone and operator; the set says which measure each number
came from and who published it. A set that this installation no longer holds leaves its name.
"""

from __future__ import annotations

from ecomind_processor.factors import FactorSet, FactorSetError
from ecomind_processor.footprint import Coefficients


def of_model(c: Coefficients) -> str:
    """Evidence for the energy per token."""
    how = f"{c.method}: {c.model} ({c.model_match}), tier {c.model_tier}"
    factors = _set(c)
    model = factors.models.get(c.model) if factors else None
    if factors is None or model is None:
        return f"{how}; {c.factor_set}"
    if model.evidence in factors.benchmarks:
        return f"{how}; {_published(factors, factors.benchmarks[model.evidence].by)}"
    if model.evidence in factors.architectures:
        return f"{how}; {_published(factors, factors.architectures[model.evidence].by)}"
    return f"{how}; {c.factor_set}"


def of_carbon(c: Coefficients) -> str:
    """Evidence for the grid's carbon intensity."""
    factors = _set(c)
    zone = factors.zones.get(c.zone) if factors else None
    by = zone.co2e_g_per_kwh.by if zone else ""
    return f"grid {c.zone} ({c.zone_match}), tier {c.grid_tier}; {_named(c, factors, by)}"


def of_grid_water(c: Coefficients) -> str:
    """Evidence for the water that the grid's power plants consume."""
    factors = _set(c)
    zone = factors.zones.get(c.zone) if factors else None
    while factors and zone and zone.water_l_per_kwh is None and zone.parent:
        zone = factors.zones.get(zone.parent)
    by = zone.water_l_per_kwh.by if zone and zone.water_l_per_kwh else ""
    return f"grid {c.zone} ({c.zone_match}); {_named(c, factors, by)}"


def of_pue(c: Coefficients) -> str:
    """Evidence for the data centre's overhead."""
    factors = _set(c)
    facility = factors.facilities.get(c.provider) if factors else None
    return f"operator {c.provider}; {_named(c, factors, facility.pue.by if facility else '')}"


def of_site_water(c: Coefficients) -> str:
    """Evidence for the data centre's own water."""
    factors = _set(c)
    facility = factors.facilities.get(c.provider) if factors else None
    if facility is None:
        return f"operator {c.provider}; {c.factor_set}"
    named = _named(c, factors, facility.wue_l_per_kwh.by)
    return f"operator {c.provider} ({facility.water_basis}); {named}"


def of_embodied(c: Coefficients) -> str:
    """Evidence for the making of the hardware."""
    factors = _set(c)
    constant = factors.constants.get("embodied_g_per_kwh") if factors else None
    return _named(c, factors, constant.by if constant else "")


def _set(c: Coefficients) -> FactorSet | None:
    try:
        return FactorSet.load(c.factor_set)
    except FactorSetError:
        return None


def _named(c: Coefficients, factors: FactorSet | None, by: str) -> str:
    return _published(factors, by) if factors and by in factors.measures else c.factor_set


def _published(factors: FactorSet, by: str) -> str:
    measure = factors.measures[by]
    judged = " (our judgement)" if measure.judgement else ""
    return f"{measure.source.title}, {measure.source.year}{judged}; {factors.id}"

"""EcoLogits' own method, for comparison: `ecologits@0.11.3`.

Owns the translation of that library's model of a request into our coefficients: the smallest and
the largest architecture become a span, its latency clamp the seconds of generation, and its
assumptions about data centres and electricity stand in place of ours. It counts output tokens only.
Where the library knows nothing it answers nothing; here the nearest model that we know is put
through its formulas, and the tier's band says so.

Source: EcoLogits 0.11.3 (`impacts/llm.py`, `tracers/utils.py`); docs/methodology.md has the
formulas.
"""

from __future__ import annotations

from typing import NamedTuple

from ecomind_processor import energy, models
from ecomind_processor.factor_rows import Architecture, Model
from ecomind_processor.factors import FactorSet, fold
from ecomind_processor.placement import WORLD, Placement
from ecomind_semconv.units import kg_to_grams

METHOD = "ecologits@0.11.3"
EXACT = "exact name in EcoLogits"


class Span(NamedTuple):
    """The smallest and the largest architecture that a name may mean, and how it was found."""

    model: str
    how: str
    tier: str
    smallest: Architecture
    largest: Architecture


def span_of(names: tuple[str, ...], match: models.Match, factors: FactorSet) -> Span:
    """The span of a call whose response and request name these models and matched `match`."""
    for name in filter(None, names):
        listed = factors.architectures.get(name)
        if listed and listed.provider:
            return Span(name, EXACT, "D", listed, listed)
    smallest, largest = architectures(match.model, factors)
    return Span(match.model, match.how, match.tier, smallest, largest)


def architectures(model: str, factors: FactorSet) -> tuple[Architecture, Architecture]:
    """The smallest and the largest architecture of a model, a size or a class."""
    if model.startswith("class:"):
        group = factors.classes[model.removeprefix("class:")]
        if group.architecture:
            return (factors.architectures[group.architecture],) * 2
        spans = [architectures(name, factors) for name in group.models]
        return (
            min((low for low, _ in spans), key=lambda a: a.total_b[0]),
            max((high for _, high in spans), key=lambda a: a.total_b[1]),
        )
    size = models.size_in(model.removeprefix("size:"))
    if model.startswith("size:") and size:
        return (_of_size(*size),) * 2
    if model in factors.models:
        return _of_catalogue(factors.models[model], factors)
    return (factors.architectures[model],) * 2


def _of_catalogue(model: Model, factors: FactorSet) -> tuple[Architecture, Architecture]:
    if model.kind == "architecture":
        return (factors.architectures[model.evidence],) * 2
    if model.kind == "like":
        return architectures(model.evidence, factors)
    if model.kind == "class":
        return architectures(f"class:{model.evidence}", factors)
    for name in (model.id, *model.names, *model.aliases):
        key = factors.registered.get(fold(name.rpartition("/")[2]))
        if key:
            return (factors.architectures[key],) * 2
    size = models.size_in(model.id)
    return (_of_size(*size),) * 2 if size else architectures("class:text", factors)


def _of_size(total_b: float, active_b: float) -> Architecture:
    return Architecture((total_b, total_b), (active_b, active_b), None, "")


def numbers(span: Span, placed: Placement, factors: FactorSet) -> dict[str, float | None]:
    """Every coefficient that the method decides, by name; the rest of the energy is zero."""
    low = _side(span.smallest, 0, factors)
    high = _side(span.largest, 1, factors)
    found: dict[str, float | None] = dict(low)
    found |= {f"{name}_high": high[name] for name in low if f"{name}_high" in _SPANNED}
    return found | _hosting(placed, factors)


_SPANNED = {
    "wh_per_output_token_high",
    "wh_per_second_high",
    "seconds_per_output_token_high",
    "co2e_g_per_second_embodied_high",
}


def _side(a: Architecture, side: int, factors: FactorSet) -> dict[str, float]:
    """The coefficients of the smallest (0) or the largest (1) parameter counts."""
    c = factors.constant
    gpus = energy.gpu_count(a.total_b[side], factors)
    hardware_kg = gpus / c("server_gpus") * c("server_embodied_kg") + gpus * c("gpu_embodied_kg")
    return {
        "wh_per_output_token": gpus * energy.gpu_wh_per_token(a.active_b[side], factors),
        "wh_per_second": energy.server_wh_per_second(gpus, factors),
        "seconds_to_first_token": a.seconds_to_first_token or 0.0,
        "seconds_per_output_token": energy.seconds_per_token(
            a.active_b[side], a.tokens_per_second, factors
        ),
        "co2e_g_per_second_embodied": kg_to_grams(hardware_kg)
        / (c("hardware_lifetime_s") * c("batch_size")),
    }


def _hosting(placed: Placement, factors: FactorSet) -> dict[str, float | None]:
    """The library's electricity of the country, and its data centre where it knows the provider."""
    found: dict[str, float | None] = {}
    zone = mixed_zone(placed, factors)
    mix = factors.mixes[zone]
    found["co2e_g_per_kwh_location"] = mix.co2e_g_per_kwh
    found["co2e_g_per_kwh_embodied"] = 0.0
    found["water_l_per_kwh_offsite"] = mix.water_l_per_kwh
    hosting = factors.hostings.get(placed.facility.id)
    if hosting:
        found |= {"pue": hosting.pue[0], "water_l_per_kwh_onsite": hosting.wue_l_per_kwh[0]}
        found["pue_high"] = hosting.pue[1]
        found["water_l_per_kwh_onsite_high"] = hosting.wue_l_per_kwh[1]
    return found


def mixed_zone(placed: Placement, factors: FactorSet) -> str:
    """The zone or its nearest ancestor whose electricity the library knows; else the world."""
    zone = placed.zone
    while zone.id not in factors.mixes and zone.parent:
        zone = factors.zones[zone.parent]
    return zone.id if zone.id in factors.mixes else WORLD

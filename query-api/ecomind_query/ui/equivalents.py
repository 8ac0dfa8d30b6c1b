"""Figures a person can picture: km by car, phone charges, showers.

What compares with what, and where the figure is published, is data (`equivalents.yaml`); this
module only divides. Equivalents are pictures of the mid value, so they carry no range of their
own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources

import yaml

from ecomind_query.models import Equivalent, Totals


@dataclass(frozen=True)
class Step:
    """One way to count a thing: `per_unit` of the basis (Wh, g or mL) goes into one `label`."""

    label: str
    per_unit: float


@dataclass(frozen=True)
class Comparison:
    """A thing people know, its steps from large to small, and its published source."""

    basis: str
    steps: tuple[Step, ...]
    source_title: str
    source_url: str


MEASURES: dict[str, Callable[[Totals], float]] = {
    "CO2e": lambda totals: totals.co2e_g_location.mid,
    "energy": lambda totals: totals.energy_wh.mid,
    "water": lambda totals: totals.water_ml.mid,
}


def equivalents_for(totals: Totals) -> list[Equivalent]:
    """What the totals compare with, one line per comparison, from their mid values."""
    return [_equivalent(comparison, totals) for comparison in comparisons()]


@cache
def comparisons() -> tuple[Comparison, ...]:
    """The comparisons of `equivalents.yaml`; an unknown key or basis is an error."""
    text = resources.files(__package__).joinpath("equivalents.yaml").read_text("utf-8")
    return tuple(_comparison(row) for row in yaml.safe_load(text))


def _comparison(row: dict[str, object]) -> Comparison:
    fields = {**row, "steps": tuple(Step(**step) for step in row["steps"])}  # type: ignore[attr-defined]
    comparison = Comparison(**fields)  # type: ignore[arg-type]
    if comparison.basis not in MEASURES:
        raise ValueError(
            f"equivalents.yaml: basis {comparison.basis!r} must be one of {', '.join(MEASURES)}."
        )
    return comparison


def _equivalent(comparison: Comparison, totals: Totals) -> Equivalent:
    quantity = MEASURES[comparison.basis](totals)
    fitting = (step for step in comparison.steps if quantity >= step.per_unit)
    step = next(fitting, comparison.steps[-1])
    return Equivalent(
        label=step.label,
        amount=quantity / step.per_unit,
        basis=comparison.basis,
        source_title=comparison.source_title,
        source_url=comparison.source_url,
    )

"""Figures that others published, and what this method gives for the same call.

Owns the comparison: `published.yaml` holds the figures, each with its boundary, and this module
works ours out with the code that counts real calls. The method page prints the result and the tests
assert it, so the two can't differ. A comparison needs the factor set that it is made with.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

import yaml
from pydantic import model_validator

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, Quantities, Range, footprint
from ecomind_processor.resolution import CallKey, resolve
from ecomind_query.factors.sources import NotNegative, Positive, Row, Text
from ecomind_semconv.units import MICROUSD_PER_USD, joules_to_wh

UNITS = {"energy_wh": "Wh", "co2e_g_location": "g", "water_ml_onsite": "mL", "water_ml": "mL"}
"""Unit of each figure that may be compared; `water_ml` is on site and at power plants together."""


class Call(Row):
    """A call as a source describes it."""

    model: Text
    provider: Text
    place: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    spend_usd: float = 0.0

    def coefficients(self, factors: FactorSet, method: str = "") -> Coefficients:
        """The coefficients of the call on the day of the set."""
        key = CallKey(
            self.provider, "", self.model, self.place, "", factors.published, measured=False,
            spend=self.spend_usd > 0,
        )  # fmt: skip
        return resolve(key, factors, method)

    @property
    def quantities(self) -> Quantities:
        """What the call consumed."""
        return Quantities(
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            spend_microusd=round(self.spend_usd * MICROUSD_PER_USD),
        )


class Figure(Row):
    """A published figure; published.yaml says what each field means."""

    id: Text
    source: Text
    what: Text
    boundary: Text
    figure: Literal["energy_wh", "co2e_g_location", "water_ml_onsite", "water_ml"]
    asserted: bool
    call: Call
    value: Positive | None = None
    benchmark: str = ""
    rounding: NotNegative = 0.0
    quartiles: tuple[Positive, Positive] | None = None
    without: tuple[Text, ...] = ()
    note: str = ""

    @model_validator(mode="after")
    def _one_value(self) -> Figure:
        if bool(self.benchmark) == (self.value is not None):
            raise ValueError(f"{self.id}: give a value or a benchmark")
        return self


class Evidence(Row):
    """What a number could as well be."""

    range: tuple[Positive, Positive]
    why: Text


class Published(Row):
    """`published.yaml`."""

    figures: tuple[Figure, ...]
    evidence: dict[Text, Evidence]


class Comparison(NamedTuple):
    """A published figure beside ours, in one unit."""

    figure: Figure
    unit: str
    theirs: float
    ours: Range

    @property
    def ratio(self) -> float:
        """Our mid over theirs."""
        return self.ours.mid / self.theirs

    @property
    def verdict(self) -> str:
        """Whether theirs lies in our band: yes, as rounded, no."""
        if self.ours.low <= self.theirs <= self.ours.high:
            return "yes"
        lowest, highest = (self.theirs + sign * self.figure.rounding for sign in (-1, 1))
        return "as rounded" if lowest <= self.ours.high and self.ours.low <= highest else "no"


@cache
def published() -> Published:
    """The content of `published.yaml`."""
    text = (files("ecomind_query.factors") / "published.yaml").read_text(encoding="utf-8")
    return Published.model_validate(yaml.safe_load(text))


def comparisons(factors: FactorSet) -> Iterator[Comparison]:
    """Every published figure beside ours, in the order of the file."""
    return (compared(figure, factors) for figure in published().figures)


def compared(figure: Figure, factors: FactorSet) -> Comparison:
    """One figure beside ours, at the boundary of its source."""
    ones = {name: factors.constants[name]._replace(value=1.0) for name in figure.without}
    at_boundary = replace(factors, constants={**factors.constants, **ones})
    c = figure.call.coefficients(at_boundary)
    theirs = figure.value
    if theirs is None:
        joules = factors.benchmarks[figure.benchmark].value * figure.call.output_tokens
        theirs = joules_to_wh(joules) * c.pue
    return Comparison(figure, UNITS[figure.figure], theirs, _ours(figure, c))


def _ours(figure: Figure, c: Coefficients) -> Range:
    found = footprint(figure.call.quantities, c)
    if figure.figure == "water_ml":
        return Range(*map(sum, zip(found.water_ml_onsite, found.water_ml_offsite, strict=True)))
    ours: Range = getattr(found, figure.figure)
    return ours

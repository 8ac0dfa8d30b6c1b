"""How much a kWh of each type of generation emits: generation.yaml, read and checked."""

from __future__ import annotations

from functools import cache, cached_property
from importlib.resources import files
from typing import Self

import yaml
from pydantic import Field, model_validator

from ecomind_query.factors.sources import Measured, Number, Text


class Generation(Measured):
    """Factors by type of generation in g/kWh, and the types that have none, each with why."""

    types: dict[Text, Number]
    storage: tuple[Text, ...]
    left_out: dict[Text, Text] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _whole(self) -> Self:
        """Every number has a measure, and a type stands in one place."""
        unknown = {by for _, by in self.types.values()} - self.measures.keys()
        if unknown:
            raise ValueError(f"add the measures {sorted(unknown)}")
        names = [folded(name) for name in (*self.types, *self.storage, *self.left_out)]
        if len(set(names)) != len(names):
            raise ValueError("a type stands in two places; leave it in one")
        return self

    @cached_property
    def g_per_kwh(self) -> dict[str, float]:
        """Grams per kWh by folded type; what is left out, or unknown, is not in it."""
        return {folded(name): value for name, (value, _) in self.types.items()}

    @cached_property
    def stores(self) -> frozenset[str]:
        """Folded types that give back what was counted before."""
        return frozenset(map(folded, self.storage))


def folded(type_: str) -> str:
    """The form in which types are compared: lower case, single spaces."""
    return " ".join(type_.lower().split())


@cache
def generation() -> Generation:
    """The table that ships with Ecomind."""
    text = files("ecomind_query").joinpath("grids", "generation.yaml").read_text("utf-8")
    return Generation.model_validate(yaml.safe_load(text))

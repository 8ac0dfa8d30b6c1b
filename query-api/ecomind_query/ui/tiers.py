"""What the letters of the quality tiers mean to a reader; docs/methodology.md has the rules."""

from __future__ import annotations

from typing import NamedTuple

from ecomind_processor.factors import FactorSet


class Tier(NamedTuple):
    """A tier of evidence for a call's energy, and the judgement band that goes with it."""

    letter: str
    name: str
    meaning: str
    band: str


_MEANINGS = (
    ("A", "Measured", "The app sent its own energy reading with the call"),
    ("B", "Disclosed", "The provider, or you, stated a figure for this model"),
    ("C", "Benchmarked", "An open model, measured on known hardware"),
    ("D", "Modelled", "Known by name; its size is published or estimated"),
    ("E", "By family", "Only the family, or a size in the name, is known"),
    ("F", "By default", "An unknown model; the default class stands in"),
)


def tiers() -> tuple[Tier, ...]:
    """Every tier, the best evidence first, with its band in the factor set in use."""
    bands = FactorSet.load().energy_bands
    return tuple(Tier(*meaning, _band(meaning[0], bands[meaning[0]])) for meaning in _MEANINGS)


def _band(letter: str, times: float) -> str:
    """A narrow band in percent, a wide one as its factor."""
    return f"±{(times - 1) * 100:.0f}\u202f%" if letter == "A" else f"×/÷\u202f{times:g}"

"""What the letters of the quality tiers mean to a reader; docs/methodology.md has the rules."""

from __future__ import annotations

from typing import NamedTuple


class Tier(NamedTuple):
    """A tier of evidence for a call's energy, and the judgement band that goes with it."""

    letter: str
    name: str
    meaning: str
    band: str


TIERS = (
    Tier("A", "Measured", "The app sent its own energy reading with the call", "±15\u202f%"),
    Tier("B", "Disclosed", "The provider, or you, stated a figure for this model", "×/÷\u202f1.4"),
    Tier("C", "Benchmarked", "An open model, measured on known hardware", "×/÷\u202f2"),
    Tier("D", "Modelled", "Known by name; its size is published or estimated", "×/÷\u202f3"),
    Tier("E", "By family", "Only the family, or a size in the name, is known", "×/÷\u202f5"),
    Tier("F", "By default", "An unknown model; the default class stands in", "×/÷\u202f10"),
)

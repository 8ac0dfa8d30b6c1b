"""The tiers on the page have the bands that are counted with."""

from __future__ import annotations

from ecomind_processor.factors import FactorSet
from ecomind_query.ui.tiers import tiers


def test_the_bands_are_those_of_the_set_in_use() -> None:
    bands = FactorSet.load().energy_bands
    assert [tier.letter for tier in tiers()] == list("ABCDEF")
    shown = [tier.band.replace("\u202f", " ") for tier in tiers()]
    assert shown[0] == "±15 %" and bands["A"] == 1.15
    assert shown[1:] == [f"×/÷ {bands[letter]:g}" for letter in "BCDEF"]

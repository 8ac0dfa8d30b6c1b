"""Images, audio and video: the class values of the set, worked by hand."""

from __future__ import annotations

from datetime import date

import pytest

from ecomind_processor.dialect import read
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Quantities, footprint
from ecomind_processor.resolution import METHODS, CallKey, resolve


def key(model: str = "dall-e-3", *, units: bool = True, measured: bool = False) -> CallKey:
    return CallKey(
        "openai", "", model, "USA", "", date(2026, 11, 28), measured, units=units
    )  # fmt: skip


@pytest.mark.parametrize(
    ("call", "it_wh"),
    [
        (Quantities(images=2), 2 * 2.907 * 1.10),
        (Quantities(audio_ms=3_600_000), 3600 * 0.00194 * 1.10),
        (Quantities(video_ms=5_000), 5 * 13.9 * 1.10),
        (Quantities(images=1, audio_ms=500), (2.907 + 0.5 * 0.00194) * 1.10),
    ],
)
def test_the_energy_of_units(call: Quantities, it_wh: float) -> None:
    c = resolve(key(), FactorSet.load())
    assert (c.model_tier, c.band_energy) == ("F", 10.0)
    assert footprint(call, c).energy_wh.mid == pytest.approx(it_wh * 1.20)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["gpt-4o", "gpt-image-1", "nobody-knows"])
def test_no_method_makes_nothing_of_them(method: str, model: str) -> None:
    c = resolve(key(model), FactorSet.load(), method)
    assert c.model_tier == "F"
    assert footprint(Quantities(images=1), c).energy_wh.low > 0


def test_a_measurement_goes_before_the_class() -> None:
    c = resolve(key(measured=True), FactorSet.load())
    call = Quantities(images=3, measured_energy_mj=3_600_000)
    assert footprint(call, c).energy_wh.mid == pytest.approx(1.2)
    assert c.model_tier == "A"


def test_without_units_nothing_changes() -> None:
    assert resolve(key("gpt-4o", units=False), FactorSet.load()).wh_per_image == 0.0


@pytest.mark.parametrize(
    ("attributes", "counts"),
    [
        ({"ecomind.usage.images": 2}, (2, 0, 0)),
        ({"ecomind.usage.audio": 12.5}, (0, 12_500, 0)),
        ({"ecomind.usage.video": "5"}, (0, 0, 5_000)),
        ({"ecomind.usage.images": -1, "ecomind.usage.audio": float("nan")}, (0, 0, 0)),
        ({"ecomind.usage.images": 10_001, "ecomind.usage.video": 86_401.0}, (0, 0, 0)),
    ],
)
def test_units_as_they_are_written(
    attributes: dict[str, object], counts: tuple[int, int, int]
) -> None:
    told = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "dall-e-3"} | attributes
    found = read("", told)
    assert (found.counts.images, found.counts.audio_ms, found.counts.video_ms) == counts
    if any(counts):  # no text is made up around them
        assert (found.counts.input_tokens, found.usage_quality) == (0, "reported")

"""The method `ecologits@0.11.3` against the library itself, over every model that it knows.

The library is a tool of the tests alone; at run time its tables are data of the factor set.
"""

import math
from datetime import date

import pytest
from ecologits.impacts.modeling import Impacts
from ecologits.model_repository import Model, models
from ecologits.tracers.utils import PROVIDER_CONFIG_MAP, llm_impacts
from ecologits.utils.range_value import RangeValue

from ecomind_processor.compatible import METHOD
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Footprint, Quantities, Range, footprint
from ecomind_processor.resolution import CallKey, resolve

FACILITIES = {
    "anthropic": "anthropic",
    "cohere": "cohere",
    "google_genai": "gcp.gemini",
    "huggingface_hub": "huggingface",
    "mistralai": "mistral_ai",
    "openai": "openai",
}
ZONES = ("USA", "FRA", "WOR")
LENGTHS = (1, 400, 12_345)
LATENCIES_S = (0.05, 3.0, math.inf)
MODELS = models.list_models()


def ours(model: Model, zone: str, tokens: int, latency_s: float, factors: FactorSet) -> Footprint:
    provider = FACILITIES[model.provider.value]
    key = CallKey(provider, model.name, model.name, zone, "", date(2026, 11, 28), False)
    duration_us = 0 if math.isinf(latency_s) else round(latency_s * 1e6)
    call = Quantities(input_tokens=9_999, output_tokens=tokens, duration_us=duration_us)
    return footprint(call, resolve(key, factors, METHOD))


def theirs(model: Model, zone: str, tokens: int, latency_s: float) -> dict[str, Range]:
    found = llm_impacts(model.provider.value, model.name, tokens, latency_s, zone)
    assert found.usage is not None and found.embodied is not None and found.wcf is not None
    assert isinstance(found.usage, Impacts) or found.usage.energy is not None
    kilo = {
        "energy_wh": found.usage.energy.value,
        "co2e_g_location": found.usage.gwp.value,
        "co2e_g_embodied": found.embodied.gwp.value,
        "water_ml": found.wcf.value,
    }
    return {name: _range(value) for name, value in kilo.items()}


def _range(value: RangeValue | float) -> Range:
    """The library's kWh, kg and litres as ours: thousandths, with the mean as the mid value."""
    low, high = (value.min, value.max) if isinstance(value, RangeValue) else (value, value)
    return Range(low * 1000, (low + high) / 2 * 1000, high * 1000)


@pytest.mark.parametrize("zone", ZONES)
def test_every_model_equals_the_library(
    zone: str, factors: FactorSet, record_property: object
) -> None:
    compared = 0
    for model in MODELS:
        for tokens in LENGTHS:
            for latency_s in LATENCIES_S:
                f = ours(model, zone, tokens, latency_s, factors)
                water = Range(*map(sum, zip(f.water_ml_onsite, f.water_ml_offsite, strict=True)))
                mine = {
                    "energy_wh": f.energy_wh,
                    "co2e_g_location": f.co2e_g_location,
                    "co2e_g_embodied": f.co2e_g_embodied,
                    "water_ml": water,
                }
                for name, figure in theirs(model, zone, tokens, latency_s).items():
                    assert mine[name] == pytest.approx(figure, rel=1e-12), (model.name, name)
                    compared += 1
    print(f"{len(MODELS)} models of EcoLogits in {zone}: {compared} figures equal to 1e-12")
    assert len(MODELS) == 351 and compared == 351 * 9 * 4


def test_the_default_place_is_the_librarys(factors: FactorSet) -> None:
    for model in MODELS:
        zone = PROVIDER_CONFIG_MAP[model.provider.value].datacenter_location
        stated, silent = (ours(model, place, 400, 5.0, factors) for place in (zone, ""))
        assert stated == silent, model.name


def test_the_printed_figures_at_400_tokens(factors: FactorSet) -> None:
    # EcoLogits 0.11.3, USA, no clamp: 0.5789 to 0.9637 Wh; 0.2225 to 0.3704 g in use; 0.0157 g
    # embodied; 2.09 to 3.48 mL
    key = CallKey("openai", "", "gpt-4o", "USA", "", date(2026, 11, 28), False)
    f = footprint(Quantities(output_tokens=400), resolve(key, factors, METHOD))
    assert f.energy_wh == pytest.approx((0.5789, 0.7713, 0.9637), abs=5e-5)
    assert f.co2e_g_location[::2] == pytest.approx((0.2225, 0.3704), abs=5e-5)
    assert f.co2e_g_embodied[::2] == pytest.approx((0.0157, 0.0157), abs=5e-5)
    low, _, high = map(sum, zip(f.water_ml_onsite, f.water_ml_offsite, strict=True))
    assert (low, high) == pytest.approx((2.09, 3.48), abs=5e-3)


@pytest.mark.parametrize(
    ("model", "tier"), [("acme-70b", "E"), ("acme-chat", "F"), ("grok-4", "E"), ("o1-preview", "D")]
)
def test_what_the_library_does_not_know_gets_a_band(
    model: str, tier: str, factors: FactorSet
) -> None:
    key = CallKey("acme", "", model, "", "", date(2026, 11, 28), False)
    c = resolve(key, factors, METHOD)
    f = footprint(Quantities(output_tokens=400), c)
    assert c.model_tier == tier
    assert f.energy_wh.low > 0 and f.co2e_g_embodied.low > 0
    if tier != "D":
        assert f.energy_wh.high / f.energy_wh.low >= factors.energy_bands[tier] ** 2

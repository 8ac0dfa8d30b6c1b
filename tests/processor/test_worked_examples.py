"""The examples that docs/methodology.md works by hand, and EcoLogits' own published numbers."""

import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from ecomind_processor import energy
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, Footprint, Quantities, footprint

Resolver = Callable[..., Coefficients]
PAGE = Path(__file__).parents[2] / "docs" / "methodology.md"
THOUSAND_IN_300_OUT = Quantities(input_tokens=1000, output_tokens=300)


def four_digits(f: Footprint) -> dict[str, object]:
    def short(values: tuple[float, ...] | None) -> object:
        return values and tuple(float(f"{x:.4g}") for x in values)

    return {name: short(values) for name, values in asdict(f).items()}


def test_a_closed_model_in_the_usa(coefficients: Resolver) -> None:
    # E_IT = 1.10 · (0.10 · 1.5396 mWh · 1,000 + 1.5396 mWh · 300) = 0.6774 Wh; PUE 1.20; tier D
    c = coefficients("gpt-4o", place="USA")
    assert four_digits(footprint(THOUSAND_IN_300_OUT, c)) == {
        "energy_wh": (0.2710, 0.8129, 2.439),
        "co2e_g_location": (0.08333, 0.3125, 1.172),
        "co2e_g_market": None,
        "co2e_g_embodied": (0.01084, 0.03252, 0.09755),
        "water_ml_onsite": (0.06853, 0.3855, 2.168),
        "water_ml_offsite": (0.4538, 2.553, 14.36),
    }


def test_open_weights_in_stockholm(coefficients: Resolver) -> None:
    # 0.797 J · 1.43 / 3,600 = 0.31659 mWh; E_IT = 1.10 · 0.31659 · (100 + 300) = 0.1393 Wh;
    # PUE 1.14; Sweden 35.26 g/kWh and 6.0315 L/kWh; tier C
    c = coefficients("meta-llama/Llama-3.1-70B-Instruct", "aws.bedrock", "eu-north-1")
    assert four_digits(footprint(THOUSAND_IN_300_OUT, c)) == {
        "energy_wh": (0.0794, 0.1588, 0.3176),
        "co2e_g_location": (0.00224, 0.005599, 0.014),
        "co2e_g_market": None,
        "co2e_g_embodied": (0.003176, 0.006352, 0.0127),
        "water_ml_onsite": (0.004458, 0.01672, 0.06268),
        "water_ml_offsite": (0.2554, 0.9578, 3.592),
    }


def test_a_name_nobody_knows(coefficients: Resolver) -> None:
    # √(0.058744 · 1.5396) = 0.30074 mWh; E_IT = 1.10 · 0.30074 · 400 = 0.1323 Wh; PUE 1.54;
    # world 458.3 g/kWh and 4.81 L/kWh; tier F and grid tier E
    c = coefficients("acme-chat-1", provider="acme")
    assert four_digits(footprint(THOUSAND_IN_300_OUT, c)) == {
        "energy_wh": (0.02038, 0.2038, 2.038),
        "co2e_g_location": (0.00467, 0.09339, 1.868),
        "co2e_g_market": None,
        "co2e_g_embodied": (0.0008151, 0.008151, 0.08151),
        "water_ml_onsite": (0.001588, 0.04764, 1.429),
        "water_ml_offsite": (0.03267, 0.9802, 29.41),
    }


def test_a_measured_call(coefficients: Resolver) -> None:
    # 3,600 J of IT energy = 1 Wh, × PUE 1.20; tokens and the idle share add nothing; tier A
    c = coefficients("gpt-4o", place="USA", measured=True)
    call = Quantities(input_tokens=1000, output_tokens=300, measured_energy_mj=3_600_000)
    assert footprint(call, c).energy_wh == pytest.approx((1.2 / 1.15, 1.2, 1.2 * 1.15))
    assert (c.method, c.model_tier, c.band_energy) == ("measured", "A", 1.15)


@pytest.mark.parametrize(
    "figure",
    ["0.2710", "0.8129", "2.4388", "0.1588", "0.0794", "0.3176", "0.2038", "0.0204", "2.0378"],
)
def test_the_page_shows_what_the_code_computes(figure: str) -> None:
    assert figure in PAGE.read_text(encoding="utf-8")


def test_ratios_of_the_method(coefficients: Resolver) -> None:
    c = coefficients("gpt-4o", place="USA")
    assert c.wh_per_input_token == pytest.approx(0.10 * c.wh_per_output_token)
    assert c.wh_per_input_token_over_32k == pytest.approx(0.9 * c.wh_per_input_token)
    assert c.wh_per_cache_read_token == pytest.approx(0.10 * c.wh_per_input_token)
    assert c.wh_per_cache_write_token == c.wh_per_input_token
    assert (c.wh_per_call, c.wh_per_reasoning_token) == (0.0, 0.0)
    assert c.co2e_g_per_kwh_embodied == 40.0


def test_batch_counts_like_any_other_tier(coefficients: Resolver) -> None:
    assert coefficients("gpt-4o", service_tier="batch") == coefficients("gpt-4o")


# EcoLogits 0.11.3, billions of parameters (active, total), tokens/s → Wh per token
SLOPES = [
    (44, 440, 74, 1.1901e-3),  # gpt-4o, smallest
    (132, 440, 74, 1.9918e-3),  # gpt-4o, largest
]


@pytest.mark.parametrize(("active", "total", "speed", "wh"), SLOPES)
def test_slope_of_gpt_4o(
    active: float, total: float, speed: float, wh: float, factors: FactorSet
) -> None:
    slope = energy.slope_wh_per_token(active, total, speed, factors)
    assert slope == pytest.approx(wh, abs=5e-8)


def test_mid_slope_of_gpt_4o(factors: FactorSet) -> None:
    mid = energy.of_model(factors.models["gpt-4o"], factors)
    assert mid == pytest.approx(1.5396e-3, abs=5e-8)
    assert mid == pytest.approx(math.sqrt(1.1901e-3 * 1.9918e-3), rel=1e-4)


# EcoLogits 0.11.3, 400 output tokens without the latency clamp, Wh at the facility:
# (active, total, tokens/s, time to first token in s, PUE, Wh)
FOUR_HUNDRED_TOKENS = [
    pytest.param(44, 440, 74, 0.61, 1.20, 0.5789, id="gpt-4o, smallest"),
    pytest.param(132, 440, 74, 0.61, 1.20, 0.9637, id="gpt-4o, largest"),
    pytest.param(8, 8, 79, 0.54, 1.20, 0.0260, id="gpt-4o-mini, smallest"),
    pytest.param(28, 28, 79, 0.54, 1.20, 0.0315, id="gpt-4o-mini, largest"),
    pytest.param(44, 440, 42, 1.15, 1.09, 0.579, id="claude-sonnet-4-5, smallest"),
    pytest.param(132, 440, 42, 1.15, 1.14, 0.971, id="claude-sonnet-4-5, largest"),
    pytest.param(200, 2000, 91.8, 2.67, 1.09, 4.63, id="gemini-2.5-pro, smallest"),
    pytest.param(600, 2000, 91.8, 2.67, 1.09, 10.98, id="gemini-2.5-pro, largest"),
    pytest.param(41, 675, 52, 0.68, 1.16, 1.151, id="mistral-large-latest"),
]


@pytest.mark.parametrize(
    ("active", "total", "speed", "first_seconds", "pue", "wh"), FOUR_HUNDRED_TOKENS
)
def test_ecologits_at_400_tokens(
    active: float,
    total: float,
    speed: float,
    first_seconds: float,
    pue: float,
    wh: float,
    factors: FactorSet,
) -> None:
    slope = energy.slope_wh_per_token(active, total, speed, factors)
    # waiting for the first token costs the server's 1,200 W, for its share of GPUs and of the batch
    waiting_wh = first_seconds / 3600 * 1200 * energy.gpu_count(total, factors) / 8 / 64
    decimals = len(str(wh).partition(".")[2])
    assert pue * (400 * slope + waiting_wh) == pytest.approx(wh, abs=0.6 * 10**-decimals)


@pytest.mark.parametrize(
    ("total_b", "gpus"), [(0.3, 1), (33.3, 1), (34, 2), (70.55, 4), (440, 16), (1760, 64)]
)
def test_gpus_that_hold_a_model(total_b: float, gpus: int, factors: FactorSet) -> None:
    # 1.2 · 2 bytes per parameter over 80 GB, rounded up to a power of two
    assert energy.gpu_count(total_b, factors) == gpus

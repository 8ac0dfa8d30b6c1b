"""What holds for every call, whatever its names."""

import datetime
import math
from dataclasses import fields

from hypothesis import given, settings
from hypothesis import strategies as st

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, Quantities, footprint
from ecomind_processor.resolution import CallKey, resolve

FACTORS = FactorSet.load()
KNOWN = sorted({*FACTORS.names, *FACTORS.aliases})
PIECES = (
    "gpt",
    "4o",
    "llama",
    "70b",
    "8x7b",
    "a22b",
    "embed",
    "latest",
    "2024-08-06",
    "v1:0",
    "eu.",
)
NAMES = st.one_of(
    st.sampled_from(KNOWN),
    st.lists(st.sampled_from(PIECES), max_size=4).map("-".join),
    st.text(max_size=40),
)
PLACES = st.one_of(
    st.sampled_from(sorted({*FACTORS.regions, *FACTORS.zone_names, "api.openai.com"})),
    st.text(max_size=40),
)
KEYS = st.builds(
    CallKey,
    provider=st.one_of(st.sampled_from(sorted(FACTORS.facility_names)), st.text(max_size=20)),
    request_model=NAMES,
    response_model=NAMES,
    place=PLACES,
    service_tier=st.sampled_from(["default", "batch", ""]),
    day=st.dates(datetime.date(2020, 1, 1), datetime.date(2035, 1, 1)),
    measured=st.booleans(),
)
COUNTS = st.integers(0, 100_000_000)
NEVER_NOTHING = ["input_tokens", "cache_read_tokens", "output_tokens", "spend_microusd"]
CALLS = st.builds(Quantities, *[COUNTS] * len(Quantities._fields))
NUMBERS = [f.name for f in fields(Coefficients) if f.type == "float"]


@given(KEYS)
def test_resolution_never_fails_and_gives_floats(key: CallKey) -> None:
    c = resolve(key, FACTORS)
    assert all(type(getattr(c, name)) is float for name in NUMBERS)
    assert all(math.isfinite(getattr(c, name)) for name in NUMBERS)
    assert c.co2e_g_per_kwh_market is None
    assert c.factor_set == FACTORS.id


@given(KEYS)
def test_the_same_key_gives_the_same_address(key: CallKey) -> None:
    assert resolve(key, FACTORS).coef_id == resolve(key, FACTORS).coef_id


@given(KEYS, st.sampled_from(NEVER_NOTHING))
def test_what_was_used_never_costs_nothing(key: CallKey, quantity: str) -> None:
    key = key._replace(measured=False, spend=quantity == "spend_microusd")
    f = footprint(Quantities()._replace(**{quantity: 1}), resolve(key, FACTORS))
    shown = (
        f.energy_wh,
        f.co2e_g_location,
        f.co2e_g_embodied,
        f.water_ml_onsite,
        f.water_ml_offsite,
    )
    assert all(0 < r.low <= r.mid <= r.high for r in shown)


@given(KEYS, CALLS)
def test_low_mid_high_are_in_order(key: CallKey, call: Quantities) -> None:
    f = footprint(call, resolve(key, FACTORS))
    shown = (
        f.energy_wh,
        f.co2e_g_location,
        f.co2e_g_embodied,
        f.water_ml_onsite,
        f.water_ml_offsite,
    )
    assert all(0 <= r.low <= r.mid <= r.high for r in shown)


@given(KEYS, st.integers(0, 32_000), st.integers(0, 10_000), st.integers(1, 50))
def test_energy_is_linear_in_the_quantities(key: CallKey, tokens: int, out: int, n: int) -> None:
    c = resolve(key, FACTORS)
    one = footprint(Quantities(tokens // n, output_tokens=out, measured_energy_mj=out), c)
    many = footprint(
        Quantities(tokens // n * n, output_tokens=out * n, measured_energy_mj=out * n), c
    )
    assert math.isclose(many.energy_wh.mid, n * one.energy_wh.mid, rel_tol=1e-9, abs_tol=1e-15)


@settings(max_examples=30)
@given(KEYS)
def test_a_long_input_costs_1_9_beyond_32k(key: CallKey) -> None:
    c = resolve(key._replace(measured=False, spend=False), FACTORS)
    at = footprint(Quantities(input_tokens=32_000), c).energy_wh.mid
    beyond = footprint(Quantities(input_tokens=33_000), c).energy_wh.mid - at
    assert math.isclose(beyond, 1.9 * at / 32, rel_tol=1e-6)


def test_the_address_of_a_known_row_is_pinned() -> None:
    day = datetime.date(2026, 11, 23)
    key = CallKey("openai", "", "gpt-4o", "USA", "default", day, False)
    older = FactorSet.load("ecomind-2026.1")
    assert resolve(key, older).coef_id == PINNED


PINNED = 16691622991196261960

"""Money that was paid, where nothing else is known: the method `spend`, worked by hand."""

from __future__ import annotations

from datetime import date

import pytest
from genai_prices import Usage, calc_price

from ecomind_processor.dialect import read
from ecomind_processor.explain import explain
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Quantities, footprint
from ecomind_processor.resolution import METHODS, PRICE, CallKey, resolve

HUNDRED = Quantities(spend_microusd=100_000_000)
AMOUNT = "ecomind.spend.amount"


def key(model: str = "", *, measured: bool = False, spend: bool = True) -> CallKey:
    return CallKey("openai", model, "", "USA", "", date(2026, 11, 28), measured, spend=spend)


def test_a_hundred_dollars_to_openai_in_the_usa() -> None:
    """By hand.

    Output token of the default class: √(1.5396 · 0.058744) = 0.30074 mWh, with idle capacity
    · 1.10 = 0.33081 mWh. 100 USD buy 100 ÷ 2.4495 = 40.825 million, so 13,505 Wh of IT energy;
    · PUE 1.20 = 16,206 Wh; · 384.4 g/kWh = 6,230 g; bands of tiers F and C.
    """
    c = resolve(key(), FactorSet.load())
    assert (c.method, c.model_tier, c.band_energy, c.zone) == ("spend", "F", 10.0, "USA")
    assert c.wh_per_usd == pytest.approx(135.05, abs=0.01)
    found = footprint(HUNDRED, c)
    assert found.energy_wh.mid == pytest.approx(16_206, abs=1)
    assert found.energy_wh.low == pytest.approx(1_620.6, abs=0.1)
    assert found.energy_wh.high == pytest.approx(162_060, abs=10)
    assert found.co2e_g_location.mid == pytest.approx(6_230, abs=1)


def test_the_price_is_the_mean_of_those_of_the_default_class() -> None:
    factors = FactorSet.load()
    million = Usage(output_tokens=1_000_000)
    prices = [
        float(calc_price(million, model, provider_id="openai").total_price)
        for model in factors.classes["text"].models
    ]
    assert sorted(prices) == [0.6, 10.0]
    assert factors.constant(PRICE) == pytest.approx((prices[0] * prices[1]) ** 0.5, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("model", ["", "gpt-4o", "text-embedding-3-small", "nobody-knows"])
def test_neither_method_nor_model_changes_it(method: str, model: str) -> None:
    factors = FactorSet.load()
    assert resolve(key(model), factors, method).coef_id == resolve(key(), factors).coef_id


def test_a_measurement_goes_before_it() -> None:
    assert resolve(key(measured=True), FactorSet.load()).method == "measured"


def test_without_it_nothing_changes() -> None:
    assert resolve(key("gpt-4o", spend=False), FactorSet.load()).wh_per_usd == 0.0


def test_an_older_set_says_that_it_has_no_price() -> None:
    c = resolve(key(), FactorSet.load("ecomind-2026.1"))
    assert (c.method, c.model_match) == ("spend", "amount paid; ecomind-2026.1 has no price")
    assert explain(HUNDRED, c).footprint.energy_wh.mid == 0.0


def test_every_step_to_it() -> None:
    c = resolve(key(), FactorSet.load())
    steps = {step.name: step for step in explain(HUNDRED, c).steps}
    assert steps["e_out, idle capacity included"].value == pytest.approx(0.33081, abs=1e-5)
    price = steps["e_usd"]
    assert price.formula.endswith("= 0.330815 · 1,000 ÷ 2.4495")
    assert price.value == c.wh_per_usd and price.source.startswith("genai-prices")
    assert steps["IT energy"].formula == "e_usd · US dollars = 135.054 · 100"


@pytest.mark.parametrize(
    ("attributes", "microusd"),
    [
        ({AMOUNT: 12.5}, 12_500_000),
        ({AMOUNT: 7}, 7_000_000),
        ({AMOUNT: "0.10"}, 100_000),
        ({AMOUNT: 1e9}, 10**15),
        ({AMOUNT: 1e-7}, 0),
        ({AMOUNT: 0}, 0),
        ({AMOUNT: -1.0}, 0),
        ({AMOUNT: 1.1e9}, 0),
        ({AMOUNT: float("nan")}, 0),
        ({AMOUNT: float("inf")}, 0),
        ({AMOUNT: "12 EUR"}, 0),
        ({AMOUNT: 5.0, "gen_ai.usage.input_tokens": 0}, 5_000_000),
        ({AMOUNT: 5.0, "gen_ai.usage.input_tokens": 1}, 0),
        ({AMOUNT: 5.0, "gen_ai.usage.cache_read.input_tokens": 1}, 0),
        ({AMOUNT: 5.0, "ecomind.usage.images": 1}, 0),
        ({AMOUNT: 5.0, "ecomind.usage.audio": 0.5}, 0),
        ({AMOUNT: 5.0, "ecomind.measured.energy": 0}, 0),
    ],
)
def test_the_amount_as_it_is_written(attributes: dict[str, object], microusd: int) -> None:
    """It counts only where nothing else says what was used, and then nothing is made up."""
    found = read("", {"gen_ai.provider.name": "openai"} | attributes)
    assert found.counts.spend_microusd == microusd
    if microusd:
        assert found.counts == Quantities(spend_microusd=microusd)
        assert (found.usage_quality, found.states, found.reason) == ("reported", 0, "")


def test_money_alone_is_a_call() -> None:
    found = read("", {AMOUNT: 3})
    assert (found.genai, found.reason, found.counts.spend_microusd) == (True, "", 3_000_000)
    assert read("", {AMOUNT: "much"}).reason == "no_model"

"""What an organisation states for itself, worked by hand, and where it does not reach."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ecomind_processor.explain import explain
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients, Quantities, footprint
from ecomind_processor.resolution import METHODS, CallKey, resolve
from ecomind_processor.terms import (
    DISCLOSED,
    NO_TERMS,
    Contract,
    Document,
    EnergyOverride,
    OwnMethod,
    RegionMap,
    Terms,
    parse,
)

FACTORS = FactorSet.load()
JANUARY, JULY = datetime.date(2026, 1, 1), datetime.date(2026, 7, 1)
DAY = datetime.date(2026, 11, 23)
REPORT = Document("Energy of our models", "https://acme.example/energy.pdf", 2026)
PPA = Document("PPA 17 with Norrwind", "contracts/ppa-17.pdf", 2025)
CALL = Quantities(input_tokens=1000, output_tokens=300)


def energy(wh: float = 0.001, model: str = "gpt-4o", **given: Any) -> EnergyOverride:
    return EnergyOverride(model, wh, REPORT, **{"valid_from": JANUARY, **given})


def contract(g: float = 20.0, provider: str = "openai", **given: Any) -> Contract:
    return Contract(provider, g, "ppa", PPA, **{"valid_from": JANUARY, **given})


def key(
    model: str = "gpt-4o",
    provider: str = "openai",
    place: str = "USA",
    day: datetime.date = DAY,
    request_model: str = "",
    measured: bool = False,
) -> CallKey:
    return CallKey(provider, request_model, model, place, "default", day, measured)


def resolved(terms: Terms, **given: Any) -> Coefficients:
    return resolve(key(**given), FACTORS, terms=terms)


def test_an_override_by_hand() -> None:
    # e_in = 0.10 · 0.001 Wh; E_IT = 0.0001 · 1,000 + 0.001 · 300 = 0.4 Wh; PUE 1.20: 0.48 Wh;
    # tier B: 0.48 ÷ 1.4 = 0.342857 and 0.48 · 1.4 = 0.672; USA 384.4 g/kWh: 0.184512 g
    c = resolved(Terms(energy=(energy(),)))
    f = footprint(CALL, c)
    assert f.energy_wh == pytest.approx((0.342857, 0.48, 0.672), rel=1e-6)
    assert f.co2e_g_location.mid == pytest.approx(0.184512)
    assert f.co2e_g_market is None
    assert (c.model, c.model_tier, c.method) == ("gpt-4o", "B", "ecomind@v1")
    assert c.model_match == (
        "override of the organisation, Energy of our models (2026), https://acme.example/energy.pdf"
    )
    # the other kinds follow: e_cr = 0.10 · e_in, e_cw = e_in, and 0.9 · e_in more beyond 32k
    assert (c.wh_per_cache_read_token, c.wh_per_cache_write_token) == (0.00001, 0.0001)
    assert c.wh_per_input_token_over_32k == 0.00009


def test_every_kind_of_token_may_be_stated() -> None:
    # 0.0004 · 1,000 + 0.001 · 300 = 0.7 Wh; with 200 read and 100 written of the 1,000:
    # 0.0004 · 700 + 0.00003 · 200 + 0.0005 · 100 + 0.3 = 0.636 Wh
    stated = energy(
        wh_per_input_token=0.0004, wh_per_cache_read_token=0.00003, wh_per_cache_write_token=0.0005
    )
    c = replace(resolved(Terms(energy=(stated,))), pue=1.0)
    assert footprint(CALL, c).energy_wh.mid == pytest.approx(0.7)
    cached = CALL._replace(cache_read_tokens=200, cache_write_tokens=100)
    assert footprint(cached, c).energy_wh.mid == pytest.approx(0.636)


def test_a_disclosure_names_its_method() -> None:
    c = resolved(Terms(energy=(energy(basis=DISCLOSED),)))
    assert (c.method, c.model_tier) == ("disclosed", "B")
    assert c.model_match.startswith("disclosure of the provider, Energy of our models (2026)")


def test_a_contract_by_hand() -> None:
    # gpt-4o in the USA takes 0.8129 Wh (docs/methodology.md): · 384.4 g/kWh ÷ 1,000 = 0.3125 g by
    # location, · 20 g/kWh ÷ 1,000 = 0.016258 g by market; the first does not change
    c = resolved(Terms(contract=(contract(),)))
    f = footprint(CALL, c)
    assert f.co2e_g_market is not None
    assert f.co2e_g_market.mid == pytest.approx(0.016258, rel=1e-4)
    assert f.co2e_g_location.mid == pytest.approx(0.3125, rel=1e-4)
    assert c.zone_match == (
        "stated grid zone; market: power purchase agreement,"
        " PPA 17 with Norrwind (2025), contracts/ppa-17.pdf"
    )
    without = resolved(NO_TERMS)
    assert replace(c, co2e_g_per_kwh_market=None, zone_match=without.zone_match) == without


def test_wholly_renewable_is_zero_and_not_unknown() -> None:
    f = footprint(CALL, resolved(Terms(contract=(contract(0.0),))))
    assert f.co2e_g_market == (0.0, 0.0, 0.0)


def test_a_measured_call_has_its_contract_and_keeps_its_measurement() -> None:
    c = resolved(Terms(energy=(energy(),), contract=(contract(),)), measured=True)
    assert (c.method, c.model_tier, c.co2e_g_per_kwh_market) == ("measured", "A", 20.0)


def test_a_contract_is_of_its_provider_and_of_its_zone() -> None:
    terms = Terms(contract=(contract(30.0), contract(10.0, zone="USA"), contract(5.0, zone="FRA")))

    def market(**given: Any) -> float | None:
        return resolved(terms, **given).co2e_g_per_kwh_market

    assert market() == 10.0
    assert market(place="US-NYUP") == 10.0  # a part of the zone
    assert market(place="FRA") == 5.0
    assert market(place="DEU") == 30.0  # the one without a zone
    assert market(provider="anthropic") is None
    assert market(provider="unheard_of") is None


def test_a_contract_of_a_continent_covers_its_countries() -> None:
    terms = Terms(contract=(contract(30.0, zone="EUROPE"), contract(10.0, zone="EU")))
    found = {
        zone: resolved(terms, place=zone).co2e_g_per_kwh_market for zone in ("DEU", "GBR", "USA")
    }
    assert found == {"DEU": 10.0, "GBR": 30.0, "USA": None}


def test_an_alias_of_a_provider_is_the_provider() -> None:
    terms = Terms(contract=(contract(provider="azure"),))
    found = resolved(terms, provider="azure.ai.inference").co2e_g_per_kwh_market
    assert found == 20.0


@pytest.mark.parametrize(
    ("day", "found"),
    [("2025-12-31", None), ("2026-01-01", 20.0), ("2026-06-30", 20.0), ("2026-07-01", None)],
)
def test_days_are_half_open(day: str, found: float | None) -> None:
    on = datetime.date.fromisoformat(day)
    terms = Terms(
        energy=(energy(valid_to=JULY),),
        contract=(contract(valid_to=JULY),),
        region=(RegionMap("SWE", JANUARY, JULY, place="usa"),),
        method=(OwnMethod("class", JANUARY, JULY),),
    )
    c = resolved(terms, day=on)
    assert c.co2e_g_per_kwh_market == found
    assert (c.model_tier == "B", c.zone == "SWE") == (found is not None,) * 2
    other = resolved(terms, day=on, model="gpt-4o-mini")
    assert (other.method == "class") == (found is not None)
    assert terms.epochs == (JANUARY, JULY)


def test_what_came_into_force_last_holds_and_then_what_was_approved_last() -> None:
    first, later = energy(0.001), energy(0.002, valid_from=JULY)
    correction = energy(0.003)  # of the first, approved after the later one

    def on(day: datetime.date, *stated: EnergyOverride) -> float:
        return resolved(Terms(energy=stated), day=day).wh_per_output_token

    assert on(JANUARY, first, later) == 0.001
    assert on(JULY, first, later) == 0.002
    assert on(JANUARY, first, later, correction) == 0.003
    assert on(JULY, first, later, correction) == 0.002


@pytest.mark.parametrize(
    ("stated", "call", "holds"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),  # a dated snapshot
        ("gpt-4o-2024-08-06", "gpt-4o-2024-05-13", False),
        ("GPT-4o", "openai/gpt-4o", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o", "ft:gpt-4o:acme::x1", False),  # another model
        ("ft:gpt-4o:acme::x1", "ft:gpt-4o:acme::x1", True),
        ("ft:gpt-4o:acme::x1", "gpt-4o", False),
        ("claude-sonnet-4-5", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", True),
        ("claude-sonnet-4.5", "claude-sonnet-4-5", True),
        ("acme-chat", "acme-chat", True),  # nobody knows it but the organisation
        ("acme-chat", "acme-chat-2", False),
    ],
)
def test_which_names_a_model_has(stated: str, call: str, holds: bool) -> None:
    c = resolved(Terms(energy=(energy(model=stated),)), model=call)
    assert (c.model_tier == "B") == holds


def test_the_request_is_asked_only_where_the_response_is_unknown() -> None:
    terms = Terms(energy=(energy(model="acme-chat"),))
    assert resolved(terms, model="", request_model="acme-chat").model_tier == "B"
    assert resolved(terms, model="a-1", request_model="acme-chat").model_tier == "B"
    assert resolved(terms, model="gpt-4.1", request_model="acme-chat").model_tier == "D"


def test_an_override_for_a_provider_is_of_that_provider_and_comes_first() -> None:
    terms = Terms(energy=(energy(0.001, provider="azure"), energy(0.002, valid_from=JULY)))
    assert resolved(terms, provider="azure.ai.openai").wh_per_output_token == 0.001
    assert resolved(terms, provider="openai").wh_per_output_token == 0.002


def test_a_place_that_is_mapped_is_there_whatever_is_known_of_it() -> None:
    # 0.8129 Wh · 35.26 g/kWh (Sweden 2025) ÷ 1,000 = 0.02866 g
    terms = Terms(region=(RegionMap("SWE", JANUARY, place="llm.acme.example"),))
    for place in ("llm.acme.example", "https://LLM.acme.example:8443/v1"):
        c = resolved(terms, place=place)
        assert (c.zone, c.zone_match, c.provider) == ("SWE", "map of the organisation", "openai")
        assert footprint(CALL, c).co2e_g_location.mid == pytest.approx(0.02866, rel=1e-3)
    assert resolved(terms, place="x.llm.acme.example").zone == "USA"
    known = Terms(region=(RegionMap("SWE", JANUARY, place="eu-west-3"),))
    assert resolved(known, place="eu-west-3", provider="aws.bedrock").zone == "SWE"
    assert resolved(NO_TERMS, place="eu-west-3", provider="aws.bedrock").zone == "FRA"


def test_a_provider_that_is_mapped_gives_way_to_what_the_call_states() -> None:
    terms = Terms(region=(RegionMap("DEU", JANUARY, provider="openai"),))
    assert resolved(terms, place="").zone == "DEU"
    assert resolved(terms, place="api.openai.com").zone == "DEU"  # the host says no zone
    assert resolved(terms, place="eu.api.openai.com").zone == "EU"
    assert resolved(terms, place="FRA").zone == "FRA"
    assert resolved(terms, place="", provider="anthropic").zone == "USA"
    own = Terms(region=(RegionMap("DEU", JANUARY, provider="unknown"),))
    assert resolved(own, place="", provider="vllm").zone == "DEU"


def test_a_zone_that_an_older_set_lacks_is_passed_over() -> None:
    terms = Terms(region=(RegionMap("XX-NEW", JANUARY, place="usa"),))
    assert resolved(terms) == resolved(NO_TERMS)


def test_the_method_of_the_organisation() -> None:
    terms = Terms(method=(OwnMethod("class", JANUARY),))
    assert resolved(terms).method == "class"
    assert resolve(key(), FACTORS, "benchmark", terms).method == "benchmark"
    library = Terms(energy=(energy(),), method=(OwnMethod("ecologits@0.11.3", JANUARY),))
    assert resolved(library, model="gpt-4o-mini").method == "ecologits@0.11.3"
    # EcoLogits' formulas have no place for a stated number, so it goes by the set's method
    assert (resolved(library).method, resolved(library).wh_per_second) == ("ecomind@v1", 0.0)
    older = FactorSet.load("ecomind-2026.1")  # has no tables of that library
    assert resolve(key(), older, terms=library).method == "ecomind@v1"


def test_terms_are_addressed_by_their_content() -> None:
    full = Terms(
        energy=(energy(), energy(0.002)),
        contract=(contract(),),
        region=(RegionMap("SWE", JANUARY, place="usa"),),
        method=(OwnMethod("class", JANUARY, JULY),),
    )
    assert NO_TERMS.id == 0
    assert parse(full.document()) == full
    assert parse(full.document()).id == full.id
    assert replace(full, energy=full.energy[::-1]).id != full.id
    assert len({Terms(contract=(contract(g),)).id for g in range(50)}) == 50


def test_an_explanation_cites_the_documents() -> None:
    terms = Terms(energy=(energy(wh_per_cache_read_token=0.00003),), contract=(contract(),))
    call = Quantities(input_tokens=1000, output_tokens=300, cache_read_tokens=100)
    steps = {step.name: step for step in explain(call, resolved(terms)).steps}
    stated = steps["e_out, idle capacity included"]
    assert (stated.formula, stated.value, stated.unit) == ("as stated", 1.0, "mWh")
    assert str(REPORT) in stated.source
    assert steps["e_in"].formula == "e_out · ratio = 1 · 0.1"
    cached = steps["e_cache_read"]
    assert cached.formula == "as stated"
    assert cached.value == pytest.approx(0.03)
    assert steps["CO2e, market-based"].source == f"operator openai; power purchase agreement, {PPA}"
    assert "Norrwind" not in steps["CO2e, location-based"].source


NAMES = st.sampled_from([*sorted(FACTORS.models)[::9], "nobody-knows", "acme-70b", ""])
PLACES = st.sampled_from(["", "api.openai.com", "eu-west-3", "US-CAISO", "proxy.acme.example"])
KEYS = st.builds(
    CallKey,
    provider=st.sampled_from(["openai", "aws.bedrock", "vllm", ""]),
    request_model=NAMES,
    response_model=NAMES,
    place=PLACES,
    service_tier=st.just(""),
    day=st.dates(datetime.date(2023, 1, 1), datetime.date(2026, 12, 31)),
    measured=st.booleans(),
)


@settings(max_examples=200, deadline=None)
@given(KEYS, st.sampled_from(["", *METHODS]))
def test_nothing_stated_changes_nothing(key: CallKey, method: str) -> None:
    plain = resolve(key, FACTORS, method)
    assert resolve(key, FACTORS, method, NO_TERMS) == plain
    elsewhere = Terms(
        energy=(energy(model="another-model"),),
        contract=(contract(provider="cerebras"),),
        region=(RegionMap("SWE", JANUARY, place="elsewhere.example"),),
    )
    assert resolve(key, FACTORS, method, elsewhere).coef_id == plain.coef_id


@settings(max_examples=100, deadline=None)
@given(KEYS, st.floats(1e-6, 0.1))
def test_terms_move_what_they_are_about_and_nothing_else(key: CallKey, wh: float) -> None:
    key = key._replace(response_model="acme-chat", measured=False, spend=False)
    plain = resolve(key, FACTORS)
    own = resolve(key, FACTORS, terms=Terms(energy=(energy(wh, model="acme-chat"),)))
    about = {"method", "model", "model_match", "model_tier", "band_energy"}
    changed = {n for n in vars(plain) if getattr(plain, n, None) != getattr(own, n, None)}
    if key.day < JANUARY:
        assert not changed - {"coef_id"}
    else:
        assert {n for n in changed - about if not n.startswith("wh_per_")} <= {"coef_id"}
        assert own.wh_per_output_token == pytest.approx(wh, rel=1e-11)

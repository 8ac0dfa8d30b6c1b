"""Tables without an organisation: nothing that a tenant writes gets into them.

Every tenant may come to read the same row of `coefficients`, so its texts must come from the factor
set or from the rules' own words, whatever a call carries. A size in a model's name is the one thing
read from the name itself, and it is printed again from the number. What an organisation states of
factors does bring its documents in: such a row has an address that only equal statements have, and
only calls resolved by them refer to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.resolution import CallKey, resolve
from ecomind_processor.terms import Contract, Document, EnergyOverride, Terms
from ecomind_query.held import SQL_TABLES
from ecomind_receiver.store import Store

FACTORS = FactorSet.load()
NOBODYS = {"coefficients", "reconciled", "closed_days", "schema_migrations", "receivers"}
LOADERS = {"kafka_plans"}
"""Read by the loader alone: what it holds of organisations, no statement of a tenant can reach."""
_NUMBER = r"\d{1,6}(\.\d{1,6})?(e[+-]\d\d)?"
SIZE = re.compile(rf"size:{_NUMBER}b(-a{_NUMBER}b)?")

MATCHES = {
    "exact name", "dated alias", "alias", "latest on the day", "prefix of the name",
    "size in the name", "family", "default class", "fine-tuned model",
}  # fmt: skip
PLACES = {
    "stated cloud region", "stated grid zone", "area of the stated code",
    "region in the endpoint's host", "endpoint's host", "region prefix of the model's name",
    "provider default", "world average",
}  # fmt: skip

_KNOWN = [*FACTORS.names, *FACTORS.aliases, "eu.anthropic.", "ft:", "-latest", "-2026-01-01"]
_NAMES = st.lists(
    st.one_of(
        st.sampled_from(_KNOWN),
        st.text(max_size=12),
        st.from_regex(r"[-/:.@_ ]?\d{1,5}([.p]\d{1,3})?[xbtma]\d{0,4}[bm]?", fullmatch=True),
    ),
    max_size=4,
).map("".join)
_PLACES = st.one_of(
    st.text(max_size=20),
    st.sampled_from([*FACTORS.regions, *FACTORS.zone_names, "https://api.openai.com/v1"]),
    st.from_regex(r"(https://)?[a-z]{2,6}[-.][a-z0-9-]{1,12}(\.com)?", fullmatch=True),
)


def foreign(found: Coefficients) -> Iterator[str]:
    """Texts that are neither the factor set's nor the rules' own."""
    allowed: dict[str, set[str]] = {
        "method": {FACTORS.method, "measured"},
        "factor_set": {FACTORS.id},
        "provider": set(FACTORS.facilities),
        "model": {*FACTORS.models, *(f"class:{name}" for name in FACTORS.classes)},
        "model_match": MATCHES | {f"{how} (request)" for how in MATCHES},
        "model_tier": set("ABCDEF"),
        "zone": set(FACTORS.zones),
        "zone_match": PLACES
        | {f"{how}; water: {zone.name}" for how in PLACES for zone in FACTORS.zones.values()},
        "grid_tier": set("ABCDE"),
    }
    for name, value in asdict(found).items():
        if isinstance(value, str) and value not in allowed[name]:
            if name == "model" and SIZE.fullmatch(value):
                continue
            yield f"{name}: {value!r}"


@settings(max_examples=400, deadline=None)
@given(
    provider=st.one_of(st.text(max_size=20), st.sampled_from([*FACTORS.facility_names])),
    request_model=_NAMES,
    response_model=_NAMES,
    place=_PLACES,
    service_tier=st.text(max_size=8),
    measured=st.booleans(),
)
def test_coefficients_hold_no_text_of_a_call(
    provider: str,
    request_model: str,
    response_model: str,
    place: str,
    service_tier: str,
    measured: bool,
) -> None:
    key = CallKey(
        provider, request_model, response_model, place, service_tier, date(2026, 11, 18), measured
    )
    assert list(foreign(resolve(key, FACTORS))) == []


def test_rows_with_stated_texts_are_of_those_who_stated_them() -> None:
    key = CallKey("openai", "", "gpt-4o", "USA", "", date(2026, 11, 18), False)
    day = date(2026, 1, 1)
    papers = [Document("Agreement", f"{org}/1.pdf", 2025) for org in ("a", "b")]
    for own in (
        [Terms(energy=(EnergyOverride("gpt-4o", 0.001, each, day),)) for each in papers],
        [Terms(contract=(Contract("openai", 20.0, "ppa", each, day),)) for each in papers],
    ):
        a, b = (resolve(key, FACTORS, terms=terms) for terms in own)
        assert len({a.coef_id, b.coef_id, resolve(key, FACTORS).coef_id}) == 3
        assert "b/1.pdf" not in str(asdict(a)) and "a/1.pdf" not in str(asdict(b))


def test_the_check_sees_a_name() -> None:
    key = CallKey("openai", "gpt-4o", "", "US-CAISO", "", date(2026, 11, 18), False)
    texts = asdict(resolve(key, FACTORS))
    for name in ("provider", "model", "model_match", "zone", "zone_match"):
        spoilt = Coefficients(**texts | {name: "acme-secret"})
        assert list(foreign(spoilt)) == [f"{name}: 'acme-secret'"]


def test_every_other_table_has_an_organisation_and_a_project(store: Store) -> None:
    """A new table gets both, or is named here after the same proof."""
    rows = store.query(
        "SELECT table, groupArray(name) AS columns, groupArray(type) AS types FROM system.columns"
        " WHERE database = currentDatabase() GROUP BY table"
    )
    columns = {row["table"]: set(row["columns"]) for row in rows}
    owned = {table for table, names in columns.items() if {"org_id", "project_id"} <= names}
    assert columns.keys() - owned == NOBODYS | LOADERS
    assert not LOADERS & SQL_TABLES.keys()
    texts = {
        row["table"]: {
            n for n, t in zip(row["columns"], row["types"], strict=True) if "String" in t
        }
        for row in rows
    }
    assert texts["reconciled"] == texts["closed_days"] == set()
    assert texts["receivers"] == {"receiver"}  # a random name: see `receivers._identity`

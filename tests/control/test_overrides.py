"""What an organisation states of factors: checked, agreed on by two, and never changed after."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa
from control.conftest import Clock, Run, answer
from support.stating import ANN, BOB, CONTRACT, DOCUMENT, ENERGY, JANUARY, approve, ensure

from ecomind_processor.factors import FactorSet
from ecomind_processor.resolution import CallKey, resolve
from ecomind_processor.terms import NO_TERMS, Contract, Document, EnergyOverride, Terms
from ecomind_receiver.control.errors import Conflict, Invalid, NotFound
from ecomind_receiver.control.overrides import OrgOverrides, read_terms
from ecomind_receiver.control.records import Status
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.control.tables import factor_overrides

JULY = date(2026, 7, 1)


@pytest.fixture
def people(orgs: ControlStore) -> ControlStore:
    ensure(orgs, "org_a", "org_b")
    return orgs


def terms_of(store: ControlStore, org_id: str = "org_a") -> Terms:
    with store.reading() as tx:
        return OrgOverrides(tx, org_id).terms()


def test_one_proposes_and_another_approves(people: ControlStore, clock: Clock) -> None:
    number = people.changes()
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a", clock)
        proposed = own.propose("energy", ENERGY, JANUARY, JULY, ANN, "from the audit")
    assert (proposed.status, proposed.proposed_by, proposed.decided_by) == ("proposed", ANN, None)
    assert (proposed.valid_from, proposed.valid_to) == (JANUARY, JULY)
    assert terms_of(people) == NO_TERMS
    assert people.changes() == number  # nothing holds yet, so receivers have nothing to read
    with people.begin() as tx:
        approved = OrgOverrides(tx, "org_a", clock).approve(proposed.id, BOB)
    assert (approved.status, approved.decided_by) == ("approved", BOB)
    assert (approved.decided_at, approved.note) == (clock.now, "from the audit")
    assert people.changes() == number + 1
    document = Document(**DOCUMENT)
    assert terms_of(people) == Terms(
        energy=(EnergyOverride("gpt-4o", 0.001, document, JANUARY, JULY),)
    )
    assert terms_of(people, "org_b") == NO_TERMS


def test_every_kind_becomes_terms(people: ControlStore) -> None:
    approve(people, "org_a", "contract", CONTRACT)
    approve(people, "org_a", "region", {"place": "LLM.acme.example", "zone": "SWE"})
    approve(people, "org_a", "region", {"provider": "OpenAI", "zone": "DEU"})
    approve(people, "org_a", "method", {"method": "class"}, JANUARY, JULY)
    found = terms_of(people)
    assert found.contract == (Contract("openai", 20.0, "ppa", Document(**DOCUMENT), JANUARY),)
    assert [each.place for each in found.region] == ["llm.acme.example", ""]
    assert (found.method_on(JANUARY), found.method_on(JULY)) == ("class", "")
    with people.reading() as tx:
        assert read_terms(tx) == {"org_a": found}


def test_nobody_decides_on_their_own(people: ControlStore) -> None:
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        id = own.propose("energy", ENERGY, JANUARY, None, ANN).id
        with pytest.raises(Conflict, match=r"user_ann proposed .*; another member"):
            own.approve(id, ANN)
        with pytest.raises(Conflict, match=r"user_ann proposed .*; another member"):
            own.reject(id, ANN, "no")
        with pytest.raises(Conflict, match="Only user_ann, who proposed"):
            own.withdraw(id, BOB)
    with pytest.raises(Conflict, match="four_eyes"), people.begin() as tx:
        forged = {"status": "approved", "decided_by": ANN}
        tx.execute(sa.update(factor_overrides).values(forged))
    assert terms_of(people) == NO_TERMS


def test_only_members_propose_and_decide(people: ControlStore) -> None:
    ensure(people, "org_c")
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        with pytest.raises(NotFound, match="no user 'user_eve' in org_a"):
            own.propose("energy", ENERGY, JANUARY, None, "user_eve")
        id = own.propose("energy", ENERGY, JANUARY, None, ANN).id
        with pytest.raises(NotFound, match="no user 'user_eve' in org_a"):
            own.approve(id, "user_eve")


def test_what_was_decided_on_stays(people: ControlStore) -> None:
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        ids = [own.propose("energy", ENERGY, JANUARY, None, ANN).id for _ in range(3)]
        own.approve(ids[0], BOB)
        own.reject(ids[1], BOB, "the document is of another model")
        own.withdraw(ids[2], ANN)
        for id, status in zip(ids, ("approved", "rejected", "withdrawn"), strict=True):
            for decide in (own.approve, own.reject, own.withdraw):
                with pytest.raises(Conflict, match=f"is {status} already and stays so"):
                    decide(id, BOB, "again")
        assert [record.status for record in own.list()] == ["approved", "rejected", "withdrawn"]
        assert [record.id for record in own.list([Status.APPROVED])] == ids[:1]
        assert own.get(ids[1]).note == "the document is of another model"
        with pytest.raises(Invalid, match="why it is rejected"):
            own.reject(own.propose("energy", ENERGY, JANUARY, None, ANN).id, BOB, " ")


FACTORS = FactorSet.load()


def wh_on(terms: Terms, day: date) -> float:
    key = CallKey("openai", "", "gpt-4o", "USA", "", day, False)
    return resolve(key, FACTORS, terms=terms).wh_per_output_token


def test_a_correction_holds_from_its_first_day_on(people: ControlStore) -> None:
    approve(people, "org_a", "energy", ENERGY)
    approve(people, "org_a", "energy", ENERGY | {"wh_per_output_token": 0.002}, JULY)
    approve(people, "org_a", "energy", ENERGY | {"wh_per_output_token": 0.003})  # of the first
    found = terms_of(people)
    assert [wh_on(found, day) for day in (JANUARY, date(2026, 6, 30), JULY)] == [
        0.003, 0.003, 0.002,
    ]  # fmt: skip


def test_an_end_needs_a_second_person_and_changes_no_row(people: ControlStore) -> None:
    first = approve(people, "org_a", "energy", ENERGY)
    plain = wh_on(NO_TERMS, JULY)
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        end = own.propose_end(first.id, JULY, BOB)
        assert own.terms().energy[0].valid_to is None
        own.approve(end.id, ANN)
        found = own.terms()
        assert own.get(first.id) == first
        with pytest.raises(Conflict, match="only an approved statement can be ended"):
            own.propose_end(end.id, JULY, BOB)
    assert [wh_on(found, day) for day in (date(2026, 6, 30), JULY)] == [0.001, plain]


def test_an_end_before_the_beginning_takes_it_away_whole(people: ControlStore) -> None:
    first = approve(people, "org_a", "energy", ENERGY)
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        own.approve(own.propose_end(first.id, JANUARY, ANN).id, BOB)
    assert terms_of(people) == NO_TERMS


OF_OVERRIDES: dict[str, Callable[[OrgOverrides, str], object]] = {
    "get": lambda own, id: own.get(id),
    "approve": lambda own, id: own.approve(id, BOB),
    "reject": lambda own, id: own.reject(id, BOB, "no"),
    "withdraw": lambda own, id: own.withdraw(id, ANN),
    "propose_end": lambda own, id: own.propose_end(id, JULY, ANN),
}
UNADDRESSED = {"propose", "list", "terms"}


def test_every_method_that_takes_an_id_is_tried_with_a_foreign_one() -> None:
    public = {name for name in vars(OrgOverrides) if not name.startswith("_")}
    assert OF_OVERRIDES.keys() | UNADDRESSED == public


@pytest.mark.parametrize("name", OF_OVERRIDES)
def test_what_is_another_organisations_is_not_there(people: ControlStore, name: str) -> None:
    theirs = approve(people, "org_b", "energy", ENERGY)
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        assert own.list() == ()
        with pytest.raises(NotFound, match=rf"no override '{theirs.id}' in org_a"):
            OF_OVERRIDES[name](own, theirs.id)
        assert OrgOverrides(tx, "org_b").get(theirs.id) == theirs


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("water", {}, "no override of the kind 'water': use energy, contract, region, method"),
        ("energy", {"document": None}, "document: "),
        ("energy", {"wh_per_output_token": 0}, "wh_per_output_token: it should be greater"),
        ("energy", {"wh_per_output_token": -0.001}, "wh_per_output_token: it should be greater"),
        ("energy", {"wh_per_output_token": 1.5}, "less than or equal to 0.1"),  # mWh, perhaps
        ("energy", {"wh_per_output_token": math.nan}, "finite number"),
        ("energy", {"wh_per_input_token": math.inf}, "finite number"),
        ("energy", {"model": " "}, "model: it should have at least 1"),
        ("energy", {"model": "a\nb"}, "model: it must be one line"),
        ("energy", {"provider": "opnai"}, "provider: there is no provider 'opnai'"),
        ("energy", {"basis": "guess"}, "basis: it should be 'override' or 'disclosed'"),
        ("energy", {"colour": "green"}, "An override of the kind energy has no colour"),
        ("energy", {"document": DOCUMENT | {"year": 26}}, r"document\.year: it should be greater"),
        ("contract", {"co2e_g_per_kwh": -1}, "co2e_g_per_kwh: it should be greater"),
        ("contract", {"co2e_g_per_kwh": 20_000}, "co2e_g_per_kwh: it should be less"),
        ("contract", {"zone": "Atlantis"}, "zone: there is no zone 'Atlantis'; such as USA"),
        ("contract", {"instrument": "offset"}, "instrument: it should be 'ppa'"),
        ("region", {"zone": "SWE"}, "name a place or a provider, one of the two"),
        ("region", {"zone": "SWE", "place": "x", "provider": "openai"}, "one of the two"),
        ("method", {"method": "measured"}, "method: there is no method 'measured'; use one of"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_door(
    kind: str, given: dict[str, Any], says: str, people: ControlStore
) -> None:
    body = {"energy": ENERGY, "contract": CONTRACT}.get(kind, {}) | given
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        with pytest.raises(Invalid, match=says):
            own.propose(kind, body, JANUARY, None, ANN)
        assert own.list() == ()


def test_evidence_and_days_are_asked_for(people: ControlStore) -> None:
    with people.begin() as tx:
        own = OrgOverrides(tx, "org_a")
        for kind, body in (("energy", ENERGY), ("contract", CONTRACT)):
            bare = {name: value for name, value in body.items() if name != "document"}
            with pytest.raises(Invalid, match=f"An override of the kind {kind} needs document"):
                own.propose(kind, bare, JANUARY, None, ANN)
        for last in (JANUARY, date(2025, 12, 31)):
            with pytest.raises(Invalid, match="must lie after the first day"):
                own.propose("energy", ENERGY, JANUARY, last, ANN)
        with pytest.raises(Invalid, match="Days lie between 2000-01-01 and 2100-01-01"):
            own.propose("energy", ENERGY, date(1926, 1, 1), None, ANN)
        with pytest.raises(Invalid, match="A note is one line"):
            own.propose("energy", ENERGY, JANUARY, None, ANN, "two\nlines")


STATED = (
    "--model", "gpt-4o", "--wh-per-output-token", "0.001", "--document", "Energy of our models",
    "--reference", "docs/energy.pdf", "--year", "2026", "--from", "2026-01-01",
)  # fmt: skip


def test_on_the_command_line(run: Run) -> None:
    run("seed")
    run("users", "create", "user_bob", "--role", "admin")
    made = answer(run, "overrides", "propose", "energy", *STATED, "--as", "user_alice")
    assert made["says"] == "gpt-4o: 0.001 Wh per output token, override of the organisation"
    assert made["document"] == "Energy of our models (2026), docs/energy.pdf"
    id = made["id"]
    assert "another member" in run("overrides", "approve", id, "--as", "user_alice", code=1).stderr
    explained = ("explain", "gpt-4o", "--provider", "openai", "--zone", "USA", "--output-tokens")
    by_org = (*explained, "300", "--org", "org_demo")
    assert answer(run, *by_org)["tier_energy"] == "D"
    run("overrides", "approve", id, "--as", "user_bob")
    # 0.001 Wh · 300 · PUE 1.20 = 0.36 Wh
    stated = answer(run, *by_org)
    assert (stated["tier_energy"], round(stated["energy_wh"]["mid"], 9)) == ("B", 0.36)
    assert answer(run, *explained, "300")["tier_energy"] == "D"
    assert "already and stays so" in run(
        "overrides", "reject", id, "--as", "user_bob", "--note", "late", code=1
    ).stderr  # fmt: skip
    silent = run("overrides", "reject", id, "--as", "user_bob", code=2).stderr
    assert "Missing option '--note'" in silent
    ended = ("overrides", "propose", "energy", "--ends", id, "--from", "2026-07-01")
    end = answer(run, *ended, "--as", "user_bob")
    assert end["says"] == f"ends {id}"
    run("overrides", "withdraw", end["id"], "--as", "user_bob")
    listed = answer(run, "overrides", "list")
    assert [(each["id"], each["status"]) for each in listed] == [
        (id, "approved"),
        (end["id"], "withdrawn"),
    ]
    assert answer(run, "overrides", "list", "--status", "withdrawn") == listed[1:]
    assert answer(run, "overrides", "show", id)["decided_by"] == "user_bob"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("propose", "energy", "--as", "user_alice", "--from", "soon"), "is not a day such as"),
        (("propose", "energy", "--as", "user_alice", "--from", "2026-01-01"), "needs model"),
        (("propose", "method", *STATED, "--as", "user_alice"), "kind method needs method"),
        (("list", "--status", "old"), "There is no status 'old'"),
        (("show", "ov_none"), "There is no override 'ov_none' in org_demo"),
        (("propose", "energy", "--ends", "ov_1", *STATED, "--as", "user_alice"), "stands alone"),
    ],
)
def test_what_the_command_line_refuses(run: Run, words: tuple[str, ...], says: str) -> None:
    run("seed")
    assert says in run("overrides", *words, code=1).stderr

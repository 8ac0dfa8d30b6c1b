"""What is another organisation's is not there, for any method that takes an id."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from control.conftest import DAY, PEPPERS, Clock, keys_of

from ecomind_receiver.api_keys import mint
from ecomind_receiver.control.errors import ControlError, NotFound
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.orgs import add_member, ensure_user, get_org, set_quota
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.records import Role
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.control.tables import api_keys
from ecomind_receiver.tenants import Scope

OF_OWN: dict[str, Callable[[Own], object]] = {
    "project": lambda own: own.project("theirs"),
    "member": lambda own: own.member("user_eve"),
    "set_role": lambda own: own.set_role("user_eve", Role.OWNER),
    "remove_member": lambda own: own.remove_member("user_eve"),
    "setting": lambda own: own.setting("theirs"),
}
UNADDRESSED = {"create_project", "projects", "members", "set_setting"}


def test_every_method_that_takes_an_id_is_tried_with_a_foreign_one() -> None:
    assert OF_OWN.keys() | UNADDRESSED == {name for name in vars(Own) if not name.startswith("_")}


@pytest.mark.parametrize("name", OF_OWN)
def test_what_is_another_organisations_is_not_found(orgs: ControlStore, name: str) -> None:
    with orgs.begin() as tx:
        ensure_user(tx, "user_eve")
        add_member(tx, "org_b", "user_eve", Role.VIEWER)
        theirs = Own(tx, "org_b")
        theirs.create_project("theirs")
        theirs.set_setting("theirs", 1)
        with tx.begin_nested() as undone:
            OF_OWN[name](theirs)  # its owner finds it
            undone.rollback()
    with orgs.begin() as tx:
        with pytest.raises(NotFound) as foreign:
            OF_OWN[name](Own(tx, "org_a"))
        before = str(foreign.value)
    with orgs.begin() as tx:
        own = Own(tx, "org_a")
        assert own.members() == ()
        assert [project.id for project in own.projects()] == ["default"]
    assert before.endswith("in org_a.")


def test_an_organisation_that_is_not_there_is_not_found(orgs: ControlStore) -> None:
    acts: tuple[Callable[[Any], object], ...] = (
        lambda tx: Own(tx, "org_none"),
        lambda tx: OrgKeys(tx, "org_none", PEPPERS),
        lambda tx: get_org(tx, "org_none"),
        lambda tx: set_quota(tx, "org_none", 1, None),
        lambda tx: add_member(tx, "org_none", "user_ann", Role.OWNER),
    )
    for act in acts:
        with pytest.raises(NotFound, match="no organisation 'org_none'"), orgs.begin() as tx:
            act(tx)
    with pytest.raises(NotFound, match="no user 'user_none'"), orgs.begin() as tx:
        add_member(tx, "org_a", "user_none", Role.OWNER)
    assert issubclass(NotFound, ControlError)


OF_KEYS: dict[str, Callable[[OrgKeys, str], object]] = {
    "get": lambda keys, key_id: keys.get(key_id),
    "revoke": lambda keys, key_id: keys.revoke(key_id),
    "rotate": lambda keys, key_id: keys.rotate(key_id, DAY),
    "create": lambda keys, key_id: keys.create("ci", "theirs", [Scope.INGEST]),
}


def test_every_method_on_keys_that_takes_an_id_is_tried_with_a_foreign_one() -> None:
    assert OF_KEYS.keys() | {"list"} == {name for name in vars(OrgKeys) if not name.startswith("_")}


@pytest.mark.parametrize("name", OF_KEYS)
def test_keys_of_another_organisation_are_not_found(
    orgs: ControlStore, clock: Clock, name: str
) -> None:
    with orgs.begin() as tx:
        theirs = keys_of(tx, clock, "org_b")
        theirs._own.create_project("theirs")
        key, _ = theirs.create("ci", "theirs", [Scope.INGEST])
        with tx.begin_nested() as undone:
            OF_KEYS[name](theirs, key.id)  # its owner finds it
            undone.rollback()
    before = orgs.changes()
    with pytest.raises(NotFound, match=r"in org_a\.$"), orgs.begin() as tx:
        OF_KEYS[name](keys_of(tx, clock), key.id)
    with orgs.reading() as tx:
        assert keys_of(tx, clock, "org_b").list() == (key,)
        assert keys_of(tx, clock).list() == ()
    assert orgs.changes() == before


def test_the_database_itself_refuses_a_project_or_successor_of_another(
    orgs: ControlStore, clock: Clock
) -> None:
    with orgs.begin() as tx:
        keys_of(tx, clock, "org_b")._own.create_project("theirs")
        other, _ = keys_of(tx, clock, "org_b").create("ci", "theirs", [Scope.INGEST])
        key, _ = keys_of(tx, clock).create("ci", "default", [Scope.INGEST])
    for values in ({"project_id": "theirs"}, {"replaced_by": other.id}):
        with pytest.raises(ControlError, match="refuses the change"), orgs.begin() as tx:
            tx.execute(sa.update(api_keys).where(api_keys.c.id == key.id).values(values))


def test_a_whole_key_given_for_an_id_is_not_repeated(orgs: ControlStore, clock: Clock) -> None:
    text = mint("live").text
    with orgs.reading() as tx, pytest.raises(NotFound, match=r"^There is no such key in org_a\.$"):
        keys_of(tx, clock).get(text)
    with orgs.reading() as tx, pytest.raises(NotFound, match="no key 12345678 in org_a"):
        keys_of(tx, clock).get("12345678")

"""Organisations, projects, members, settings; what is another's is not there."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from control.conftest import PEPPERS

from ecomind_receiver.control.errors import Conflict, Invalid, NotFound
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.orgs import (
    add_member,
    create_org,
    ensure_user,
    get_org,
    list_orgs,
    set_quota,
)
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.records import Role
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.tenants import Scope


def test_organisations_are_listed_with_what_they_have(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        Own(tx, "org_b").create_project("web-2", "The web")
        keys = OrgKeys(tx, "org_b", PEPPERS)
        first, _ = keys.create("one", "default", [Scope.INGEST])
        keys.create("two", "default", [Scope.INGEST])
        keys.revoke(first.id)
        listed = list_orgs(tx)
    assert [(org.id, org.name, org.projects, org.live_keys) for org in listed] == [
        ("org_a", "org_a", 1, 0),
        ("org_b", "org_b", 2, 1),
    ]


def test_ids_of_organisations_and_users_have_one_form(store: ControlStore) -> None:
    with store.begin() as tx:
        for text in ("", "ab", "Org", "1org", "org-a", "o" * 64, "org_a ", "org\n", "örg"):
            with pytest.raises(Invalid, match="a letter first"):
                create_org(tx, text)
            with pytest.raises(Invalid, match="a letter first"):
                ensure_user(tx, text)


def test_the_longest_and_shortest_ids(store: ControlStore) -> None:
    with store.begin() as tx:
        assert create_org(tx, "o" * 63).id == "o" * 63
        create_org(tx, "abc")
        own = Own(tx, "abc")
        assert [own.create_project(project).id for project in ("1", "a_-" * 21)]


def test_ids_of_projects_have_one_form(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        for text in ("", "-a", "_a", "A", "a/b", "a" * 64):
            with pytest.raises(Invalid, match="id of a new project"):
                Own(tx, "org_a").create_project(text)


def test_names_are_one_printable_line(store: ControlStore) -> None:
    with store.begin() as tx:
        for name in (" ", "x" * 101, "two\nlines", "\x1b[31m"):
            with pytest.raises(Invalid, match="1 to 100 characters"):
                create_org(tx, "org_a", name)


def test_what_exists_already_is_a_conflict(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        with pytest.raises(Conflict, match="an organisation org_a already"):
            create_org(tx, "org_a")
        with pytest.raises(Conflict, match="a project default in org_a already"):
            Own(tx, "org_a").create_project("default")


def test_one_of_several_who_create_the_same_wins(store: ControlStore) -> None:
    def create(_: int) -> str:
        try:
            with store.begin() as tx:
                create_org(tx, "org_a")
            return "made"
        except Conflict:
            return "refused"

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(create, range(4))) == ["made"] + ["refused"] * 3


def test_a_quota_is_set_changed_and_taken_away(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        org = set_quota(tx, "org_a", 500.5, 2000)
        assert (org.spans_per_second, org.burst_spans) == (500.5, 2000)
        assert set_quota(tx, "org_a", 1, None).burst_spans is None
        assert set_quota(tx, "org_a", None, None).spans_per_second is None
        assert get_org(tx, "org_b").spans_per_second is None
    assert orgs.changes() == 3


def test_a_quota_that_makes_no_sense_is_refused(orgs: ControlStore) -> None:
    rates = [
        (0, None),
        (-1, None),
        (1e-300, None),
        (0.00099, None),
        (math.inf, None),
        (math.nan, None),
    ]
    for rate, burst in (*rates, (1, 0), (1, 2**31), (None, 5)):
        with pytest.raises(Invalid, match=r"A rate is|A burst is"), orgs.begin() as tx:
            set_quota(tx, "org_a", rate, burst)
    assert orgs.changes() == 0


def test_a_user_may_be_in_two_organisations_with_two_roles(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        ensure_user(tx, "user_ann", "Ann")
        ensure_user(tx, "user_ann", "Another name")  # the account stays as it is
        add_member(tx, "org_a", "user_ann", Role.OWNER)
        add_member(tx, "org_b", "user_ann", Role.BILLING)
        with pytest.raises(Conflict, match="a member of org_b already"):
            add_member(tx, "org_b", "user_ann", Role.OWNER)
        members = [Own(tx, org).member("user_ann") for org in ("org_a", "org_b")]
    assert [(m.org_id, m.name, m.role) for m in members] == [
        ("org_a", "Ann", Role.OWNER),
        ("org_b", "Ann", Role.BILLING),
    ]


def test_the_last_owner_stays(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        for user in ("user_ann", "user_bob"):
            ensure_user(tx, user)
        add_member(tx, "org_a", "user_ann", Role.OWNER)
        add_member(tx, "org_a", "user_bob", Role.VIEWER)
        own = Own(tx, "org_a")
        for act in (
            lambda: own.remove_member("user_ann"),
            lambda: own.set_role("user_ann", Role.ADMIN),
        ):
            with pytest.raises(Conflict, match="the last owner of org_a"):
                act()
        assert own.set_role("user_bob", Role.OWNER).role is Role.OWNER
        own.remove_member("user_ann")
        assert [(member.user_id, member.role) for member in own.members()] == [
            ("user_bob", Role.OWNER)
        ]


def test_two_owners_who_leave_at_once_do_not_both_leave(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        for user in ("user_ann", "user_bob"):
            ensure_user(tx, user)
            add_member(tx, "org_a", user, Role.OWNER)

    def leave(user: str) -> bool:
        try:
            with orgs.begin() as tx:
                Own(tx, "org_a").remove_member(user)
            return True
        except Conflict:
            return False

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(leave, ("user_ann", "user_bob"))) == [False, True]


def test_a_setting_holds_any_json_value_for_one_organisation(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        own = Own(tx, "org_a")
        for value in (None, True, 1.5, "text", ["a", {"b": None}]):
            own.set_setting("report.currency", value)
            assert own.setting("report.currency") == value
        with pytest.raises(NotFound, match=r"'report\.currency' is not set in org_b"):
            Own(tx, "org_b").setting("report.currency")
        with pytest.raises(Invalid, match="id of a new setting"):
            own.set_setting("Not a name", 1)

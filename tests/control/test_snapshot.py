"""What receivers read: every live key and quota of one moment, and when keys were used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from control.conftest import DAY, NOW, PEPPERS

from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.orgs import set_quota
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.seed import seed
from ecomind_receiver.control.snapshot import read_snapshot, touch
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.limits import Quota
from ecomind_receiver.tenants import LOCAL, Scope


def test_a_snapshot_holds_live_keys_of_all_and_their_quotas(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        a, b = (OrgKeys(tx, org, PEPPERS, lambda: NOW) for org in ("org_a", "org_b"))
        kept, _ = a.create("kept", "default", [Scope.INGEST])
        brief, _ = a.create("brief", None, [Scope.READ], expires_at=NOW + DAY)
        theirs, _ = b.create("theirs", "default", [Scope.INGEST])
        gone, _ = b.create("gone", "default", [Scope.INGEST])
        b.revoke(gone.id)
        set_quota(tx, "org_a", 100, None)
        set_quota(tx, "org_b", 5, 7)
    now = read_snapshot(orgs, NOW, burst_seconds=3)
    assert now.keys == {key.id: key for key in (kept, brief, theirs)}
    assert now.quotas == {"org_a": Quota(100, 300), "org_b": Quota(5, 7)}
    assert now.number == orgs.changes() == 7
    assert read_snapshot(orgs, NOW + DAY, 10).keys.keys() == {kept.id, theirs.id}


def test_an_organisation_without_quota_is_left_to_the_default(orgs: ControlStore) -> None:
    assert read_snapshot(orgs, NOW, 10).quotas == {}


def test_every_change_to_keys_and_quotas_raises_the_number_and_nothing_else_does(
    orgs: ControlStore,
) -> None:
    seen = [orgs.changes()]
    with orgs.begin() as tx:
        key, _ = OrgKeys(tx, "org_a", PEPPERS).create("ci", "default", [Scope.INGEST])
    seen.append(orgs.changes())
    with orgs.begin() as tx:
        new, _ = OrgKeys(tx, "org_a", PEPPERS).rotate(key.id, DAY)
    seen.append(orgs.changes())
    with orgs.begin() as tx:
        OrgKeys(tx, "org_a", PEPPERS).revoke(key.id)
    seen.append(orgs.changes())
    with orgs.begin() as tx:
        set_quota(tx, "org_a", 5, None)
    seen.append(orgs.changes())
    with orgs.begin() as tx:
        Own(tx, "org_a").create_project("web")
        Own(tx, "org_a").set_setting("name", 1)
        touch(tx, {new.id: NOW})
    assert [*seen, orgs.changes()] == [0, 1, 2, 3, 4, 4]


def test_last_use_goes_forward_only(orgs: ControlStore) -> None:
    with orgs.begin() as tx:
        keys = OrgKeys(tx, "org_a", PEPPERS)
        one, two = (keys.create(name, "default", [Scope.INGEST])[0].id for name in "ab")
    for used in (
        {},
        {one: NOW, two: NOW + DAY, "nosuchid": NOW},
        {one: NOW + DAY, two: NOW},
    ):
        with orgs.begin() as tx:
            touch(tx, used)
    with orgs.reading() as tx:
        keys = OrgKeys(tx, "org_a", PEPPERS)
        assert [keys.get(key).last_used_at for key in (one, two)] == [NOW + DAY] * 2


def test_receivers_that_note_the_same_keys_at_once_do_not_wait_for_each_other(
    orgs: ControlStore,
) -> None:
    """In opposite orders, PostgreSQL would end one of them as a deadlock."""
    with orgs.begin() as tx:
        keys = OrgKeys(tx, "org_a", PEPPERS)
        ids = [keys.create(f"k{n}", "default", [Scope.INGEST])[0].id for n in range(40)]

    def note(turn: int) -> None:
        for step in range(5):
            order = ids if turn % 2 else ids[::-1]
            with orgs.begin() as tx:
                touch(tx, dict.fromkeys(order, NOW + timedelta(seconds=turn * 5 + step)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(note, range(4)))
    with orgs.reading() as tx:
        used = {key.last_used_at for key in OrgKeys(tx, "org_a", PEPPERS).list()}
    assert used == {NOW + timedelta(seconds=19)}


def test_seeding_twice_changes_nothing_the_second_time(store: ControlStore) -> None:
    with store.begin() as tx:
        made, text = seed(tx, PEPPERS)
    assert text is not None
    assert (made.org_id, made.project_id) == LOCAL == ("org_demo", "default")
    assert made.name == "seed"
    assert made.scopes == {Scope.INGEST, Scope.READ}
    before = read_snapshot(store, NOW, 10)
    with store.begin() as tx:
        assert seed(tx, PEPPERS) == (made, None)
        owner = Own(tx, "org_demo").member("user_alice")
    assert (owner.name, owner.role) == ("Alice", "owner")
    assert read_snapshot(store, NOW, 10) == before


def test_seeding_at_once_makes_one_key(store: ControlStore) -> None:
    def plant(_: int) -> str | None:
        with store.begin() as tx:
            return seed(tx, PEPPERS)[1]

    with ThreadPoolExecutor(4) as pool:
        assert len(list(filter(None, pool.map(plant, range(4))))) == 1
    assert len(read_snapshot(store, NOW, 10).keys) == 1


def test_seeding_finds_the_live_key_of_a_rotation_and_revives_none(store: ControlStore) -> None:
    with store.begin() as tx:
        first, _ = seed(tx, PEPPERS)
        keys = OrgKeys(tx, "org_demo", PEPPERS)
        second, _ = keys.rotate(first.id, DAY)
        assert seed(tx, PEPPERS) == (second, None)
        keys.revoke(second.id)
        assert seed(tx, PEPPERS) == (keys.get(first.id), None)
        keys.revoke(first.id)
        found, text = seed(tx, PEPPERS)
        assert (found.id, text) == (second.id, None)

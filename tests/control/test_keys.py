"""API keys: their rules, their rotation, and that another organisation's are not there."""

from __future__ import annotations

import dataclasses
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from control.conftest import DAY, NOW, PEPPERS, Clock, keys_of

from ecomind_receiver.api_keys import Peppers, parse
from ecomind_receiver.control.errors import Conflict, Invalid
from ecomind_receiver.control.keys import KeyRecord, OrgKeys
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.control.tables import api_keys
from ecomind_receiver.tenants import Scope

SITE = "https://app.example.com"


def test_a_key_is_stored_without_its_text(orgs: ControlStore, clock: Clock) -> None:
    with orgs.begin() as tx:
        made, text = keys_of(tx, clock).create("ci", "default", {Scope.READ, Scope.INGEST}, "test")
    parsed = parse(text)
    assert parsed is not None
    assert text.startswith("eco_test_") and parsed.id == made.id
    assert made == KeyRecord(
        id=parsed.id,
        org_id="org_a",
        project_id="default",
        name="ci",
        kind="test",
        scopes=frozenset({Scope.INGEST, Scope.READ}),
        digest=PEPPERS.digest(text, 1),
        pepper_version=1,
        pepper_mark=PEPPERS.mark(1),
        public=False,
        origins=(),
        spans_per_second=None,
        created_at=NOW,
        expires_at=None,
        revoked_at=None,
        last_used_at=None,
        replaced_by=None,
    )
    with orgs.reading() as tx:
        (row,) = tx.execute(sa.select(api_keys))
        assert text[18:] not in str(tuple(row))
        assert keys_of(tx, clock).list() == (made,)
    assert "digest" not in repr(made)
    assert made.shown == f"eco_test_{made.id}…"


def test_new_keys_take_the_newest_pepper(orgs: ControlStore, clock: Clock) -> None:
    two = Peppers({1: bytes(range(32)), 2: bytes(range(64, 96))})
    with orgs.begin() as tx:
        key, text = OrgKeys(tx, "org_a", two, clock).create("ci", "default", [Scope.READ])
    assert (key.pepper_version, key.digest) == (2, two.digest(text, 2))


def test_a_key_can_be_revoked_once_and_stays_so(orgs: ControlStore, clock: Clock) -> None:
    with orgs.begin() as tx:
        keys = keys_of(tx, clock)
        key, _ = keys.create("ci", "default", [Scope.INGEST], expires_at=NOW + DAY)
        assert (key.live(NOW), key.live(NOW + DAY)) == (True, False)
        assert keys.revoke(key.id).revoked_at == NOW
        clock.now += DAY
        revoked = keys.revoke(key.id)
    assert (revoked.revoked_at, revoked.live(NOW)) == (NOW, False)


def test_a_rotation_overlaps_and_keeps_rights_and_lifetime(
    orgs: ControlStore, clock: Clock
) -> None:
    with orgs.begin() as tx:
        keys = keys_of(tx, clock)
        given: dict[str, Any] = {"public": True, "origins": [SITE], "spans_per_second": 3}
        old, _ = keys.create("p", "default", [Scope.INGEST], "test", NOW + 30 * DAY, **given)
        clock.now += 10 * DAY
        new, text = keys.rotate(old.id, 2 * DAY)
        old = keys.get(old.id)
    assert parse(text) is not None
    own = {"id", "digest", "created_at", "expires_at", "replaced_by"}
    same = {f.name for f in dataclasses.fields(KeyRecord)} - own
    assert {n: getattr(new, n) for n in same} == {n: getattr(old, n) for n in same}
    assert (new.created_at, new.expires_at) == (NOW + 10 * DAY, NOW + 40 * DAY)
    assert (old.expires_at, old.replaced_by) == (NOW + 12 * DAY, new.id)
    assert new.digest == PEPPERS.digest(text, 1) != old.digest


def test_a_rotation_never_lengthens_the_life_of_the_old_key(
    orgs: ControlStore, clock: Clock
) -> None:
    with orgs.begin() as tx:
        keys = keys_of(tx, clock)
        old, _ = keys.create("ci", "default", [Scope.INGEST], expires_at=NOW + DAY)
        keys.rotate(old.id, 7 * DAY)
        assert keys.get(old.id).expires_at == NOW + DAY


def test_a_rotation_without_grace_ends_the_old_key_at_once(
    orgs: ControlStore, clock: Clock
) -> None:
    with orgs.begin() as tx:
        keys = keys_of(tx, clock)
        old, _ = keys.create("ci", "default", [Scope.INGEST])
        new, _ = keys.rotate(old.id, timedelta(0))
        assert not keys.get(old.id).live(NOW)
        assert (new.live(NOW), new.expires_at) == (True, None)
        keys.rotate(new.id, DAY)  # nothing else of the chain is live


def test_no_third_key_of_a_chain_is_live(orgs: ControlStore, clock: Clock) -> None:
    with orgs.begin() as tx:
        keys = keys_of(tx, clock)
        old, _ = keys.create("ci", "default", [Scope.INGEST])
        new, _ = keys.rotate(old.id, DAY)
        for key, other in ((old, new), (new, old)):
            with pytest.raises(Conflict, match=f"{key.id} is being rotated: {other.id} works"):
                keys.rotate(key.id, DAY)
        clock.now += DAY  # the old one is over
        newest, _ = keys.rotate(new.id, DAY)
        with pytest.raises(Conflict, match=r"revoked or expired\. Create another"):
            keys.rotate(old.id, DAY)
        assert [k.id for k in keys.list() if k.live(clock.now)] == [new.id, newest.id]


def test_a_successor_that_was_revoked_can_be_replaced(orgs: ControlStore, clock: Clock) -> None:
    """The new successor is made to last as the first one was, not as the grace period does."""
    with orgs.begin() as tx:
        keys = keys_of(tx, clock)
        forever, _ = keys.create("ci", "default", [Scope.INGEST])
        lost, _ = keys.rotate(forever.id, DAY)
        keys.revoke(lost.id)
        assert keys.rotate(forever.id, DAY)[0].expires_at is None
        with pytest.raises(Conflict, match="revoked or expired"):
            keys.rotate(lost.id, DAY)


@pytest.mark.parametrize("grace", [timedelta(seconds=-1), timedelta(days=90, seconds=1)])
def test_a_grace_has_bounds(orgs: ControlStore, clock: Clock, grace: timedelta) -> None:
    with orgs.begin() as tx:
        key, _ = keys_of(tx, clock).create("ci", "default", [Scope.INGEST])
        with pytest.raises(Invalid, match="0 to 90 days"):
            keys_of(tx, clock).rotate(key.id, grace)


def test_of_many_rotations_at_once_one_wins(orgs: ControlStore, clock: Clock) -> None:
    with orgs.begin() as tx:
        key, _ = keys_of(tx, clock).create("ci", "default", [Scope.INGEST])

    def rotate(_: int) -> str:
        try:
            with orgs.begin() as tx:
                return keys_of(tx, clock).rotate(key.id, DAY)[0].id
        except Conflict:
            return ""

    with ThreadPoolExecutor(6) as pool:
        made = list(filter(None, pool.map(rotate, range(6))))
    with orgs.reading() as tx:
        live = {k.id for k in keys_of(tx, clock).list() if k.live(NOW)}
    assert live == {key.id, *made}
    assert len(live) == 2


def test_no_key_and_no_change_is_lost_when_many_are_made_at_once(
    orgs: ControlStore, clock: Clock
) -> None:
    numbers = itertools.count()

    def create(_: int) -> str:
        with orgs.begin() as tx:
            return keys_of(tx, clock).create(f"k{next(numbers)}", "default", [Scope.INGEST])[0].id

    with ThreadPoolExecutor(6) as pool:
        made = set(pool.map(create, range(24)))
    with orgs.reading() as tx:
        assert {key.id for key in keys_of(tx, clock).list()} == made
    assert (len(made), orgs.changes()) == (24, 24)

"""What an operator does across organisations: make them, list them, set quotas, admit users.

Only here does code see several organisations at once; everything inside one is in `own` and `keys`.
"""

from __future__ import annotations

import math

from sqlalchemy import Connection, Row, Select, func, insert, or_, select, update

from ecomind_receiver.control import changes
from ecomind_receiver.control.errors import Conflict, Invalid, NotFound
from ecomind_receiver.control.ids import checked_id, checked_name, utc_now
from ecomind_receiver.control.records import OrgRecord, Role
from ecomind_receiver.control.tables import api_keys, memberships, orgs, projects, users

RATE_MIN_SPANS_PER_SECOND = 0.001
"""A span in a quarter of an hour: with less, a bucket would hardly ever be full again."""


def create_org(tx: Connection, org_id: str, name: str = "") -> OrgRecord:
    """A new organisation, named as its id unless named otherwise. Raises Invalid, Conflict."""
    row = {
        "id": checked_id("organisation", org_id),
        "name": checked_name(name or org_id),
        "created_at": utc_now(),
    }
    changes.lock(tx)
    if exists(tx, org_id):
        raise Conflict(f"There is an organisation {org_id} already.")
    tx.execute(insert(orgs).values(row))
    return get_org(tx, org_id)


def exists(tx: Connection, org_id: str) -> bool:
    """Whether there is such an organisation."""
    return tx.execute(select(orgs.c.id).where(orgs.c.id == org_id)).first() is not None


def get_org(tx: Connection, org_id: str) -> OrgRecord:
    """One organisation. Raises NotFound."""
    row = tx.execute(_orgs().where(orgs.c.id == org_id)).first()
    if row is None:
        raise NotFound(f"There is no organisation {org_id[:80]!r}.")
    return _record(row)


def list_orgs(tx: Connection) -> tuple[OrgRecord, ...]:
    """Every organisation by id, with the number of its projects and live keys."""
    return tuple(map(_record, tx.execute(_orgs().order_by(orgs.c.id))))


def org_of_key(tx: Connection, key_id: str) -> str | None:
    """The organisation that a key belongs to; None if there is no such key."""
    return tx.execute(select(api_keys.c.org_id).where(api_keys.c.id == key_id)).scalar()


def set_quota(
    tx: Connection, org_id: str, spans_per_second: float | None, burst_spans: int | None
) -> OrgRecord:
    """Limit an organisation; without a rate the server's default holds. Raises Invalid, NotFound.

    `burst_spans` may be sent at once; None leaves it to the server's seconds of burst.
    """
    checked_rate(spans_per_second)
    if burst_spans is not None and (spans_per_second is None or not 1 <= burst_spans < 2**31):
        raise Invalid("A burst is a whole number of spans from 1, given together with a rate.")
    changes.bump(tx)
    get_org(tx, org_id)
    quota = {"spans_per_second": spans_per_second, "burst_spans": burst_spans}
    tx.execute(update(orgs).where(orgs.c.id == org_id).values(quota))
    return get_org(tx, org_id)


def checked_rate(spans_per_second: float | None) -> None:
    """Raises Invalid unless it is None or a finite number of at least 0.001."""
    if spans_per_second is not None and not (
        math.isfinite(spans_per_second) and spans_per_second >= RATE_MIN_SPANS_PER_SECOND
    ):
        raise Invalid(f"A rate is a number of spans per second from {RATE_MIN_SPANS_PER_SECOND}.")


def ensure_user(tx: Connection, user_id: str, name: str = "") -> None:
    """An account of that id; one that exists keeps its name. Raises Invalid."""
    row = {"id": checked_id("user", user_id), "name": checked_name(name or user_id)}
    changes.lock(tx)
    if tx.execute(select(users.c.id).where(users.c.id == user_id)).first() is None:
        tx.execute(insert(users).values(row | {"created_at": utc_now()}))


def add_member(tx: Connection, org_id: str, user_id: str, role: Role) -> None:
    """Make an account a member. Operators only: accounts exist outside organisations.

    Raises NotFound without such an organisation or account, Conflict if it is a member already.
    """
    changes.lock(tx)
    get_org(tx, org_id)
    if tx.execute(select(users.c.id).where(users.c.id == user_id)).first() is None:
        raise NotFound(f"There is no user {user_id[:80]!r}.")
    own = (memberships.c.org_id == org_id) & (memberships.c.user_id == user_id)
    if tx.execute(select(memberships.c.role).where(own)).first() is not None:
        raise Conflict(f"The user {user_id} is a member of {org_id} already.")
    row = {"org_id": org_id, "user_id": user_id, "role": role.value, "created_at": utc_now()}
    tx.execute(insert(memberships).values(row))


def _orgs() -> Select[tuple[object, ...]]:
    live = api_keys.c.revoked_at.is_(None) & or_(
        api_keys.c.expires_at.is_(None), api_keys.c.expires_at > utc_now()
    )
    counted = (
        select(func.count()).where(projects.c.org_id == orgs.c.id).scalar_subquery(),
        select(func.count()).where(api_keys.c.org_id == orgs.c.id, live).scalar_subquery(),
    )
    return select(orgs, counted[0].label("projects"), counted[1].label("live_keys"))


def _record(row: Row[tuple[object, ...]]) -> OrgRecord:
    return OrgRecord(**row._mapping)

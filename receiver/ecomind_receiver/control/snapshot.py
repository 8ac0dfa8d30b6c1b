"""Everything a receiver needs to let requests in, read at one moment; and when keys were used.

Keys that are over are left out. A key that expires while the copy is in use is the reader's to
refuse: its record says when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, bindparam, or_, select, update

from ecomind_receiver.control import changes
from ecomind_receiver.control.keys import record
from ecomind_receiver.control.records import KeyRecord
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.control.tables import api_keys, orgs
from ecomind_receiver.limits import Quota


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Live keys by id and quotas by organisation, as of change `number`.

    An organisation without a quota of its own is not in `quotas`.
    """

    number: int
    keys: dict[str, KeyRecord]
    quotas: dict[str, Quota]


def read_snapshot(store: ControlStore, now: datetime, burst_seconds: float) -> Snapshot:
    """The keys live at `now` and all quotas, in one consistent read. Raises ControlError.

    A quota without a burst of its own allows `burst_seconds` of its rate at once.
    """
    with store.reading() as tx:
        return Snapshot(changes.number(tx), _keys(tx, now), _quotas(tx, burst_seconds))


def touch(tx: Connection, used: Mapping[str, datetime]) -> None:
    """Note when keys were last used, by id; an earlier time than the one noted changes nothing."""
    later = or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at < bindparam("used_at"))
    statement = (
        update(api_keys)
        .where(api_keys.c.id == bindparam("key_id"), later)
        .values(last_used_at=bindparam("used_at"))
    )
    # In one order everywhere, so that two receivers never wait for each other's rows.
    rows = [{"key_id": key_id, "used_at": used[key_id]} for key_id in sorted(used)]
    if rows:
        tx.execute(statement, rows)


def _keys(tx: Connection, now: datetime) -> dict[str, KeyRecord]:
    live = select(api_keys).where(
        api_keys.c.revoked_at.is_(None),
        or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now),
    )
    return {row.id: record(row) for row in tx.execute(live)}


def _quotas(tx: Connection, burst_seconds: float) -> dict[str, Quota]:
    own = select(orgs.c.id, orgs.c.spans_per_second, orgs.c.burst_spans)
    return {
        row.id: Quota(row.spans_per_second, row.burst_spans or row.spans_per_second * burst_seconds)
        for row in tx.execute(own.where(orgs.c.spans_per_second.is_not(None)))
    }

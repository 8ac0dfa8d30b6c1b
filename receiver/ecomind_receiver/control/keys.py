"""The API keys of one organisation: made, listed, revoked, rotated.

A key's text exists in the answer of `create` and `rotate` and nowhere else. A rotation overlaps:
the old key works on for a while beside its successor, so at most two are live in one chain. Every
change raises the number that receivers watch, in the same transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ecomind_receiver.api_keys import ID_CHARACTERS, Kind, Peppers, mint
from ecomind_receiver.control import changes
from ecomind_receiver.control.errors import Conflict, Invalid, NotFound
from ecomind_receiver.control.ids import checked_name, utc_now
from ecomind_receiver.control.key_rules import (
    checked_expiry,
    checked_origins,
    checked_public,
    checked_scopes,
)
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.records import KeyRecord as KeyRecord
from ecomind_receiver.control.tables import api_keys
from ecomind_receiver.tenants import Scope

GRACE_MAX = timedelta(days=90)
_ID = re.compile(rf"[0-9A-Za-z]{{{ID_CHARACTERS}}}")


class OrgKeys:
    """The keys of one organisation in one transaction."""

    def __init__(
        self,
        tx: Connection,
        org_id: str,
        peppers: Peppers | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Only making keys takes peppers: who has none can still list and revoke.

        Raises NotFound if there is no such organisation.
        """
        self._own = Own(tx, org_id)
        self._tx = tx
        self._org_id = org_id
        self._peppers = peppers
        self._clock = clock

    def create(
        self,
        name: str,
        project_id: str | None,
        scopes: Iterable[Scope],
        kind: Kind = "live",
        expires_at: datetime | None = None,
        *,
        public: bool = False,
        origins: Iterable[str] = (),
        spans_per_second: float | None = None,
    ) -> tuple[KeyRecord, str]:
        """A new key and its text. Raises Invalid; NotFound for a project of another organisation.

        Without a project it reaches the whole organisation, and can't ingest.
        """
        wanted = checked_scopes(scopes, project_id)
        if project_id is not None:
            self._own.project(project_id)
        row = {
            "project_id": project_id,
            "name": checked_name(name),
            "kind": kind,
            "scopes": tuple(sorted(wanted)),
            "public": public,
            "origins": checked_origins(origins, public=public),
            "spans_per_second": checked_public(public, wanted, spans_per_second),
            "expires_at": checked_expiry(expires_at, self._clock()),
        }
        changes.bump(self._tx)
        return self._insert(row)

    def list(self) -> tuple[KeyRecord, ...]:
        """Every key, also those that are over, the oldest first."""
        own = select(api_keys).where(api_keys.c.org_id == self._org_id)
        rows = self._tx.execute(own.order_by(api_keys.c.created_at, api_keys.c.id))
        return tuple(map(record, rows))

    def get(self, key_id: str) -> KeyRecord:
        """One key. Raises NotFound."""
        row = self._tx.execute(select(api_keys).where(*self._is(key_id))).first()
        if row is None:
            # Not repeated unless it can only be an id: people paste whole keys.
            named = f"key {key_id}" if _ID.fullmatch(key_id) else "such key"
            raise NotFound(f"There is no {named} in {self._org_id}.")
        return record(row)

    def revoke(self, key_id: str) -> KeyRecord:
        """End a key now, for good; one that was revoked before stays as it is. Raises NotFound."""
        changes.bump(self._tx)
        if self.get(key_id).revoked_at is None:
            self._set(key_id, revoked_at=self._clock())
        return self.get(key_id)

    def rotate(self, key_id: str, grace: timedelta) -> tuple[KeyRecord, str]:
        """A successor with the same rights, and its text; the key itself works on for `grace`.

        The successor lives as long as its predecessor was made to. Raises NotFound, Invalid, and
        Conflict for a key that is over or already one of two live ones.
        """
        if not timedelta(0) <= grace <= GRACE_MAX:
            raise Invalid(f"The old key works on for 0 to {GRACE_MAX.days} days.")
        changes.bump(self._tx)
        now, old = self._clock(), self.get(key_id)
        self._alone(old, now)
        successor, text = self._insert(self._like(old, now))
        ends_at = now + grace if old.expires_at is None else min(old.expires_at, now + grace)
        self._set(key_id, expires_at=ends_at, replaced_by=successor.id)
        return successor, text

    def _alone(self, key: KeyRecord, now: datetime) -> None:
        """Raises Conflict unless the key is live and no key beside it in its chain is."""
        if not key.live(now):
            raise Conflict(f"The key {key.id} is revoked or expired. Create another instead.")
        for other in self.list():
            if other.live(now) and (other.id == key.replaced_by or other.replaced_by == key.id):
                raise Conflict(
                    f"The key {key.id} is being rotated: {other.id} works beside it."
                    " Revoke one of the two first, or wait until it has expired."
                )

    def _like(self, old: KeyRecord, now: datetime) -> dict[str, Any]:
        """The values of a successor. An earlier one, revoked since, still has the true lifetime."""
        model = self.get(old.replaced_by) if old.replaced_by else old
        lifetime = model.expires_at - model.created_at if model.expires_at else None
        return {
            "project_id": old.project_id,
            "name": old.name,
            "kind": old.kind,
            "scopes": tuple(sorted(old.scopes)),
            "public": old.public,
            "origins": old.origins,
            "spans_per_second": old.spans_per_second,
            "expires_at": now + lifetime if lifetime else None,
        }

    def _insert(self, row: dict[str, Any]) -> tuple[KeyRecord, str]:
        assert self._peppers is not None, "a key is made with a pepper"
        minted = mint(row["kind"])
        version = self._peppers.current
        made = {
            "id": minted.id,
            "org_id": self._org_id,
            "digest": self._peppers.digest(minted.text, version),
            "pepper_version": version,
            "pepper_mark": self._peppers.mark(version),
            "created_at": self._clock(),
        }
        self._tx.execute(insert(api_keys).values(row | made))
        return self.get(minted.id), minted.text

    def _set(self, key_id: str, **values: Any) -> None:
        self._tx.execute(update(api_keys).where(*self._is(key_id)).values(values))

    def _is(self, key_id: str) -> tuple[Any, Any]:
        return (api_keys.c.org_id == self._org_id, api_keys.c.id == key_id)


def record(row: Row[Any]) -> KeyRecord:
    """A row of api_keys as a record."""
    scopes = frozenset(map(Scope, row.scopes))
    return KeyRecord(**dict(row._mapping) | {"scopes": scopes})

"""What one organisation states of factors: proposed by one person, approved by another.

A statement that has been decided on is never changed and never deleted, because footprints rest on
it. A correction is another statement: of two that fit a call the one that came into force last
holds, and of the same day the one approved last. One that is to hold no longer is ended by a
statement that names it, which needs a second person like any other.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from ecomind_processor.terms import NO_TERMS, Terms, gathered, statement
from ecomind_receiver.control import changes
from ecomind_receiver.control.errors import Conflict, Invalid, NotFound
from ecomind_receiver.control.ids import utc_now
from ecomind_receiver.control.override_rules import checked_body, checked_days
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.records import OverrideRecord, Status
from ecomind_receiver.control.tables import factor_overrides

ENDS = "ends"
"""The only word in the body of a statement that ends another."""

_NOTE_MAX_CHARACTERS = 500


class OrgOverrides:
    """The statements of one organisation in one transaction."""

    def __init__(
        self, tx: Connection, org_id: str, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Raises NotFound if there is no such organisation."""
        self._own = Own(tx, org_id)
        self._tx = tx
        self._org_id = org_id
        self._clock = clock

    def propose(
        self,
        kind: str,
        body: Mapping[str, Any],
        valid_from: date,
        valid_to: date | None,
        proposed_by: str,
        note: str = "",
    ) -> OverrideRecord:
        """A new statement, which holds for nothing yet. Days are UTC, `valid_to` the first without.

        Raises Invalid; NotFound for who is no member.
        """
        checked = checked_body(kind, body)
        checked_days(valid_from, valid_to)
        return self._propose(kind, checked, valid_from, valid_to, proposed_by, note)

    def propose_end(
        self, id: str, valid_from: date, proposed_by: str, note: str = "", kind: str = ""
    ) -> OverrideRecord:
        """A proposal that an approved statement hold only before a day.

        Raises NotFound, Conflict, Invalid.
        """
        ended = self.get(id)
        checked_days(valid_from, None)
        if kind not in ("", ended.kind):
            raise Invalid(f"{id} is of the kind {ended.kind}, not {kind[:40]}.")
        if ended.status is not Status.APPROVED or ENDS in ended.body:
            raise Conflict(f"{id} is in force on no day: only an approved statement can be ended.")
        return self._propose(ended.kind, {ENDS: id}, valid_from, None, proposed_by, note)

    def approve(self, id: str, decided_by: str, note: str = "") -> OverrideRecord:
        """Let a proposal hold. Raises NotFound, Conflict."""
        return self._decide(id, Status.APPROVED, decided_by, note)

    def reject(self, id: str, decided_by: str, note: str = "") -> OverrideRecord:
        """Refuse a proposal, saying why. Raises NotFound, Conflict, Invalid."""
        if not note.strip():
            raise Invalid("Say in a note why it is rejected.")
        return self._decide(id, Status.REJECTED, decided_by, note)

    def withdraw(self, id: str, decided_by: str, note: str = "") -> OverrideRecord:
        """Take a proposal of one's own back. Raises NotFound, Conflict."""
        return self._decide(id, Status.WITHDRAWN, decided_by, note)

    def get(self, id: str) -> OverrideRecord:
        """One statement. Raises NotFound."""
        row = self._tx.execute(select(factor_overrides).where(*self._is(id))).first()
        if row is None:
            raise NotFound(f"There is no override {id[:40]!r} in {self._org_id}.")
        return _record(row)

    def list(self, statuses: Iterable[Status] = tuple(Status)) -> tuple[OverrideRecord, ...]:
        """Those of these statuses, in the order of proposal."""
        found = (
            select(factor_overrides)
            .where(
                factor_overrides.c.org_id == self._org_id,
                factor_overrides.c.status.in_([status.value for status in statuses]),
            )
            .order_by(factor_overrides.c.proposed_at, factor_overrides.c.id)
        )
        return tuple(map(_record, self._tx.execute(found)))

    def terms(self) -> Terms:
        """What holds for the organisation."""
        return read_terms(self._tx, self._org_id).get(self._org_id, NO_TERMS)

    def _propose(
        self,
        kind: str,
        body: dict[str, Any],
        valid_from: date,
        valid_to: date | None,
        proposed_by: str,
        note: str,
    ) -> OverrideRecord:
        changes.lock(self._tx)
        self._own.member(proposed_by)
        id = f"ov_{secrets.token_hex(6)}"
        row = {
            "id": id,
            "org_id": self._org_id,
            "kind": kind,
            "body": body,
            "status": Status.PROPOSED.value,
            "valid_from": valid_from,
            "valid_to": valid_to,
            "proposed_by": proposed_by,
            "proposed_at": self._clock(),
            "note": _checked_note(note),
        }
        self._tx.execute(insert(factor_overrides).values(row))
        return self.get(id)

    def _decide(self, id: str, status: Status, decided_by: str, note: str) -> OverrideRecord:
        if status is Status.APPROVED:
            changes.bump(self._tx)
        else:
            changes.lock(self._tx)
        found = self.get(id)
        self._own.member(decided_by)
        _check_decision(found, status, decided_by)
        values = {
            "status": status.value,
            "decided_by": decided_by,
            "decided_at": self._clock(),
            "note": _checked_note(note) or found.note,
        }
        self._tx.execute(update(factor_overrides).where(*self._is(id)).values(values))
        return self.get(id)

    def _is(self, id: str) -> tuple[Any, Any]:
        return (factor_overrides.c.org_id == self._org_id, factor_overrides.c.id == id)


def read_terms(tx: Connection, org_id: str | None = None) -> dict[str, Terms]:
    """What holds for each organisation that has stated something, or for one of them."""
    approved = (
        select(factor_overrides)
        .where(factor_overrides.c.status == Status.APPROVED.value)
        .order_by(factor_overrides.c.decided_at, factor_overrides.c.id)
    )
    if org_id is not None:
        approved = approved.where(factor_overrides.c.org_id == org_id)
    by_org: dict[str, list[OverrideRecord]] = {}
    for record in map(_record, tx.execute(approved)):
        by_org.setdefault(record.org_id, []).append(record)
    return {each: _terms(records) for each, records in by_org.items()}


def _terms(approved: list[OverrideRecord]) -> Terms:
    """Terms of approved statements in the order of approval, those that were ended cut short."""
    ends: dict[str, date] = {}
    for record in approved:
        if ENDS in record.body:
            ended = record.body[ENDS]
            ends[ended] = min(record.valid_from, ends.get(ended, record.valid_from))
    holding = (
        replace(record, valid_to=min(ends.get(record.id, date.max), record.valid_to or date.max))
        for record in approved
        if ENDS not in record.body
    )
    return gathered(
        (record.kind, statement(record.kind, record.body | _days(record)))
        for record in holding
        if record.valid_to is None or record.valid_from < record.valid_to
    )


def _days(record: OverrideRecord) -> dict[str, date | None]:
    ends = record.valid_to != date.max
    return {"valid_from": record.valid_from, "valid_to": record.valid_to if ends else None}


def _check_decision(found: OverrideRecord, status: Status, decided_by: str) -> None:
    """Raises Conflict unless this person may decide so on it now."""
    if found.status is not Status.PROPOSED:
        raise Conflict(
            f"{found.id} is {found.status} already and stays so. Propose another that corrects it."
        )
    own = found.proposed_by == decided_by
    if status is Status.WITHDRAWN and not own:
        raise Conflict(f"Only {found.proposed_by}, who proposed {found.id}, can withdraw it.")
    if status is not Status.WITHDRAWN and own:
        raise Conflict(
            f"{decided_by} proposed {found.id}; another member of the organisation must decide."
        )


def _checked_note(note: str) -> str:
    text = note.strip()
    if len(text) > _NOTE_MAX_CHARACTERS or not text.isprintable():
        raise Invalid(f"A note is one line of at most {_NOTE_MAX_CHARACTERS} characters.")
    return text


def _record(row: Row[Any]) -> OverrideRecord:
    return OverrideRecord(**dict(row._mapping) | {"status": Status(row.status)})

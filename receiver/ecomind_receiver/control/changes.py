"""The one row that orders all changes: its number tells receivers to read keys and quotas again.

Who updates it holds its lock until the transaction ends. Changes therefore follow one another on
PostgreSQL as they do on SQLite, whose write transactions exclude each other anyway: a check made
after taking the lock still holds at commit, and no number is ever seen before its change.
"""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from ecomind_receiver.control.tables import changes


def bump(tx: Connection) -> None:
    """Announce a change to keys or quotas. Call it before reading what the change depends on."""
    tx.execute(update(changes).where(changes.c.id == 1).values(number=changes.c.number + 1))


def lock(tx: Connection) -> None:
    """Wait for other changes to end and keep further ones out, announcing nothing."""
    tx.execute(select(changes.c.number).where(changes.c.id == 1).with_for_update()).scalar_one()


def number(tx: Connection) -> int:
    """The number of the last change that this transaction sees."""
    return int(tx.execute(select(changes.c.number).where(changes.c.id == 1)).scalar_one())

"""Receivers that share a store: how far each has come, and which of them does what one must do.

Twins and re-sends may be taken by different receivers, so a window can be closed only when each has
stored what it received in it. Each says so in the store. Of those that were seen lately the first
by name closes windows and days; should two believe it is them, what the first writes down stands. A
receiver that is gone for good is waited for a day.
"""

from __future__ import annotations

import logging
import secrets
from datetime import UTC, datetime
from pathlib import Path

from ecomind_receiver.durable import sync_directory
from ecomind_receiver.store import Store, describe

log = logging.getLogger("ecomind.receivers")

FORGOTTEN_AFTER_SECONDS = 24 * 3600
"""How long a receiver that says nothing is waited for."""

LEADS_WITHIN_SECONDS = 60
"""How lately the one that closes windows must have been seen; it says so every ten seconds."""

_NS_PER_S = 1_000_000_000

_NOTE = """
INSERT INTO receivers (receiver, stored_until, has_left, seen_at)
SELECT {name:String}, fromUnixTimestamp64Micro({until:Int64}, 'UTC'), {left:UInt8}, now64(6, 'UTC')
"""
_ALL = """
SELECT receiver, argMax(r.stored_until, r.seen_at) AS until, argMax(r.has_left, r.seen_at) AS gone,
       toUnixTimestamp(now('UTC')) - toUnixTimestamp(max(r.seen_at)) AS silent_seconds
FROM receivers AS r
GROUP BY receiver HAVING NOT gone AND silent_seconds < {forgotten:UInt32}
ORDER BY receiver
"""


class Receivers:
    """One receiver among those of its store; alone where the store is its own. Methods block."""

    def __init__(self, store: Store, data_dir: Path) -> None:
        self._store = store
        self.name = _identity(data_dir) if store.is_shared else ""
        self.leads = True
        """Whether this one closes windows and days now."""

    def stored_until(self, own_ns: int) -> int:
        """Until when all receivers have stored what they received, in ns since 1970.

        `own_ns` is that of this one, which the others are told.
        """
        if not self._store.is_shared:
            return own_ns
        self._note(own_ns, has_left=False)
        rows = self._store.query(_ALL, {"forgotten": FORGOTTEN_AFTER_SECONDS})
        lately = [r["receiver"] for r in rows if r["silent_seconds"] < LEADS_WITHIN_SECONDS]
        self.leads = min(lately, default=self.name) == self.name
        return min([own_ns, *(_ns(row["until"]) for row in rows)])

    def leave(self, own_ns: int, *, waiting: bool) -> None:
        """Say that this one stops; `waiting`: something that it received is not stored yet."""
        if not self._store.is_shared:
            return
        try:
            self._note(own_ns, has_left=not waiting)
        except Exception as error:
            log.warning("the others were not told of the end", extra={"error": describe(error)})

    def _note(self, until_ns: int, *, has_left: bool) -> None:
        bound = {"name": self.name, "until": until_ns // 1000, "left": int(has_left)}
        self._store.command(_NOTE, bound)


def _identity(data_dir: Path) -> str:
    """The name of the receiver on this data directory, made once."""
    path = data_dir / "receiver"
    if not path.exists():
        draft = path.with_suffix(".draft")
        draft.write_text(secrets.token_hex(8), "ascii")
        draft.rename(path)
        sync_directory(data_dir)
    return path.read_text("ascii")


def _ns(moment: datetime) -> int:
    at = moment.replace(tzinfo=UTC)
    return int(at.timestamp()) * _NS_PER_S + at.microsecond * 1000

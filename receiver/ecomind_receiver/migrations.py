"""The numbered migrations of the telemetry store, applied in order and once.

The checksum of a migration is that of its file's text, wherever it runs and however it is laid out
there. On a server several processes may start at once: one of them migrates, behind a lock that is
a table, because making a table that exists is the one thing that every store refuses atomically.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from typing import TYPE_CHECKING

import jinja2

from ecomind_receiver.clients import StoreError

if TYPE_CHECKING:
    from ecomind_receiver.store import Store

SQL = files("ecomind_receiver") / "sql"
LOCK_SECONDS = 120.0
"""How long to wait for another process that migrates."""

_POLL_SECONDS = 0.2
_LOCK = "schema_lock"
_EXISTS = "TABLE_ALREADY_EXISTS"
_HISTORY = (
    "CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, sha256 String,"
    " applied_at DateTime('UTC')) ENGINE = MergeTree ORDER BY number"
)
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("ecomind_receiver", "sql"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # SQL, not HTML; only our own constants are rendered
)


def render(template: str, **values: object) -> str:
    """The SQL `template` (relative to `sql/`) with our own constants put in."""
    return _TEMPLATES.get_template(template).render(**values)


def migrate(store: Store, values: Mapping[str, object]) -> None:
    """Bring the schema to the newest version; refuse a history that differs from ours."""
    store.command(store.layout.migration(_HISTORY))
    if not _missing(store) and _has_views(store):
        return
    with _alone(store):
        missing = _missing(store)  # another process may have been first
        for number in missing:
            _apply(store, number, values)
        if missing:
            for statement in store.layout.readers():
                store.command(statement)
            _reload_rollups(store)
        if not _has_views(store):
            _make_views(store)


def known_migrations() -> dict[int, tuple[str, str]]:
    """Number → file name and text of every migration of this version."""
    entries = (entry for entry in (SQL / "schema").iterdir() if entry.name.endswith(".sql"))
    return {int(entry.name[:3]): (entry.name, entry.read_text("utf-8")) for entry in entries}


def _missing(store: Store) -> list[int]:
    """Migrations that are still to be applied, in order. Raises StoreError."""
    applied = {
        int(row["number"]): row
        for row in store.query("SELECT number, name, sha256 FROM schema_migrations")
    }
    known = known_migrations()
    for number in sorted(applied.keys() - known.keys()):
        raise StoreError(
            f"The store at {store.where} holds migration {number} ({applied[number]['name']}),"
            " which this version does not know. Start the newer version of Ecomind that wrote it."
        )
    for number in sorted(applied.keys()):
        name, text = known[number]
        if applied[number]["sha256"] != _digest(text):
            raise StoreError(
                f"Migration {name} was changed after it had been applied to {store.where}."
                " Undo the change: a new migration must get a new number."
            )
    return sorted(known.keys() - applied.keys())


def _apply(store: Store, number: int, values: Mapping[str, object]) -> None:
    """Run one migration. Its statements are idempotent: an interrupted one is run again."""
    name, text = known_migrations()[number]
    rendered = _TEMPLATES.from_string(text).render(**values)
    for statement in statements(rendered):
        try:
            if laid_out := store.layout.migration(statement):
                store.command(laid_out)
        except Exception as error:
            raise StoreError(f"Migration {name} failed and Ecomind stops here: {error}") from error
    store.command(
        "INSERT INTO schema_migrations"
        " VALUES ({number:UInt32}, {name:String}, {sha:String}, now('UTC'))",
        {"number": number, "name": name, "sha": _digest(text)},
    )


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """Migrate in here, with no other process beside it. Raises StoreError.

    The directory of an embedded store has its own lock already.
    """
    if not store.is_shared:
        yield
        return
    deadline = time.monotonic() + LOCK_SECONDS
    holder = re.sub(r"[^A-Za-z0-9.-]", "?", socket.gethostname())
    made = store.layout.everywhere(f"CREATE TABLE {_LOCK} (one UInt8) ENGINE = Memory")
    while not _made(store, f"{made} COMMENT '{holder}, pid {os.getpid()}'"):
        if time.monotonic() > deadline:
            raise StoreError(
                f"Another process has been migrating {store.where} for {LOCK_SECONDS:.0f} seconds"
                f" ({_holder(store)}). If it is gone, drop the table {_LOCK} there and start again."
            )
        time.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        store.command(store.layout.everywhere(f"DROP TABLE IF EXISTS {_LOCK}"))


def _made(store: Store, statement: str) -> bool:
    try:
        store.command(statement)
    except Exception as error:
        if _EXISTS in str(error):
            return False
        raise
    return True


def _holder(store: Store) -> str:
    rows = store.query(
        "SELECT comment FROM system.tables"
        " WHERE database = currentDatabase() AND name = {n:String}",
        {"n": _LOCK},
    )
    return str(rows[0]["comment"]) if rows else "it has just ended"


def _reload_rollups(store: Store) -> None:
    """Have the engine read its materialized views anew.

    After MODIFY QUERY it makes other tokens for what a view inserts than after the next start, so a
    segment that was stored before a crash and replayed after it would be in the rollup twice.
    """
    for row in store.query(
        "SELECT name FROM system.tables"
        " WHERE database = currentDatabase() AND engine = 'MaterializedView'"
    ):
        store.command(store.layout.everywhere(f"DETACH TABLE {row['name']}"))
        store.command(store.layout.everywhere(f"ATTACH TABLE {row['name']}"))


def _has_views(store: Store) -> bool:
    """Whether the views are those of this version; their comment says whose they are."""
    found = store.query(
        "SELECT comment FROM system.tables"
        " WHERE database = currentDatabase() AND name = 'calls_footprint'"
    )
    return [row["comment"] for row in found] == [_digest(render("views.sql"))]


def _make_views(store: Store) -> None:
    """Make the views anew.

    Only if needed: what a start does not need is not done while a crashed process is cleared up
    after.
    """
    text = render("views.sql")
    for statement in statements(text):
        laid_out = store.layout.everywhere(statement)
        made = statement.startswith("CREATE VIEW")
        store.command(f"{laid_out}\nCOMMENT '{_digest(text)}'" if made else laid_out)


def statements(text: str) -> list[str]:
    """The statements of a script, without comments."""
    lines = [line.split("--", 1)[0] for line in text.splitlines()]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

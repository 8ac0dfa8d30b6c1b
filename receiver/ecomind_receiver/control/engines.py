"""The two databases that can hold the control store, each brought to the same behaviour.

Both take times in UTC, keep foreign keys, sync a commit before it returns and run a write in a
transaction that loses no update. SQLite starts a write with BEGIN IMMEDIATE, because a deferred
transaction that read first can only fail when another has written in between.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from ecomind_receiver.control.errors import ControlError

BUSY_SECONDS = 5
ANSWER_SECONDS = 3
_PATIENCE = {
    "connect_timeout": 2,  # seconds
    "tcp_user_timeout": 1000 * (ANSWER_SECONDS - 1),  # ms that sent bytes stay unconfirmed
    "keepalives_idle": 1,  # seconds; then it is asked twice, a second apart
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "options": f"-c statement_timeout={ANSWER_SECONDS}s",
}
"""Parameters of libpq by which no call waits for a database that has gone: it ends in 3 to 5 s."""
WRITES = "ecomind_writes"
"""Execution option of connections whose transactions change something."""
_FORMS = (
    "Set ECOMIND_CONTROL_URL to sqlite:/// and a path, or to postgresql://user:password@host/db."
)


def parse(url: str) -> URL:
    """The address of a control store. Raises ControlError without repeating the text: a secret."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ControlError(
            f"The address of the control store can't be read. {_FORMS}"
            " Write signs in the password that have a meaning there in per cent form (%40 for @)."
        ) from None
    if parsed.drivername in ("postgresql", "postgres", "postgresql+psycopg"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername != "sqlite":
        raise ControlError(f"There is no control store of the kind {parsed.drivername}. {_FORMS}")
    if not parsed.database or parsed.database == ":memory:":
        raise ControlError(f"A control store of SQLite needs a file. {_FORMS}")
    return parsed


def connect(url: URL) -> Engine:
    """An engine for a parsed address; connects when it is first used. Raises ControlError."""
    return _sqlite(url) if url.drivername == "sqlite" else _postgres(url)


def place(url: URL) -> str:
    """Where the store is, without anything secret."""
    if url.drivername == "sqlite":
        return str(url.database)
    return f"{url.host or 'localhost'}:{url.port or 5432}/{url.database or ''}"


def make_file(path: Path) -> None:
    """Create the SQLite file, readable by its owner only, and switch it to a write-ahead log.

    Call it with other processes kept out: the switch does not wait for them. The file is never
    opened and closed beside the engine, which would give up the engine's own locks on it.
    """
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
    finally:
        connection.close()


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say, not where Python guesses
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = FULL")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _postgres(url: URL) -> Engine:
    own = {name: value for name, value in _PATIENCE.items() if name not in url.query}
    try:
        return create_engine(
            url,
            connect_args={"application_name": "ecomind", **own},
            pool_pre_ping=True,  # a server that was restarted leaves dead connections in the pool
            hide_parameters=True,
        )
    except ImportError:
        raise ControlError(
            "A control store in PostgreSQL needs psycopg. Run: pip install 'ecomind[scaled]'"
        ) from None

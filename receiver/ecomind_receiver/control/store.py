"""Opening the control store and running transactions on it.

One class for both databases: SQLAlchemy Core speaks to either, and `engines` evens out the rest.
What goes wrong below comes out as one sentence, without SQL, parameters or addresses, because those
hold digests and passwords.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as NoConnection

from ecomind_receiver.control import changes, engines
from ecomind_receiver.control.errors import Conflict
from ecomind_receiver.control.errors import ControlError as ControlError

if TYPE_CHECKING:
    from ecomind_receiver.settings import Settings

_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x65636F6D696E64  # "ecomind"
_one_migration = threading.Lock()  # Alembic keeps the one that runs in module variables


def default_url(settings: Settings) -> str:
    """The address that is set, else a SQLite file in the data directory."""
    if settings.control_url is not None:
        return settings.control_url.get_secret_value()
    return f"sqlite:///{settings.data_dir.absolute() / 'control.db'}"


class ControlStore:
    """A control store, by its address. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        """Raises ControlError if the address is not usable; connects when first used."""
        self._url = engines.parse(url)
        self._place = engines.place(self._url)
        self._engine = engines.connect(self._url)
        self._embedded = self._engine.dialect.name == "sqlite"
        self._writing = self._engine.execution_options(**{engines.WRITES: True})
        self._reading = self._engine.execution_options(
            **({} if self._embedded else {"isolation_level": "REPEATABLE READ"})
        )

    def migrate(self) -> None:
        """Bring the schema up to date; processes that start together wait. Raises ControlError."""
        with _one_migration, self._made(), self.begin() as tx:
            if not self._embedded:
                tx.execute(text("SET LOCAL statement_timeout = 0"))  # it waits for the others
                tx.execute(text("SELECT pg_advisory_xact_lock(:it)"), {"it": _MIGRATION_LOCK})
            _upgrade(tx, self._place)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction that may write: committed at the end, rolled back by any exception."""
        with self._in_a_sentence(), self._writing.begin() as tx:
            yield tx

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction whose reads all see the same moment; it waits for no writer."""
        with self._in_a_sentence(), self._reading.begin() as tx:
            yield tx

    def changes(self) -> int:
        """The number that every change to keys and quotas raises; one row read by its key."""
        with self.reading() as tx:
            return changes.number(tx)

    def copy_to(self, path: Path) -> None:
        """Write a copy of an embedded store, as of one moment, to a new file. Raises ControlError.

        It waits for no writer, and none waits for it.
        """
        with self._in_a_sentence():
            raw = self._engine.raw_connection()
            try:
                raw.driver_connection.execute("VACUUM INTO ?", (str(path),))  # type: ignore[union-attr]  # it is SQLite's
            finally:
                raw.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    @contextmanager
    def _made(self) -> Iterator[None]:
        """The SQLite file exists, and no other process makes it meanwhile."""
        if not self._embedded:
            yield
            return
        path = Path(str(self._url.database)).absolute()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder = os.open(path.parent, os.O_RDONLY)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None
        try:
            self._make(path, folder)
            yield
        finally:
            os.close(folder)

    def _make(self, path: Path, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            with self._in_a_sentence():
                engines.make_file(path)
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from None

    @contextmanager
    def _in_a_sentence(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError as error:
            raise Conflict(
                f"The control store refuses the change: {_reason(error.orig)}."
                " Another may have been made at the same time; look, then try again."
            ) from None
        except DBAPIError as error:
            raise self._unusable(_reason(error.orig)) from None
        except NoConnection:
            raise self._unusable("every connection is in use") from None
        except sqlite3.Error as error:
            raise self._unusable(_reason(error)) from None

    def _unusable(self, reason: str) -> ControlError:
        return ControlError(
            f"The control store {self._place} can't be used: {reason}. Check ECOMIND_CONTROL_URL,"
            " whether the database runs, and whether this user may read and write there."
        )


def _upgrade(tx: Connection, place: str) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)  # every start says nothing new
    from alembic import command  # which logs already here
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = tx
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise ControlError(
            f"The control store {place} was written by a newer Ecomind. Update this one."
        ) from None


def _reason(error: BaseException | None) -> str:
    """The database's own words, first line, without the row that PostgreSQL adds as detail."""
    primary = getattr(getattr(error, "diag", None), "message_primary", None)
    lines = str(primary or error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "it gave no reason"

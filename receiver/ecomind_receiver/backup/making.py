"""Taking a backup while the data directory is in use.

First all that was acknowledged before is stored, so nothing of the spool needs to be in a backup,
and no key is needed to use one. Then the tables are cloned while nobody writes, about half a second
for five million calls, and the engine copies the clone while everything goes on. What is written is
named .partial until it is whole, synced and described, and is then renamed.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ecomind_receiver.backup import last, manifest, sums
from ecomind_receiver.backup.clone import CLONE, Clone
from ecomind_receiver.backup.last import LastBackup
from ecomind_receiver.backup.manifest import BackupError, Manifest, Observe, Progress
from ecomind_receiver.batch import Buffer
from ecomind_receiver.control import engines
from ecomind_receiver.control.errors import ControlError
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.durable import sync_directory
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store, describe

log = logging.getLogger("ecomind.backup")

_DRAIN_SECONDS, _POLL_SECONDS = 600.0, 0.05
_ROOM = 1.05
"""What must be free, of the size of the tables: tokens and the control store are small."""
_NS_PER_S = 1_000_000_000
_NOT_INCLUDED = {
    "keys": "Pepper, spool key and pseudonym key. Back up ECOMIND_KEY_DIR, or wherever they come"
    " from, apart: without the pepper no API key can be checked, without the pseudonym key a user"
    " gets another hash, and without the spool key what is in quarantine can't be opened.",
    "spool": "Nothing is missing: what was acknowledged before `as_of` was stored first.",
}
_POSTGRESQL = "It is in PostgreSQL. Take it with pg_dump, at about the same time."
_NO_CONTROL = "There is none: no organisation, project or key was made yet."
_TWICE = "A backup is being taken already. Wait until it has ended."


class Backups:
    """Takes backups of one data directory, one at a time. Methods block."""

    def __init__(
        self, settings: Settings, store: Store, spool: Buffer, trouble: Callable[[], str]
    ) -> None:
        """`trouble` says why segments can't be stored now, if they can't."""
        self.last = last.read(settings.data_dir)  # who owns the directory alone takes another
        self._settings = settings
        self._store = store
        self._spool = spool
        self._trouble = trouble
        self._making = threading.Lock()
        self._stopping = threading.Event()
        self._clone = Clone(store)
        if not store.is_shared:
            self._clone.drop()

    def stop(self) -> None:
        """Give up the backup that is being taken; return once it has ended."""
        self._stopping.set()
        with self._making:
            pass

    def check(self, directory: Path) -> None:
        """Raises BackupError if no backup can be taken into the directory now."""
        manifest.refuse_server(self._settings)
        if self._making.locked():
            raise BackupError(_TWICE)
        if not directory.is_absolute():
            raise BackupError("A backup needs the whole path of its directory, beginning with /.")
        data_dir = self._settings.data_dir.resolve()
        if directory.resolve().is_relative_to(data_dir):
            raise BackupError(
                f"{directory} lies inside the data directory {data_dir}, and would be lost with it."
                " Name a directory elsewhere, best on another disk."
            )
        try:
            if directory.is_symlink() or (directory.exists() and not directory.is_dir()):
                raise BackupError(f"{directory} is there and is no directory. Name a new one.")
            if directory.is_dir() and any(directory.iterdir()):
                raise BackupError(f"{directory} is not empty. Name a new directory.")
            if directory.is_mount():
                raise BackupError(f"{directory} is a whole disk. Name a new directory on it.")
        except OSError as error:
            raise _unusable(directory, error) from error

    def make(self, directory: Path, observe: Observe) -> Manifest:
        """Take a backup into a directory that is new or empty. Raises BackupError."""
        self.check(directory)
        if not self._making.acquire(blocking=False):
            raise BackupError(_TWICE)
        try:
            as_of = self._drain(observe)
            with _draft(directory) as draft:
                try:
                    return self._make(as_of, draft, directory, observe)
                finally:
                    self._clone.drop()
        except BackupError:
            raise
        except ControlError as error:
            raise BackupError(str(error)) from error
        except TimeoutError:
            raise BackupError(
                f"The store did not hold still: {self._trouble() or 'much is being corrected'}."
                " Take the backup later."
            ) from None
        except OSError as error:
            raise _unusable(directory, error) from error
        except Exception as error:
            raise BackupError(f"The backup failed: {describe(error)}.") from error
        finally:
            self._making.release()

    def _make(self, as_of: datetime, draft: Path, directory: Path, observe: Observe) -> Manifest:
        observe(Progress("cloning"))
        self._clone.make(draft / manifest.TOKENS)
        self._require_room(directory)
        self._clone.back_up(draft / manifest.STORE, observe)
        self._go_on()
        left_out = self._copy_control(draft)
        for name in manifest.COPIED:
            if (self._settings.data_dir / name).is_dir():
                unfinished = shutil.ignore_patterns("*.new")  # it may be gone in a moment
                shutil.copytree(self._settings.data_dir / name, draft / name, ignore=unfinished)
        observe(Progress("adding up"))
        store = self._store
        made = Manifest(
            format=manifest.FORMAT,
            ecomind=version("ecomind"),
            engine=store.version(),
            as_of=as_of,
            created_at=datetime.now(UTC),
            schema_migrations=sums.migrations(store, CLONE),
            tables={table: sums.table_sums(store, CLONE, table) for table in self._clone.tables},
            closes=sums.closes(store, CLONE),
            files=manifest.seal(draft, observe),
            not_included=_NOT_INCLUDED | left_out,
        )
        self._go_on()
        manifest.write(draft, made)
        os.rename(draft, directory)
        sync_directory(directory.parent)
        self.last = LastBackup(as_of, str(directory))
        try:
            last.note(self._settings.data_dir, self.last)
        except OSError as error:  # the backup is whole all the same
            log.warning("a backup could not be noted", extra={"error": describe(error)})
        return made

    def _drain(self, observe: Observe) -> datetime:
        """Wait until everything that is acknowledged by now is stored; now."""
        observe(Progress("storing what was received"))
        now_ns, deadline = time.time_ns(), time.monotonic() + _DRAIN_SECONDS
        self._spool.seal()
        while self._spool.oldest_ns() <= now_ns:
            self._go_on()
            if time.monotonic() > deadline:
                raise BackupError(
                    f"What was acknowledged was not stored within {_DRAIN_SECONDS:.0f} s, and a"
                    f" backup must hold it: {self._trouble() or 'more comes in than is stored'}."
                )
            time.sleep(_POLL_SECONDS)
        return datetime.fromtimestamp(now_ns / _NS_PER_S, UTC)

    def _require_room(self, directory: Path) -> None:
        needed = int(self._clone.size_bytes() * _ROOM)
        free = shutil.disk_usage(directory.parent).free
        if free < needed:
            raise BackupError(
                f"The backup needs {needed / 1e6:,.0f} MB, and {free / 1e6:,.0f} MB are free on the"
                f" disk of {directory}. Free some, or name a directory on another disk."
            )

    def _copy_control(self, draft: Path) -> dict[str, str]:
        """The control store if it is embedded; else, where it is to be had."""
        url = engines.parse(default_url(self._settings))
        if url.drivername != "sqlite":
            return {"control": _POSTGRESQL}
        if not Path(str(url.database)).exists():
            return {"control": _NO_CONTROL}
        control = ControlStore(default_url(self._settings))
        try:
            control.copy_to(draft / manifest.CONTROL)
        finally:
            control.close()
        return {}

    def _go_on(self) -> None:
        if self._stopping.is_set():
            raise BackupError("The server stops and has given the backup up. Take it again.")


@contextmanager
def _draft(directory: Path) -> Iterator[Path]:
    """A directory beside the one that is wanted; gone at the end, unless it was renamed."""
    directory.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = directory.with_name(f"{directory.name}.{secrets.token_hex(4)}.partial")
    draft.mkdir(mode=0o700)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unusable(directory: Path, error: OSError) -> BackupError:
    return BackupError(
        f"{directory} can't be written: {error.strerror or error}. Name a directory in one that the"
        " server's user may write, with room enough."
    )

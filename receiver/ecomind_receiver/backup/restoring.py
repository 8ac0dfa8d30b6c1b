"""Bringing a backup back into an empty data directory, and holding the result against it.

Everything is written below `restoring/` in the new data directory, checked there, and moved to its
place at the end, the store last: what is there is whole. Merges stand still meanwhile, so that rows
whose time is over are counted before they go.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from ecomind_receiver.backup import manifest, sums
from ecomind_receiver.backup.clone import LIVE, quoted, reason, token_folders
from ecomind_receiver.backup.manifest import BackupError, Manifest, Observe, Progress
from ecomind_receiver.closing import digest
from ecomind_receiver.control.errors import ControlError
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.private import keep_private, private_directory
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store, StoreError, describe, known_migrations

_WORK = "restoring"
_MOVED = (*manifest.COPIED, manifest.CONTROL, manifest.STORE)


class Restored(NamedTuple):
    """What was found equal to the manifest."""

    manifest: Manifest
    tables: int
    rows: int
    closed_days: int
    control: bool


def restore(folder: Path, settings: Settings, observe: Observe) -> Restored:
    """Restore a backup into the settings' data directory, which must be new or empty.

    Raises BackupError; the data directory is then as it was.
    """
    data_dir = settings.data_dir
    manifest.refuse_server(settings)
    try:
        if data_dir.exists() and any(data_dir.iterdir()):
            raise BackupError(
                f"{data_dir} is not empty, and a restore overwrites nothing. Name a new directory"
                " with --data-dir (ECOMIND_DATA_DIR)."
            )
        found = _checked(folder, observe)
        keep_private()
        private_directory(data_dir)
        with _work(data_dir / _WORK) as work:
            restored = _bring_back(folder, found, settings, work, observe)
            for name in _MOVED:
                if (work / name).exists():
                    os.rename(work / name, data_dir / name)
        manifest.sync_folders(data_dir)
    except OSError as error:
        raise BackupError(f"{data_dir} can't be written: {error.strerror or error}.") from error
    return restored


def verify(folder: Path, settings: Settings, observe: Observe) -> Restored:
    """Restore a backup into a temporary directory, and delete it. Raises BackupError."""
    manifest.refuse_server(settings)
    found = _checked(folder, observe)
    keep_private()
    try:
        with tempfile.TemporaryDirectory(prefix="ecomind-verify-") as scratch:
            return _bring_back(folder, found, settings, Path(scratch), observe)
    except OSError as error:
        raise BackupError(
            f"There is no room to try the restore: {error.strerror or error}. Set TMPDIR to a"
            " directory on a larger disk."
        ) from error


def _checked(folder: Path, observe: Observe) -> Manifest:
    found = manifest.read(folder)
    known = {number: name for number, (name, _) in known_migrations().items()}
    for migration in found.schema_migrations:
        if migration.number not in known:
            raise BackupError(
                f"{folder} holds migration {migration.name}, which this version does not know:"
                f" Ecomind {found.ecomind} wrote it. Restore it with that version or a later one."
            )
    manifest.check(folder, found, observe)
    return found


def _bring_back(
    folder: Path, found: Manifest, settings: Settings, work: Path, observe: Observe
) -> Restored:
    own = settings.model_copy(update={"data_dir": work})
    try:
        _bring_tables(folder, found, own, observe)
        for name in manifest.COPIED:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, work / name)
        control = (folder / manifest.CONTROL).exists()
        if control:
            shutil.copyfile(folder / manifest.CONTROL, work / manifest.CONTROL)
            _try_control(work / manifest.CONTROL)
        observe(Progress("working out closed days"))
        with closing(Store(own)) as store:  # which migrates it
            _compare_closes(store, found)
    except (BackupError, OSError):
        raise
    except (StoreError, ControlError) as error:
        raise BackupError(str(error)) from error
    except Exception as error:
        raise BackupError(f"The restore failed: {describe(error)}.") from error
    observe(Progress("syncing"))
    manifest.sync_files(work)
    rows = sum(sums_.get("rows", 0) for sums_ in found.tables.values())
    return Restored(found, len(found.tables), rows, len(found.closes), control)


def _bring_tables(folder: Path, found: Manifest, own: Settings, observe: Observe) -> None:
    """Tables and views by the engine, their sums compared, then what they remember of inserts."""
    tokens: dict[str, Path] = {}

    def fill(store: Store) -> None:
        place = f"RESTORE DATABASE {LIVE} FROM File({quoted(folder / manifest.STORE)}) SETTINGS"
        observe(Progress("restoring"))
        try:
            store.command(f"{place} create_database = 0, structure_only = 1")
            store.command("SYSTEM STOP MERGES")
            store.command(f"{place} create_database = 0, allow_non_empty_tables = 1")
        except Exception as error:
            raise BackupError(f"The engine can't restore {folder}: {reason(str(error))}.") from None
        observe(Progress("comparing"))
        for table, wanted in found.tables.items():
            if sums.table_sums(store, LIVE, table) != wanted:
                raise BackupError(
                    f"The table {table} is not what was backed up, so nothing was restored. Take"
                    " another backup."
                )
        tokens.update(token_folders(store))

    Store(own, fill).close()
    for table, live in tokens.items():
        kept = folder / manifest.TOKENS / table
        if kept.is_dir():
            shutil.rmtree(live)
            shutil.copytree(kept, live)


def _try_control(path: Path) -> None:
    """Raises ControlError or BackupError unless the control store opens, whole and migrated."""
    control = ControlStore(f"sqlite:///{path}")
    try:
        control.migrate()
    finally:
        control.close()
    with closing(sqlite3.connect(path)) as connection:
        if connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise BackupError(f"The control store in the backup is damaged ({path.name}).")


def _compare_closes(store: Store, found: Manifest) -> None:
    if sums.closes(store, LIVE) != found.closes:
        raise BackupError("The closed days are not those that were backed up.")
    for close in found.closes:
        if digest(store, close.org_id, close.day) != (close.rows, close.calls, close.root):
            raise BackupError(
                f"The digest of {close.day} of {close.org_id} is not the one that was written when"
                " it closed: its figures were changed before the backup was taken."
            )


@contextmanager
def _work(folder: Path) -> Iterator[Path]:
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)

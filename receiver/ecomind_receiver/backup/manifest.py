"""What a backup holds: `manifest.json` beside it names every file, table and closed day.

It is written last, and the directory gets its name after that: what has a manifest is whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from datetime import date, datetime
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from ecomind_receiver.durable import sync_directory
from ecomind_receiver.settings import Settings

FORMAT = 1
NAME = "manifest.json"
STORE, CONTROL, TOKENS = "store", "control.db", "tokens"
COPIED = ("grids", "quarantine")
"""Folders of the data directory that are copied as they are."""


class BackupError(Exception):
    """A backup can't be made, is not whole, or can't be restored; the message says what to do."""


def refuse_server(settings: Settings) -> None:
    """Raises BackupError where the store is a ClickHouse server: its operator backs it up."""
    if settings.store is not None:
        raise BackupError(
            f"The telemetry is in the ClickHouse server at {settings.store.where}, which is backed"
            " up and restored by its operator, with ClickHouse's own BACKUP DATABASE"
            f" {settings.store.database} TO … and RESTORE; docs/server-mode.md says what belongs"
            " to it. For a store in a data directory, leave ECOMIND_STORE_URL out."
        )


class Progress(NamedTuple):
    """What is being done now, and how many of its bytes are done; of none in all, nobody knows."""

    step: str
    done_bytes: int = 0
    total_bytes: int = 0


Observe = Callable[[Progress], None]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    """A file of the backup."""

    bytes: int
    sha256: str


class Migration(_Part):
    """A migration that the telemetry store had."""

    number: int
    name: str
    sha256: str


class Closed(_Part):
    """The newest generation of an organisation's closed day."""

    org_id: str
    day: date
    generation: int
    rows: int
    calls: int
    root: str


class Manifest(_Part):
    """What a backup holds, and what it does not."""

    format: int
    ecomind: str
    engine: str
    as_of: datetime
    """All that was acknowledged before is in it, as far as it is kept at all."""
    created_at: datetime
    schema_migrations: list[Migration]
    tables: dict[str, dict[str, int]]
    """Table → its rows and the sum of each column of integers, modulo 2^64."""
    closes: list[Closed]
    files: dict[str, File]
    """Path below the backup → the file."""
    not_included: dict[str, str]
    """What one might look for here → where it is."""

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files.values())


def write(folder: Path, manifest: Manifest) -> None:
    """Make the manifest durable."""
    with open(folder / NAME, "x", encoding="utf-8") as file:
        file.write(manifest.model_dump_json(indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    sync_directory(folder)


def read(folder: Path) -> Manifest:
    """The manifest of a backup. Raises BackupError."""
    try:
        raw = json.loads((folder / NAME).read_text("utf-8"))
        if isinstance(raw, dict) and raw.get("format", 0) > FORMAT:
            raise BackupError(
                f"{folder} was written by a newer Ecomind ({raw.get('ecomind')}). Restore it with"
                " that version or a later one."
            )
        return Manifest.model_validate(raw)
    except FileNotFoundError:
        raise BackupError(
            f"{folder} is no backup: it has no {NAME}. Name the directory that `ecomind backup`"
            " wrote; one that was not finished ends with .partial and can be deleted."
        ) from None
    except OSError as error:
        raise BackupError(f"{folder / NAME} can't be read: {error.strerror}.") from error
    except (ValueError, ValidationError):
        raise BackupError(f"{folder / NAME} is damaged. Take another backup.") from None


def seal(folder: Path, observe: Observe) -> dict[str, File]:
    """Every file below the folder with its size and hash, all durable on return."""
    paths = dict(_files(folder))
    total = sum(path.stat().st_size for path in paths.values())
    found: dict[str, File] = {}
    done = 0
    for name, path in paths.items():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            found[name] = File(bytes=file.tell(), sha256=sha256)
        done += found[name].bytes
        observe(Progress("hashing", done, total))
    sync_folders(folder)
    return found


def check(folder: Path, manifest: Manifest, observe: Observe) -> None:
    """Hold every file against its hash. Raises BackupError that names the first that differs."""
    done = 0
    for name, wanted in manifest.files.items():
        path = folder / name
        try:
            with open(path, "rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            raise _damaged(path, "is missing") from None
        except OSError as error:
            raise _damaged(path, f"can't be read ({error.strerror})") from error
        if sha256 != wanted.sha256:
            raise _damaged(path, "is not what was written")
        done += wanted.bytes
        observe(Progress("checking", done, manifest.size_bytes))


def sync_folders(folder: Path) -> None:
    """Make the names in a folder and all below it durable."""
    for current, _, _ in os.walk(folder):
        sync_directory(Path(current))


def sync_files(folder: Path) -> None:
    """Make every file below a folder durable, and its name."""
    for _, path in _files(folder):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    sync_folders(folder)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for current, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(current, name)
            if not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path


def _damaged(path: Path, what: str) -> BackupError:
    return BackupError(
        f"{path} {what}: the backup is damaged and nothing was restored. Take another backup, or"
        " another copy of this one."
    )

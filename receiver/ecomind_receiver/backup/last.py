"""Which backup of a data directory was taken last, for whoever watches that one is."""

from __future__ import annotations

import json
import os
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ecomind_receiver.durable import sync_directory

_NAME = "last_backup.json"


class LastBackup(NamedTuple):
    """Everything that was acknowledged before `as_of` is in the directory."""

    as_of: datetime
    directory: str


def note(data_dir: Path, as_of: datetime, directory: Path) -> None:
    """Keep it in the data directory. Raises OSError."""
    draft = data_dir / f"{_NAME}.new"
    with open(draft, "w", encoding="utf-8") as file:
        json.dump({"as_of": as_of.isoformat(), "directory": str(directory)}, file)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(data_dir / _NAME)
    sync_directory(data_dir)


def read(data_dir: Path) -> LastBackup | None:
    """The last one; None if none was taken, or none that is known of."""
    try:
        told = json.loads((data_dir / _NAME).read_text("utf-8"))
        return LastBackup(datetime.fromisoformat(told["as_of"]), str(told["directory"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None

"""Which backup of a data directory was taken last, for whoever watches that one is."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from ecomind_receiver.durable import replace_text

_NAME = "last_backup.json"


class LastBackup(NamedTuple):
    """Everything that was acknowledged before `as_of` is in the directory."""

    as_of: datetime
    directory: str


def note(data_dir: Path, taken: LastBackup) -> None:
    """Keep it in the data directory. Raises OSError."""
    text = json.dumps({"as_of": taken.as_of.isoformat(), "directory": taken.directory})
    path = data_dir / _NAME
    replace_text(path, path.with_suffix(".new"), text)


def read(data_dir: Path) -> LastBackup | None:
    """The last one; None if none was taken, or none that is known of."""
    try:
        told = json.loads((data_dir / _NAME).read_text("utf-8"))
        return LastBackup(datetime.fromisoformat(told["as_of"]), str(told["directory"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None

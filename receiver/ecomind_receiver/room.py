"""Definitions of tables need room on the disk, and the engine does not look.

On a full disk the embedded engine leaves the file of a new or changed table's definition empty,
reports success, and never opens again: `ALTER TABLE calls` on a full disk made a whole store
unreadable. So no table is made or changed unless there is room, and an empty definition of one of
our scratch tables, which are made anew when they are needed, is removed before the engine opens.
"""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

log = logging.getLogger("ecomind.store")

MIN_FREE_BYTES = 32 * 1024 * 1024
"""Far more than all definitions together, so that whoever else fills the disk meanwhile is late."""

_COMMENTS = r"(?:\s|--[^\n]*\n)*"
_DEFINES = re.compile(rf"{_COMMENTS}(?:CREATE|ALTER|ATTACH)\b", re.IGNORECASE)
_SCRATCH = re.compile(r"(?:(?:staging|changed|losers|keys|caps)_\d+|reconcile_\w+)\.sql")


def defines(sql: str) -> bool:
    """Whether a statement makes or changes a table or view."""
    return _DEFINES.match(sql) is not None


def shortage(directory: Path) -> str:
    """A sentence if the disk has no room for definitions; else empty."""
    found = os.statvfs(directory)
    free_bytes = found.f_bavail * found.f_frsize
    if free_bytes >= MIN_FREE_BYTES:
        return ""
    return (
        f"The disk of {directory} has {free_bytes / 1e6:.0f} MB left, and tables are made or"
        f" changed only with {MIN_FREE_BYTES / 1e6:.0f} MB. Free space, or set ECOMIND_DATA_DIR to"
        " a larger disk."
    )


def remove_unfinished(directory: Path) -> None:
    """Remove the empty definitions of scratch tables below a store's directory."""
    for path in (directory / "store").glob("*/*/*.sql"):
        if _SCRATCH.fullmatch(path.name) and not path.stat().st_size:
            log.warning("an unfinished table was removed", extra={"table": path.stem})
            path.unlink()

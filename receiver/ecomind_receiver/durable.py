"""Making bytes and names durable, where a file system may say so too early.

An ext4 that meets an error while it syncs can answer that all is well and keep nothing of it. From
then on it refuses every change, so one is tried after each sync.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_data(descriptor: int) -> None:
    """Return once what was written to the file survives a power cut. Raises OSError."""
    os.fdatasync(descriptor)
    os.utime(descriptor)  # refused if the journal was given up before or during the sync


def sync_directory(directory: Path) -> None:
    """Return once the names in the directory survive a power cut. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_text(path: Path, draft: Path, text: str) -> None:
    """Have the file hold this text, all of it or what it held before. Raises OSError."""
    with open(draft, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.rename(path)
    sync_directory(path.parent)

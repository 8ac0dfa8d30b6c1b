"""What ends an import."""

from __future__ import annotations

from pathlib import Path


class ImportRefused(Exception):
    """A file can't become a table; the message is a sentence that names the fix."""

    @classmethod
    def at(cls, path: Path, line: int, reason: str) -> ImportRefused:
        """For something wrong in one line."""
        return cls(f"{path}, line {line}: {reason}")

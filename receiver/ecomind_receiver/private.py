"""What Ecomind writes is for its own user alone, whatever umask it was started with.

A directory that older versions made with looser rights is closed at the next start. One that
belongs to another user, such as a mounted volume, stays as it is: what is made in it is closed.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

_OTHERS = 0o077


def keep_private() -> None:
    """Make every file of this process from now on readable by its user only.

    It is for the whole process, because the engine makes files at any time in threads of its own.
    """
    os.umask(_OTHERS)


def private_directory(path: Path) -> None:
    """Make the directory, or take others' rights to it away. Raises OSError."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        with suppress(PermissionError):
            path.chmod(0o700)

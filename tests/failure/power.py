"""What a power cut may leave: every byte that was not synced is gone, in the worst combination.

A small library, preloaded into the process, writes down what is written and what is synced. When
the process is dead, whatever was not synced is taken from its files: a file ends where the first
such byte was. Of what the engine wrote only the log of tokens is kept whole: a disk may well keep
it, and lose the rows that it speaks of.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).with_name("unsynced.c")
KEPT = "deduplication_logs"
OWN = ("spool", "quarantine", "keys")
"""Directories of ours, where also a name that was not synced is lost."""


class Write(NamedTuple):
    """Bytes of a file that were written and not synced yet."""

    start: int
    length: int


class Journal:
    """What the library wrote down."""

    def __init__(self, text: str) -> None:
        self.unsynced: defaultdict[int, list[Write]] = defaultdict(list)
        self.synced: set[int] = set()
        self.names: dict[int, set[int]] = {}  # directory → files whose names are on the disk
        listed: set[int] = set()
        for line in text.splitlines():
            kind, *numbers = line.split()
            inode = int(numbers[0])
            if kind == "W":
                self.unsynced[inode].append(Write(int(numbers[1]), int(numbers[2])))
            elif kind == "F":
                self.unsynced.pop(inode, None)
                self.synced.add(inode)
            elif kind == "N":
                listed.add(inode)
            else:
                self.names[inode], listed = listed, set()


def missing() -> str:
    """Why there is no library; empty if it can be built."""
    if shutil.which("gcc") and Path("/usr/include/dlfcn.h").exists():
        return ""
    return "there is no C compiler with its headers; on Debian: apt-get install gcc libc6-dev"


def build(folder: Path) -> Path:
    """The library."""
    library = folder / "unsynced.so"
    command = ["gcc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return library


def cut(folder: Path, journal_file: Path) -> int:
    """Take from the files below `folder` what was not synced; how many files lost something."""
    journal = Journal(journal_file.read_text())
    changed = 0
    for directory, _, names in os.walk(folder):
        durable = journal.names.get(Path(directory).stat().st_ino, set())
        for name in names:
            path = Path(directory) / name
            inode = path.stat().st_ino
            seen = inode in journal.unsynced or inode in journal.synced
            if Path(directory).name in OWN and seen and inode not in durable:
                path.unlink()
                changed += 1
            elif inode in journal.unsynced and KEPT not in path.parts:
                first = min(write.start for write in journal.unsynced[inode])
                os.truncate(path, min(first, path.stat().st_size))
                changed += 1
    return changed

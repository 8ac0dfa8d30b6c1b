"""What a power cut takes is worked out right: the bytes and names that no sync covers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from failure import power


def test_bytes_and_names_that_no_sync_covers_are_lost(tmp_path: Path) -> None:
    spool, part, log = tmp_path / "spool", tmp_path / "part", tmp_path / "deduplication_logs"
    for directory in (spool, part, log):
        directory.mkdir()
    files = [spool / "a", spool / "b", part / "half", part / "never", log / "tokens"]
    for file in files:
        file.write_bytes(b"0123456789")
    a, b, half, never, tokens = (file.stat().st_ino for file in files)
    journal = tmp_path / "journal"
    journal.write_text(
        f"W {a} 0 10\nF {a} 10\nN {a}\nD {spool.stat().st_ino}\n"
        f"W {b} 0 10\nF {b} 10\n"  # synced, but its name is not
        f"W {half} 0 4\nF {half} 4\nW {half} 6 4\nW {half} 4 2\n"
        f"W {never} 0 10\nW {tokens} 0 10\n"
    )
    assert power.cut(tmp_path, journal) == 3
    assert sorted(os.listdir(spool)) == ["a"]
    assert [file.read_bytes() for file in (files[0], *files[2:])] == [
        b"0123456789", b"0123", b"", b"0123456789",
    ]  # fmt: skip


def test_the_library_notes_what_python_writes_and_syncs(tmp_path: Path, library: Path) -> None:
    script = (
        "import os, sys; d = sys.argv[1]; f = os.open(d + '/f', os.O_WRONLY | os.O_CREAT);"
        "os.write(f, b'abc'); os.pwrite(f, b'xy', 7); os.fsync(f); os.write(f, b'd');"
        "os.fsync(os.open(d, os.O_RDONLY))"
    )
    folder, journal = tmp_path / "folder", tmp_path / "journal"
    folder.mkdir()
    preload = {"LD_PRELOAD": str(library), "UNSYNCED_JOURNAL": str(journal)}
    subprocess.run(
        [sys.executable, "-c", script, str(folder)], env={**os.environ, **preload}, check=True
    )
    inode = (folder / "f").stat().st_ino
    noted = [line for line in journal.read_text().splitlines() if line[0] != "N"]
    assert noted == [
        f"W {inode} 0 3", f"W {inode} 7 2", f"F {inode} 9", f"W {inode} 3 1",
        f"D {folder.stat().st_ino}",
    ]  # fmt: skip

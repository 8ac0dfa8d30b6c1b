"""Small disks of a trial's own, which fill up, become read-only, or lose their power.

An ext4 in a file, mounted through a loop device: its errors are the kernel's own. That takes root
and a kernel that lets it mount; where it does not, trials are skipped with the reason.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024 * 1024
_SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN, which xfstests calls godown
_NO_LOG_FLUSH = 2  # EXT4_GOING_FLAGS_NOLOGFLUSH: not even the journal is written
_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


class Disk:
    """A mounted file system of its own."""

    def __init__(self, image: Path, at: Path) -> None:
        self.at = at
        self._image = image

    def fill(self) -> None:
        """Leave no room for anything."""
        with (self.at / "ballast").open("wb") as ballast:
            held = 0
            for size in (64 * MIB, 8 * MIB, MIB, 64 * 1024, 4096):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(ballast.fileno(), held, size)
                        held += size

    def free(self) -> None:
        """Give the room back."""
        (self.at / "ballast").unlink()

    def fail(self) -> None:
        """Have the kernel find an error, upon which it makes the disk read-only."""
        device = _run("findmnt", "--noheadings", "--output", "SOURCE", str(self.at)).strip()
        Path(f"/sys/fs/ext4/{Path(device).name}/trigger_fs_error").write_text("1")

    def lose_power(self) -> None:
        """Whatever is not on the disk will never be."""
        descriptor = os.open(self.at, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)

    def repair(self) -> None:
        """Unmount, check and mount again; nothing may use it."""
        _run("umount", str(self.at))
        _run("e2fsck", "-fy", str(self._image), accepted=(0, 1))
        self.mount()

    def mount(self) -> None:
        _run("mount", "-o", "loop,errors=remount-ro", str(self._image), str(self.at))


def missing() -> str:
    """Why there can be no such disk; empty if there can."""
    if os.geteuid() != 0:
        return "mounting a small disk takes root"
    lacking = [
        name for name in ("mkfs.ext4", "e2fsck", "mount") if not shutil.which(name, path=_PATH)
    ]
    if lacking:
        return f"{', '.join(lacking)} not installed; on Debian: apt-get install e2fsprogs mount"
    return ""


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A disk of this size, mounted at `folder`. Raises OSError if the kernel does not let us."""
    image = folder.with_suffix(".img")
    folder.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes * MIB)
    _run("mkfs.ext4", "-q", "-m", "0", str(image))
    disk = Disk(image, folder)
    disk.mount()
    try:
        yield disk
    finally:
        _run("umount", "--lazy", str(folder))
        image.unlink()


def _run(program: str, *words: str, accepted: tuple[int, ...] = (0,)) -> str:
    found = shutil.which(program, path=_PATH) or program
    done = subprocess.run([found, *words], capture_output=True, text=True)
    if done.returncode not in accepted:
        raise OSError(f"{program} ended with {done.returncode}: {done.stderr.strip()}")
    return done.stdout

"""Finds words that may lie nowhere, in whatever form a program might write them down.

Thousands of words are looked for at once: every piece of text of their length is looked up in a
set, so a search costs one pass for each form and not one for each word. JSON escapes nothing in
them, because they are letters and digits; hexadecimal and base64 are undone, and UTF-16 is read as
what it is. Numbers count too: where content becomes a figure, its digits are what has leaked.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import string
from collections.abc import Iterator
from pathlib import Path

LENGTH = 20
_ALPHABET = string.ascii_lowercase + string.digits
_RUN = re.compile(rb"[a-z0-9]{%d,}" % LENGTH)
_UTF16 = re.compile(rb"(?:[A-Za-z0-9]\x00){%d,}" % LENGTH)
_HEX = re.compile(rb"[0-9a-f]{%d,}" % (2 * LENGTH))
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{%d,}" % (4 * LENGTH // 3))
_NUMBER = re.compile(rb"(?<![0-9.])[0-9]{8}(?![0-9.])")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")


class Words:
    """Random words and numbers that were planted, and where each was put."""

    def __init__(self) -> None:
        self.planted: dict[bytes, str] = {}

    def word(self, where: str) -> str:
        """A new word of letters and digits."""
        made = "".join(secrets.choice(_ALPHABET) for _ in range(LENGTH))
        self.planted[made.encode()] = where
        return made

    def number(self, where: str) -> str:
        """A new number of eight digits, small enough for a count of tokens."""
        made = str(10_000_000 + secrets.randbelow(89_999_999))
        self.planted[made.encode()] = where
        return made

    def found(self, data: bytes) -> set[str]:
        """What of it lies in the data, with the form it has there."""
        return {
            f"{self.planted[piece]} ({form})"
            for form, text in _readings(data)
            for piece in _pieces(text)
            if piece in self.planted
        }

    def in_text(self, text: str) -> set[str]:
        """Likewise in an answer or a log, where numbers are written as digits."""
        data = text.encode("utf-8", "surrogateescape")
        numbers = (n for n in _NUMBER.findall(data) if n in self.planted)
        return self.found(data) | {f"{self.planted[n]} (number)" for n in numbers}


def in_folder(words: Words, folder: Path) -> set[str]:
    """What lies in the files below a folder, or in their names."""
    return {
        f"{path.relative_to(folder)}: {leak}"
        for path in sorted(_below(folder))
        for leak in words.found(path.name.encode() + b"\n" + _bytes(path))
    }


def _below(folder: Path) -> Iterator[Path]:
    """Every folder and file; a running server may remove one while they are listed."""

    def refused(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            raise error

    for parent, folders, files in os.walk(folder, onerror=refused):
        for name in (*folders, *files):
            yield Path(parent, name)


def open_memory(pid: int | str) -> dict[str, bytes]:
    """The memory files, and deleted ones, that a process holds open: what a core dump of the
    machine, or anybody with its rights, would find."""
    held = {}
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
            if target.startswith("/memfd:") or target.endswith(" (deleted)"):
                held[f"{link.name} {target}"] = link.read_bytes()
        except (FileNotFoundError, OSError):
            continue  # closed meanwhile, or a socket
    return held


def _readings(data: bytes) -> Iterator[tuple[str, bytes]]:
    lower = data.lower()
    yield "plain", lower
    for run in _UTF16.finditer(data):
        yield "UTF-16", run[0].replace(b"\x00", b"").lower()
    for run in _HEX.finditer(lower):
        for start in (0, 1):
            digits = run[0][start:]
            yield "hexadecimal", binascii.unhexlify(digits[: len(digits) // 2 * 2]).lower()
    for run in _BASE64.finditer(data):
        text = run[0].translate(_URL_SAFE)
        for start in range(4):
            yield "base64", base64.b64decode(_padded(text[start:])).lower()


def _padded(text: bytes) -> bytes:
    """Base64 that may begin anywhere, as a decoder wants it: one letter too many is dropped."""
    text = text[: len(text) - (len(text) % 4 == 1)]
    return text + b"=" * (-len(text) % 4)


def _pieces(text: bytes) -> Iterator[bytes]:
    for run in _RUN.finditer(text):
        found = run[0]
        for start in range(len(found) - LENGTH + 1):
            yield found[start : start + LENGTH]


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""

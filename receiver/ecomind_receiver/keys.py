"""The server's own secrets: made once, outside the data directory, readable by their owner only.

A copy of the data directory alone (a backup, a stolen disk image) therefore opens no spooled
request and links no pseudonym to a person.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

KEY_BYTES = 32


class SecretError(Exception):
    """A key can't be read or made; the message says what to do."""


class Keys:
    """The spool's key-encryption key and the secret that pseudonyms are keyed with."""

    def __init__(self, key_dir: Path, data_dir: Path) -> None:
        """Read both keys, making them with mode 0600 on first start. Raises SecretError."""
        if key_dir.resolve().is_relative_to(data_dir.resolve()):
            raise SecretError(
                f"The key directory {key_dir} lies inside the data directory {data_dir}, so that a"
                " copy of the data would carry its keys. Set ECOMIND_KEY_DIR to another directory."
            )
        self.spool = _read_or_make(key_dir / "spool.key")
        self._pseudonyms = _read_or_make(key_dir / "pseudonym.key")

    def pseudonym_key(self, org_id: str) -> tuple[int, int]:
        """The 128-bit SipHash key of one organisation's pseudonyms, as two 64-bit halves."""
        digest = hmac.digest(self._pseudonyms, b"pseudonym/" + org_id.encode(), hashlib.sha256)
        return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def _read_or_make(path: Path) -> bytes:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            return _checked(path)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return _checked(path)
    except OSError as error:
        raise SecretError(
            f"The key file {path} can't be read or made: {error.strerror}."
            " Set ECOMIND_KEY_DIR to a directory that this user may write."
        ) from error


def _checked(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise SecretError(f"The key file {path} is readable by others. Run: chmod 600 {path}")
    try:
        key = bytes.fromhex(path.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SecretError(
            f"The key file {path} does not hold {KEY_BYTES} bytes in hexadecimal. Restore it from a"
            " backup; with another key, what is spooled can't be read."
        )
    return key

"""The server's own secrets: from a variable, from a file that one names, or from the key directory.

None of them lies in the data directory, so that a copy of the data alone (a backup, a stolen disk
image) opens no spooled request and links no pseudonym to a person. One that is missing is made on
first start, but only where one process has the control store to itself: several would each make
their own.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from itertools import combinations, pairwise
from pathlib import Path
from typing import NamedTuple

from ecomind_receiver.durable import sync_directory
from ecomind_receiver.settings import Settings

KEY_BYTES = 32
_FRESH = "`openssl rand -hex 32` prints a good one"
_FILES = {
    "spool_key": "spool.key",
    "pseudonym_key": "pseudonym.key",
    "key_pepper": "pepper.key",
}
"""Each secret's setting, and its file in the key directory."""

_DISTINCT_MIN = 16
_OTHERS, _ALL_BUT_OWNER = 0o027, 0o077
"""Mode bits that a file must not have. A named file may be readable by its group, because that is
how secrets are mounted for a container whose user is not root; one of our own may not."""


class SecretError(Exception):
    """A secret can't be read, made or trusted; the message says what to do and never holds it."""


class Secrets:
    """The spool's key, the secret behind pseudonyms, and the peppers of API keys by version."""

    spool: bytes
    peppers: Mapping[int, bytes]

    def __init__(self, settings: Settings) -> None:
        """Read all of them, making what is missing with mode 0600. Raises SecretError."""
        found = {name: _find(settings, name) for name in _FILES}
        self.spool = _key(found["spool_key"])
        self._pseudonyms = _key(found["pseudonym_key"])
        self.peppers = _versions(found["key_pepper"])
        named = {
            found["spool_key"].name: self.spool,
            found["pseudonym_key"].name: self._pseudonyms,
        }
        pepper = found["key_pepper"].name
        _refuse_twins(named | {f"{pepper} (version {n})": key for n, key in self.peppers.items()})

    def pseudonym_key(self, org_id: str, epoch: int) -> tuple[int, int]:
        """The 128-bit SipHash key of an organisation's pseudonyms, as two 64-bit halves.

        `epoch` is the UTC year in which a request was received: nobody can be followed from one
        year into the next.
        """
        message = f"pseudonym/{epoch}/{org_id}".encode()
        digest = hmac.digest(self._pseudonyms, message, hashlib.sha256)
        return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little")


def absent(settings: Settings) -> list[str]:
    """The variables of secrets that are neither given nor in the key directory yet."""
    return [
        f"ECOMIND_{name.upper()}"
        for name, file in _FILES.items()
        if getattr(settings, name) is None
        and getattr(settings, f"{name}_file") is None
        and not (settings.key_dir / file).exists()
    ]


def known_peppers(settings: Settings) -> Mapping[int, bytes]:
    """The peppers that are there, by version; none is made. Raises SecretError."""
    if "ECOMIND_KEY_PEPPER" in absent(settings):
        return {}
    return _versions(_find(settings, "key_pepper"))


class _Found(NamedTuple):
    """A secret's text, and how to name its place."""

    name: str
    text: str


def _find(settings: Settings, name: str) -> _Found:
    variable = f"ECOMIND_{name.upper()}"
    value, named = getattr(settings, name), getattr(settings, f"{name}_file")
    if value is not None and named is not None:
        raise SecretError(f"{variable} and {variable}_FILE are both set. Keep one of them.")
    if value is not None:
        return _Found(variable, value.get_secret_value())
    path = named or settings.key_dir / _FILES[name]
    place = f"{variable}_FILE" if named else "ECOMIND_KEY_DIR"
    _refuse_inside(path, settings.data_dir, place)
    try:
        if named:
            return _Found(f"The file {path} ({variable}_FILE)", _read(path, _OTHERS))
        if not path.exists():
            _require_embedded(settings, variable, path)
            _make(path)
        return _Found(f"The key file {path}", _read(path, _ALL_BUT_OWNER))
    except OSError as error:
        fix = "a file" if named else "a directory"
        may = "read" if named else "write"
        raise SecretError(
            f"The key file {path} can't be read or made: {error.strerror}."
            f" Set {place} to {fix} that this user may {may}."
        ) from error


def _refuse_inside(path: Path, data_dir: Path, place: str) -> None:
    if path.resolve().is_relative_to(data_dir.resolve()):
        raise SecretError(
            f"The key file {path} lies inside the data directory {data_dir}, so that a copy of the"
            f" data would carry its keys. Set {place} to a place outside it."
        )


def _require_embedded(settings: Settings, variable: str, path: Path) -> None:
    url = settings.control_url
    if url is not None and not url.get_secret_value().startswith("sqlite"):
        raise SecretError(
            f"{variable} is not set, and there is no {path}. Processes that share a control store"
            " share their secrets too, so none is made up here. Give every process the same"
            f" {variable} or {variable}_FILE; {_FRESH}."
        )


def _make(path: Path) -> None:
    """A fresh key at `path`; the first of several processes wins, and none sees half a file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(KEY_BYTES) + "\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(made, path)
    finally:
        os.unlink(made)
    sync_directory(path.parent)  # what is acknowledged can't be read without its key


def _read(path: Path, forbidden: int) -> str:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & forbidden:
            raise SecretError(
                f"The key file {path} is open to others. Run: chmod {mode & ~forbidden:o} {path}"
            )
        return file.read().decode("ascii", "replace")


def _key(found: _Found) -> bytes:
    text = found.text.strip()
    if not re.fullmatch(rf"[0-9a-fA-F]{{{2 * KEY_BYTES}}}", text):
        raise SecretError(
            f"{found.name} does not hold {KEY_BYTES} bytes in hexadecimal. Restore it from a"
            " backup: what another key made can't be read with a new one. For a new installation,"
            f" {_FRESH}."
        )
    key = bytes.fromhex(text)
    reason = weakness(key)
    if reason:
        raise SecretError(f"{found.name} can be guessed: {reason}. Make another; {_FRESH}.")
    return key


def _versions(found: _Found) -> Mapping[int, bytes]:
    """Peppers by version: each is `2:` and a key, or a key alone, which is version 1."""
    peppers: dict[int, bytes] = {}
    for token in found.text.split() or [""]:
        number, colon, text = token.rpartition(":")
        if colon and not re.fullmatch(r"[1-9][0-9]{0,3}", number):
            raise SecretError(
                f"{found.name} names a version that is not a number from 1 to 9999. Write `2:` and"
                " the key, without a space."
            )
        version = int(number or 1)
        if version in peppers:
            raise SecretError(f"{found.name} holds version {version} twice. Number each its own.")
        peppers[version] = _key(_Found(found.name, text))
    return peppers


def weakness(key: bytes) -> str:
    """Why a key of 32 bytes is no random one; empty if nothing shows.

    A random key fails one of these less than once in 10^12: it has 30 distinct bytes on average,
    and (95 + 3)/256 of all bytes are printable text.
    """
    if len(set(key)) < _DISTINCT_MIN:
        return f"it has fewer than {_DISTINCT_MIN} different bytes"
    if all(32 <= byte < 127 or byte in b"\t\n\r" for byte in key):
        return "it is text, not random bytes"
    steps = [(after - before) % 256 for before, after in pairwise(key)]
    if any(steps[size:] == steps[:-size] for size in range(1, KEY_BYTES // 2 + 1)):
        return "it is a sequence or repeats itself"
    return ""


def _refuse_twins(keys: Mapping[str, bytes]) -> None:
    for (one, key), (other, same) in combinations(keys.items(), 2):
        if hmac.compare_digest(key, same):
            raise SecretError(
                f"{one} and {other} hold the same secret, so that who learns one knows both."
                f" Make another; {_FRESH}."
            )

"""API keys: how one looks, is made, is checked and is hashed.

`eco_{live|test}_{id}_{secret}{check}`: a prefix that scanners of leaked secrets can look for, an id
that may be shown, a secret of 160 bits and a checksum, so that a mistyped key is told from an
unknown one without a query. Only a keyed hash is ever stored. The pepper that keys it lives outside
the database and has a version, so that it can be changed while old keys go on working.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["live", "test"]

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
ID_CHARACTERS, SECRET_CHARACTERS, CHECK_CHARACTERS = 8, 27, 6
_SHAPE = re.compile(
    rf"eco_(?:live|test)_([0-9A-Za-z]{{{ID_CHARACTERS}}})"
    rf"_[0-9A-Za-z]{{{SECRET_CHARACTERS}}}([0-9A-Za-z]{{{CHECK_CHARACTERS}}})"
)
_PEPPER_BYTES = 32
_MARKED = "ecomind pepper"  # no key has this shape


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A key just made: its id, and its text, which is shown once and never stored."""

    id: str
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ParsedKey:
    """A text that has the shape of a key; whether there is such a key is another question."""

    id: str


def mint(kind: Kind) -> MintedKey:
    """A new key from the system's random source: id of 47 bits, secret of 160."""
    identifier = _random(ID_CHARACTERS)
    body = f"eco_{kind}_{identifier}_{_random(SECRET_CHARACTERS)}"
    return MintedKey(identifier, body + _check(body))


def parse(text: str) -> ParsedKey | None:
    """The id in a key; None if the text is not one or a character of it is wrong."""
    match = _SHAPE.fullmatch(text)
    if match is None or match[2] != _check(text[:-CHECK_CHARACTERS]):
        return None
    return ParsedKey(match[1])


class Peppers:
    """The secrets that keys are hashed with, by version; the highest hashes new keys."""

    def __init__(self, versions: Mapping[int, bytes]) -> None:
        if not versions:
            raise ValueError("There is no pepper to hash keys with.")
        self._versions = dict(versions)
        self._throw_away = secrets.token_bytes(_PEPPER_BYTES)
        self._marks = {version: self.digest(_MARKED, version)[:8].hex() for version in versions}

    @property
    def current(self) -> int:
        """The version that new keys are hashed with."""
        return max(self._versions)

    def knows(self, version: int, mark: str | None = None) -> bool:
        """Whether keys made with this pepper can be checked; `mark` is None for old keys."""
        return version in self._versions and mark in (None, self._marks[version])

    def mark(self, version: int) -> str:
        """What tells a pepper from another of its version, and nothing about it."""
        return self._marks[version]

    def digest(self, text: str, version: int) -> bytes:
        """HMAC-SHA-256 of a key's text, 32 bytes. An unknown version costs the same, matches none.

        Any text is taken, because whoever sends one that is no key must not be told so by time.
        """
        pepper = self._versions.get(version, self._throw_away)
        return hmac.digest(pepper, text.encode("utf-8", "surrogatepass"), hashlib.sha256)


def _random(characters: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(characters))


def _check(body: str) -> str:
    """CRC-32 in base 62, six characters: it notices every change of one character."""
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECK_CHARACTERS):
        number, digit = divmod(number, len(ALPHABET))
        letters = ALPHABET[digit] + letters
    return letters

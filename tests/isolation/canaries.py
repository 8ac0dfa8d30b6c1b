"""Words that belong to one organisation or project, and are found wherever they turn up.

A canary is a marker and sixteen random characters, so one pass over a text finds every canary in it
and nothing else, whoever they belong to. Some are labels that the store may hold (team, model, the
organisation's own id); the others (prompts, answers, raw ids) may lie nowhere at all. In a
compressed file the marker, which all share, may be gone; the random part is not.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterator
from typing import NamedTuple

from ecomind_receiver.tenants import Reach

MARKER = "cnr"
_ALPHABET = string.ascii_lowercase + string.digits
_RANDOM_CHARACTERS = 16
_CANARY = re.compile(rf"{MARKER}[a-z0-9]{{{_RANDOM_CHARACTERS}}}")
_RUN = re.compile(rb"[a-z0-9]{%d,}" % _RANDOM_CHARACTERS)
_SECRET_CHARACTERS = 33  # of a key's text, behind its id: the secret and the checksum
_SECRET_RUN = re.compile(rb"[0-9A-Za-z]{%d,}" % _SECRET_CHARACTERS)


class Owner(NamedTuple):
    """Whose a canary is: an organisation's, or one project's; and what it stands for."""

    org_id: str
    project_id: str | None
    what: str
    stored: bool

    def within(self, reach: Reach) -> bool:
        """Whether a caller with this reach may see it."""
        one_project = None not in (reach.project_id, self.project_id)
        other_project = one_project and reach.project_id != self.project_id
        return self.stored and self.org_id == reach.org_id and not other_project


class Canaries:
    """Every canary of a run, and every API key: what must not turn up where it does not belong."""

    def __init__(self) -> None:
        self._owners: dict[str, Owner] = {}
        self._unstored: dict[bytes, str] = {}
        self._key_secrets: set[bytes] = set()

    def label(self, org_id: str, project_id: str | None, what: str) -> str:
        """A word that may be stored, and shown to its owner."""
        return self._mint(Owner(org_id, project_id, what, stored=True))

    def content(self, org_id: str, project_id: str | None, what: str) -> str:
        """A word that may neither be stored in the clear nor shown to anybody."""
        word = self._mint(Owner(org_id, project_id, what, stored=False))
        self._unstored[word[len(MARKER) :].encode()] = what
        return word

    def org_id(self) -> str:
        """A new organisation's id, a canary itself: only who belongs to it may see it."""
        word = _random()
        self._owners[word] = Owner(f"org_{word}", None, "organisation", stored=True)
        return f"org_{word}"

    def project_id(self, org_id: str) -> str:
        """A new project's id, likewise."""
        word = _random()
        self._owners[word] = Owner(org_id, f"p-{word}", "project", stored=True)
        return f"p-{word}"

    def api_key(self, text: str) -> None:
        """Know a key that was made: its secret may lie nowhere."""
        self._key_secrets.add(text[-_SECRET_CHARACTERS:].encode())

    def found(self, text: str) -> dict[str, Owner]:
        """Every canary in a text, whatever the case of its letters."""
        words = set(_CANARY.findall(text.lower()))
        return {word: self._owners[word] for word in words if word in self._owners}

    def foreign(self, text: str, reach: Reach | None, given: str = "") -> list[str]:
        """What a caller with this reach (None: anybody) may not see and did not give itself."""
        known = self.found(given)
        return [
            _described(word, owner)
            for word, owner in self.found(text).items()
            if word not in known and (reach is None or not owner.within(reach))
        ]

    def never_stored(self, data: bytes) -> list[str]:
        """Which content, and which secrets of API keys, lie in the bytes of a file."""
        return [
            f"{name}: {found.decode()}"
            for pattern, length, wanted, name in (
                (_RUN, _RANDOM_CHARACTERS, self._unstored.keys(), "content"),
                (_SECRET_RUN, _SECRET_CHARACTERS, self._key_secrets, "secret of an API key"),
            )
            for found in _windows(data, pattern, length)
            if found in wanted
        ]

    def _mint(self, owner: Owner) -> str:
        word = _random()
        self._owners[word] = owner
        return word


def _random() -> str:
    return MARKER + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM_CHARACTERS))


def _described(word: str, owner: Owner) -> str:
    return f"{word}, the {owner.what} of {owner.org_id}/{owner.project_id or '*'}"


def _windows(data: bytes, pattern: re.Pattern[bytes], length: int) -> Iterator[bytes]:
    """Every piece of `length` bytes within the runs of a file that could hold one."""
    for run in pattern.finditer(data):
        text = run[0]
        for start in range(len(text) - length + 1):
            yield text[start : start + length]

"""Ids and names as people give them: checked in one place, refused in a sentence."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ecomind_receiver.control.errors import Invalid

_FORMS = {
    "organisation": (
        re.compile(r"[a-z][a-z0-9_]{2,62}"),
        "3 to 63 of a-z, 0-9 and _, a letter first",
    ),
    "user": (re.compile(r"[a-z][a-z0-9_]{2,62}"), "3 to 63 of a-z, 0-9 and _, a letter first"),
    "project": (
        re.compile(r"[a-z0-9][a-z0-9_-]{0,62}"),
        "1 to 63 of a-z, 0-9, _ and -, a letter or digit first",
    ),
    "setting": (re.compile(r"[a-z][a-z0-9_.]{0,62}"), "1 to 63 of a-z, 0-9, _ and ."),
}
_NAME_MAX_CHARACTERS = 100


def checked_id(kind: str, text: str) -> str:
    """An id of a new organisation, user, project or setting. Raises Invalid."""
    pattern, form = _FORMS[kind]
    if not pattern.fullmatch(text):
        raise Invalid(f"{text[:80]!r} can't be the id of a new {kind}: use {form}.")
    return text


def checked_name(text: str) -> str:
    """A name for people, without spaces around it. Raises Invalid."""
    name = text.strip(" ")
    if not 1 <= len(name) <= _NAME_MAX_CHARACTERS or not name.isprintable():
        raise Invalid(f"A name has 1 to {_NAME_MAX_CHARACTERS} characters, none of them control.")
    return name


def utc_now() -> datetime:
    """The time in UTC."""
    return datetime.now(UTC)

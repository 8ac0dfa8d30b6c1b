"""Credentials that are none: what comes to the door beside live keys."""

from __future__ import annotations

import base64
from collections.abc import Callable

from ecomind_receiver import api_keys

Knock = tuple[str, Callable[[str], dict[str, str]]]


def _bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def _wrong_secret(key: str) -> str:
    """A key with the id of a live one, and a checksum that fits."""
    parts = key.split("_")
    other = "_".join([*parts[:3], api_keys.mint("live").text.split("_")[3]])
    body = other[: -api_keys.CHECK_CHARACTERS]
    return body + api_keys._check(body)


def _changed(key: str) -> str:
    """A key with one character of its secret changed."""
    return f"{key[:20]}{'A' if key[20] != 'A' else 'B'}{key[21:]}"


def _user_name(key: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}"}


KNOCKS: tuple[Knock, ...] = (
    ("nothing", lambda key: {}),
    ("a scheme alone", lambda key: {"authorization": "Bearer"}),
    ("a key that nobody made", lambda key: _bearer(api_keys.mint("live").text)),
    ("a live key's id, another secret", lambda key: _bearer(_wrong_secret(key))),
    ("one character changed", lambda key: _bearer(_changed(key))),
    ("cut short", lambda key: _bearer(key[:-1])),
    ("too long", lambda key: _bearer(key + "0")),
    ("small letters", lambda key: _bearer(key.lower())),
    ("two keys", lambda key: _bearer(f"{key} {key}")),
    ("its id alone", lambda key: _bearer(key.rpartition("_")[0])),
    ("no scheme", lambda key: {"authorization": key}),
    ("another scheme", lambda key: {"authorization": f"Token {key}"}),
    ("as user name", _user_name),
    ("another header", lambda key: {"x-api-key": key, "cookie": f"key={key}"}),
)
"""What it is, and the headers that it makes of a live key."""

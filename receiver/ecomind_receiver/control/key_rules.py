"""What a new key may be: the rules on scopes, projects, origins, rates and expiry.

A public key is one that everybody can read, because a page or an extension carries it. So it may do
nothing but send, only from the origins it names, and never without a rate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from ecomind_receiver.control.errors import Invalid
from ecomind_receiver.control.orgs import checked_rate
from ecomind_receiver.tenants import Scope

PUBLIC_SPANS_PER_SECOND = 20.0
"""Of a public key that names no rate: more than a person at a browser causes."""
_ORIGIN_MAX_CHARACTERS = 253
_EXTENSION = re.compile(r"(?:chrome|moz)-extension://[a-z0-9-]{1,64}")
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_SITE = re.compile(rf"(https?)://(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::([1-9]\d{{0,4}}))?")
_DEFAULT_PORTS = {"http": 80, "https": 443}


def checked_scopes(scopes: Iterable[Scope], project_id: str | None) -> frozenset[Scope]:
    """The scopes of a key with or without a project. Raises Invalid."""
    wanted = frozenset(scopes)
    if not wanted:
        raise Invalid(f"A key needs a scope: {', '.join(Scope)}.")
    if Scope.INGEST in wanted and project_id is None:
        raise Invalid("A key with the scope ingest needs a project, which its calls are stored in.")
    return wanted


def checked_origins(origins: Iterable[str], *, public: bool) -> tuple[str, ...]:
    """The origins of a key, each once, sorted. Raises Invalid."""
    wanted = tuple(sorted(set(origins)))
    if public and not wanted:
        raise Invalid("A public key needs an origin, such as https://app.example.com.")
    if wanted and not public:
        raise Invalid("Only a public key has origins.")
    for origin in wanted:
        _check_origin(origin)
    return wanted


def checked_public(public: bool, scopes: frozenset[Scope], rate: float | None) -> float | None:
    """The rate of a key: a public one has one, and the scope ingest alone. Raises Invalid."""
    checked_rate(rate)
    if not public:
        return rate
    if scopes != {Scope.INGEST}:
        raise Invalid("A public key has the scope ingest and no other, because anyone can read it.")
    return PUBLIC_SPANS_PER_SECOND if rate is None else rate


def checked_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """When a key stops working. Raises Invalid unless it lies ahead, with a time zone."""
    if expires_at is not None and expires_at.tzinfo is None:
        raise Invalid("The time at which a key expires needs a time zone.")
    if expires_at is not None and expires_at <= now:
        raise Invalid("The time at which a key expires must lie ahead.")
    return expires_at


def _check_origin(origin: str) -> None:
    """Browsers send an origin in one form only; another would never match."""
    if _EXTENSION.fullmatch(origin):
        return
    site = _SITE.fullmatch(origin) if len(origin) <= _ORIGIN_MAX_CHARACTERS else None
    port = int(site[2]) if site and site[2] else None
    if site is None or (port is not None and port > 65535):
        raise Invalid(
            f"{origin[:80]!r} is not an origin. Write it as a browser does: https://app.example.com,"
            " http://localhost:3000 or chrome-extension://id, in small letters, without a path."
        )
    if port == _DEFAULT_PORTS[site[1]]:
        raise Invalid(f"Leave the port out of {origin}: browsers do, where it is the usual one.")

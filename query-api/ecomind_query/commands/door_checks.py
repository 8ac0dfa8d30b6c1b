"""What doctor looks at about who may come in: keys, secrets, the address, TLS.

Like every check it changes nothing: no secret, no control store and no table is made by looking.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from ecomind_query.commands import running
from ecomind_query.commands.findings import Finding
from ecomind_receiver.settings import Settings, is_loopback

if TYPE_CHECKING:
    from ecomind_receiver.api_keys import Peppers
    from ecomind_receiver.control.records import KeyRecord

_LATER = "Set ECOMIND_API_KEY to a live key, or unset it."
_PEPPER = (
    "Set ECOMIND_KEY_PEPPER, or ECOMIND_KEY_DIR where it lies in a file, to the pepper that they"
    " were made with, or make new ones with `ecomind keys create`."
)


class Live(NamedTuple):
    """The live keys of the control store by id, and the peppers to check them with."""

    keys: dict[str, KeyRecord]
    peppers: Peppers | None

    def checkable(self, key: KeyRecord) -> bool:
        """Whether a server with these settings can check the key."""
        return bool(self.peppers and self.peppers.knows(key.pepper_version, key.pepper_mark))


def secrets(settings: Settings) -> Iterator[Finding]:
    """Whether the server's secrets can be read and trusted."""
    from ecomind_receiver.secrets import SecretError, Secrets, absent

    missing = absent(settings)
    if missing:
        yield Finding("secrets", True, f"made at the first start: {', '.join(missing)}")
        return
    try:
        Secrets(settings)
    except SecretError as error:
        yield Finding("secrets", False, str(error), "Follow the sentence, then look again.")
    else:
        yield Finding("secrets", True, "readable by this user alone, and random")


def keys(settings: Settings) -> Iterator[Finding]:
    """Whether keys are asked for, and whether any of those there are opens the server."""
    yield from _host(settings)
    local = is_loopback(settings.host)
    asked = settings.auth == "keys" or not local
    if not asked:
        detail = f"not asked for on {settings.host}; one that is shown is used"
        yield Finding("keys", True, f"{detail} (ECOMIND_AUTH=auto)")
    found = _live(settings)
    if isinstance(found, str):
        yield Finding("control store", False, found, "Follow the sentence, then look again.")
        return
    lost = sum(not found.checkable(key) for key in found.keys.values())
    if lost:
        yield Finding("pepper", False, f"missing: {lost} live keys can't be checked", _PEPPER)
    if not asked:
        return
    senders = [k for k in found.keys.values() if "ingest" in k.scopes and found.checkable(k)]
    bound = "beyond loopback only with a key that may send" if not local else "asked for"
    fix = "" if senders or local else "Run: ecomind seed, or ecomind keys create."
    detail = f"{bound}; {len(senders)} live keys may send"
    yield Finding("keys", bool(senders) or local, detail, fix)


def own_key(settings: Settings) -> Iterator[Finding]:
    """What the key in ECOMIND_API_KEY is good for."""
    from ecomind_receiver.api_keys import parse

    if settings.api_key is None:
        yield Finding("ECOMIND_API_KEY", True, "not set")
        return
    text = settings.api_key.get_secret_value().strip()
    parsed, found = parse(text), _live(settings)
    if isinstance(found, str):
        return  # said by `keys`
    key = found.keys.get(parsed.id) if parsed else None
    if parsed is None or key is None:
        what = "is no key: a character is wrong or missing" if parsed is None else "is not live"
        yield Finding("ECOMIND_API_KEY", False, f"{what}", _LATER)
    elif not found.checkable(key):
        yield Finding("ECOMIND_API_KEY", False, f"{key.shown} can't be checked", _PEPPER)
    elif found.peppers and found.peppers.digest(text, key.pepper_version) != key.digest:
        yield Finding("ECOMIND_API_KEY", False, f"{key.shown} has another secret", _LATER)
    else:
        reach = f"{key.org_id}/{key.project_id}" if key.project_id else key.org_id
        ends = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "without an end"
        scopes = ", ".join(sorted(key.scopes))
        yield Finding("ECOMIND_API_KEY", True, f"{key.shown}: {scopes} of {reach}, {ends}")


def remote_key(settings: Settings) -> Iterator[Finding]:
    """Whether the server that is asked takes the key in ECOMIND_API_KEY."""
    try:
        client = running.connect(settings)
        assert client, "a server is named"
        client.get("/v1/today")
    except running.ServerError as error:
        yield Finding("reading", False, str(error), "Follow the sentence, then look again.")
    else:
        yield Finding("reading", True, "allowed")


def tls(settings: Settings) -> Iterator[Finding]:
    """Whether listeners have a certificate that can be used, and until when."""
    from ecomind_receiver.tls import TlsError, load

    try:
        found = load(settings)
    except TlsError as error:
        yield Finding("TLS", False, str(error), "Follow the sentence, then look again.")
        return
    if found is None:
        alone = is_loopback(settings.host)
        detail = "none" if alone else "none: keys travel unencrypted unless TLS ends in front"
        yield Finding("TLS", True, detail)
    else:
        yield Finding("TLS", True, f"valid until {found.ends_at():%Y-%m-%d %H:%M} UTC")


def _host(settings: Settings) -> Iterator[Finding]:
    from ecomind_receiver.http_server import foreign

    try:
        socket.getaddrinfo(settings.host, None)
    except OSError:
        yield Finding("host", False, foreign(settings.host), "Set ECOMIND_HOST.")


def _live(settings: Settings) -> Live | str:
    """The live keys, none where there is no control store yet, or why they can't be read."""
    from ecomind_receiver.api_keys import Peppers
    from ecomind_receiver.control.snapshot import read_snapshot
    from ecomind_receiver.control.store import ControlError, ControlStore, default_url
    from ecomind_receiver.secrets import SecretError, known_peppers

    if settings.control_url is None and not (settings.data_dir / "control.db").exists():
        return Live({}, None)
    try:
        found = known_peppers(settings)
    except SecretError:
        found = {}  # said by `secrets`
    try:
        store = ControlStore(default_url(settings))
        try:
            records = read_snapshot(store, datetime.now(UTC), 1).keys
        finally:
            store.close()
    except ControlError as error:
        return str(error)
    return Live(records, Peppers(found) if found else None)

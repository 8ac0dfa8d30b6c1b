"""`ecomind keys create | list | revoke | rotate`: the API keys of an organisation."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ecomind_query.commands import control
from ecomind_query.commands.common import (
    NO_KEYS,
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.errors import BadParameter
from ecomind_query.periods import length, moment
from ecomind_receiver.settings import is_loopback
from ecomind_receiver.tenants import Scope

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ecomind_receiver.api_keys import Peppers
    from ecomind_receiver.control.records import KeyRecord

COLUMNS = (
    "id", "name", "project", "scopes", "public", "state", "spans/s", "created", "expires",
    "last used",
)  # fmt: skip

MISSING = "pepper missing"

KeyOrg = Annotated[
    str | None, typer.Option("--org", help="The organisation's id; that of the key if left out.")
]
KeyId = Annotated[
    str, typer.Argument(help="The eight characters between the key's kind and secret.")
]


def create(
    name: Annotated[str, typer.Argument(help="What it is for, such as `checkout production`.")],
    org: control.Org = control.DEFAULT_ORG,
    project: Annotated[
        str | None,
        typer.Option(help="Its project; without one it reads the whole organisation."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="ingest (if left out), read, admin; several with commas, or repeated."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option(help="When it ends: 90d, or a date such as 2027-01-31 (UTC, at its start)."),
    ] = None,
    public: Annotated[
        bool, typer.Option("--public", help="For browsers: ingest only, bound to --origin.")
    ] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="Where a public key is used, such as https://app.example.com; repeated."),
    ] = None,
    rate: Annotated[
        float | None, typer.Option(help="Spans a second; a public key has 20 if left out.")
    ] = None,
    test: Annotated[bool, typer.Option("--test", help="Mark it eco_test_, not eco_live_.")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key. Its text is printed once, on stdout, and can't be shown again."""
    from ecomind_receiver.control.keys import OrgKeys

    settings, expires_at = load_settings(data_dir=data_dir), _expiry(expires)
    peppers = control.peppers(settings)
    with control.changing(settings) as tx:
        key, text = OrgKeys(tx, org, peppers).create(
            name,
            project,
            _scopes(scope),
            "test" if test else "live",
            expires_at,
            public=public,
            origins=origin or (),
            spans_per_second=rate,
        )
    control.announce(settings)
    control.show_new_key(key, text, as_json)
    if settings.auth == "auto" and is_loopback(settings.host):
        control.say(NO_KEYS)


def list_(
    org: control.Org = control.DEFAULT_ORG, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List the keys of an organisation, without their secrets, and what became of them."""
    from ecomind_receiver.control.ids import utc_now
    from ecomind_receiver.control.keys import OrgKeys

    settings = load_settings(data_dir=data_dir)
    peppers = control.known_peppers(settings)
    with control.reading(settings) as tx:
        keys = OrgKeys(tx, org).list()
    now = utc_now()
    states = [_state(key, now, peppers) for key in keys]
    if as_json:
        found = zip(keys, states, strict=True)
        print_json(
            [control.plain(key) | {"live": key.live(now), "state": state} for key, state in found]
        )
        return
    print_table(COLUMNS, map(_row, keys, states), right=["spans/s"])
    if MISSING in states:
        control.say(
            f"{states.count(MISSING)} of these can't be checked: set ECOMIND_KEY_PEPPER, or"
            " ECOMIND_KEY_DIR where it lies in a file, to the pepper they were made with."
        )
    if not keys:
        control.say(f"Next: ecomind keys create NAME --org {org} --project PROJECT")


def revoke(
    key_id: KeyId,
    org: KeyOrg = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a key now, for good."""
    from ecomind_receiver.control.keys import OrgKeys

    settings = load_settings(data_dir=data_dir)
    with control.changing(settings) as tx:
        key = OrgKeys(tx, org or _org_of(tx, key_id)).revoke(key_id)
    control.announce(settings)
    if as_json:
        print_json(control.plain(key))
    control.say(f"The key {key.shown} ({key.name}) is revoked.")


def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the old key works on: 30m, 24h, 7d; 0 ends it now.")
    ] = "24h",
    org: KeyOrg = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a key's successor, with the same rights; the old key works on for a while."""
    from datetime import timedelta

    from ecomind_receiver.control.keys import OrgKeys

    settings = load_settings(data_dir=data_dir)
    try:
        overlap = timedelta(0) if grace == "0" else length("--grace", grace)
    except BadParameter as error:
        fail(str(error))
    peppers = control.peppers(settings)
    with control.changing(settings) as tx:
        keys = OrgKeys(tx, org or _org_of(tx, key_id), peppers)
        key, text = keys.rotate(key_id, overlap)
        old = keys.get(key_id)
    control.announce(settings)
    control.show_new_key(key, text, as_json)
    if overlap:
        until = control.day_and_time(old.expires_at)
        control.say(f"The old key {old.shown} works until {until} UTC.")
    else:
        control.say(f"The old key {old.shown} has ended.")


def _expiry(text: str | None) -> datetime | None:
    """The moment that `90d` or `2027-01-01` means."""
    from ecomind_receiver.control.ids import utc_now

    if text is None:
        return None
    try:
        return moment("--expires", text) if "-" in text else utc_now() + length("--expires", text)
    except BadParameter as error:
        fail(str(error) if "-" in text else f"{error} A date such as 2027-01-31 works too.")


def _scopes(given: list[str] | None) -> list[Scope]:
    """Scopes from words with commas between; the scope ingest if there is none."""
    words = [word.strip() for each in given or () for word in each.split(",") if word.strip()]
    for word in words:
        if word not in list(Scope):
            fail(f"There is no scope {word[:40]!r}. Scopes: {', '.join(Scope)}.")
    return [Scope(word) for word in words] or [Scope.INGEST]


def _org_of(tx: Connection, key_id: str) -> str:
    """The organisation of a key whose id alone was given; org_demo, if there is no such key."""
    from ecomind_receiver.control.orgs import org_of_key

    return org_of_key(tx, key_id) or control.DEFAULT_ORG


def _row(key: KeyRecord, state: str) -> tuple[object, ...]:
    return (
        key.id,
        key.name,
        key.project_id or "all",
        ", ".join(sorted(key.scopes)),
        f"from {', '.join(key.origins)}" if key.public else "",
        state,
        None if key.spans_per_second is None else f"{key.spans_per_second:g}",
        f"{key.created_at:%Y-%m-%d}",
        control.day_and_time(key.expires_at),
        control.day_and_time(key.last_used_at),
    )


def _state(key: KeyRecord, now: datetime, peppers: Peppers | None) -> str:
    if key.revoked_at:
        return "revoked"
    if not key.live(now):
        return "expired"
    if peppers is None or not peppers.knows(key.pepper_version, key.pepper_mark):
        return MISSING
    if not key.replaced_by:
        return "live"
    return f"live until {control.day_and_time(key.expires_at)}, then {key.replaced_by}"

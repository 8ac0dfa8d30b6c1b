"""`ecomind keys create | list | revoke | rotate`: the API keys of an organisation."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from ecomind_query.commands import control
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.errors import BadParameter
from ecomind_query.periods import length, moment
from ecomind_receiver.tenants import Scope

if TYPE_CHECKING:
    from ecomind_receiver.control.records import KeyRecord

COLUMNS = (
    "id", "name", "project", "scopes", "state", "spans/s", "expires", "last used",
)  # fmt: skip

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
        list[Scope] | None, typer.Option(help="What it is good for; may be repeated; ingest.")
    ] = None,
    expires: Annotated[
        str | None, typer.Option(help="When it ends: 90d, or a date (UTC, at its start).")
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
            scope or [Scope.INGEST],
            "test" if test else "live",
            expires_at,
            public=public,
            origins=origin or (),
            spans_per_second=rate,
        )
    control.announce(settings)
    control.show_new_key(key, text, as_json)


def list_(
    org: control.Org = control.DEFAULT_ORG, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List the keys of an organisation, without their secrets, and what became of them."""
    from ecomind_receiver.control.ids import utc_now
    from ecomind_receiver.control.keys import OrgKeys

    with control.reading(load_settings(data_dir=data_dir)) as tx:
        keys = OrgKeys(tx, org).list()
    now = utc_now()
    if as_json:
        print_json([control.plain(key) | {"live": key.live(now)} for key in keys])
    else:
        print_table(COLUMNS, (_row(key, now) for key in keys), right=["spans/s"])


def revoke(
    key_id: KeyId,
    org: control.Org = control.DEFAULT_ORG,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a key now, for good."""
    from ecomind_receiver.control.keys import OrgKeys

    settings = load_settings(data_dir=data_dir)
    with control.changing(settings) as tx:
        key = OrgKeys(tx, org).revoke(key_id)
    control.announce(settings)
    if as_json:
        print_json(control.plain(key))
    control.say(f"The key {key.shown} ({key.name}) is revoked.")


def rotate(
    key_id: KeyId,
    grace: Annotated[
        str, typer.Option(help="How long the old key works on: 30m, 24h, 7d; 0 ends it now.")
    ] = "24h",
    org: control.Org = control.DEFAULT_ORG,
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
        keys = OrgKeys(tx, org, peppers)
        key, text = keys.rotate(key_id, overlap)
        old = keys.get(key_id)
    control.announce(settings)
    control.show_new_key(key, text, as_json)
    control.say(f"The old key {old.shown} works until {control.day_and_time(old.expires_at)} UTC.")


def _expiry(text: str | None) -> datetime | None:
    """The moment that `90d` or `2027-01-01` means."""
    from ecomind_receiver.control.ids import utc_now

    if text is None:
        return None
    try:
        return moment("--expires", text) if "-" in text else utc_now() + length("--expires", text)
    except BadParameter as error:
        fail(str(error))


def _row(key: KeyRecord, now: datetime) -> tuple[object, ...]:
    return (
        key.id,
        key.name,
        key.project_id or "all",
        ", ".join(sorted(key.scopes)) + (f" from {', '.join(key.origins)}" if key.public else ""),
        _state(key, now),
        None if key.spans_per_second is None else f"{key.spans_per_second:g}",
        control.day_and_time(key.expires_at),
        control.day_and_time(key.last_used_at),
    )


def _state(key: KeyRecord, now: datetime) -> str:
    if key.revoked_at:
        return "revoked"
    if not key.live(now):
        return "expired"
    return f"replaced by {key.replaced_by}" if key.replaced_by else "live"

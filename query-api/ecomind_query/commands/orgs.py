"""`ecomind orgs create | list | quota`: the organisations of this installation."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from ecomind_receiver.control.records import OrgRecord
    from ecomind_receiver.settings import Settings

COLUMNS = ("organisation", "name", "projects", "live keys", "spans/s", "burst spans", "created")
_RIGHT = COLUMNS[2:6]

OrgId = Annotated[str, typer.Argument(help="The organisation's id.")]


def create(
    org_id: Annotated[
        str, typer.Argument(help="Its id: 3 to 63 of a-z, 0-9 and _, a letter first.")
    ],
    name: Annotated[str, typer.Option(help="What people call it; its id if left out.")] = "",
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make an organisation. It has no project and no key yet."""
    from ecomind_receiver.control.orgs import create_org

    settings = load_settings(data_dir=data_dir)
    with control.changing(settings) as tx:
        org = create_org(tx, org_id, name)
    _show(org, settings, as_json)
    control.say(f"Next: ecomind projects create PROJECT --org {org_id}")


def list_(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List organisations with their projects, live keys and quotas."""
    from ecomind_receiver.control.orgs import list_orgs

    settings = load_settings(data_dir=data_dir)
    with control.reading(settings) as tx:
        orgs = list_orgs(tx)
    if as_json:
        print_json([control.plain(org) for org in orgs])
        return
    print_table(COLUMNS, (_row(org, settings) for org in orgs), right=_RIGHT)
    if not orgs:
        control.say("Next: ecomind seed, or ecomind orgs create ORG")


def quota(
    org_id: OrgId,
    rate: Annotated[
        float | None, typer.Option("--rate", help="Spans a second that it may send.")
    ] = None,
    burst: Annotated[
        int | None,
        typer.Option(
            "--burst", help="Spans at once; ECOMIND_QUOTA_BURST_SECONDS of the rate if left out."
        ),
    ] = None,
    none: Annotated[
        bool, typer.Option("--none", help="Take its quota away: the server's default holds.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Limit what an organisation may send; without an option, show its quota."""
    from ecomind_receiver.control.orgs import get_org, set_quota

    settings = load_settings(data_dir=data_dir)
    if none and (rate, burst) != (None, None):
        fail("Give --none or a quota, not both.")
    if none or (rate, burst) != (None, None):
        with control.changing(settings) as tx:
            org = set_quota(tx, org_id, rate, burst)
        control.announce(settings)
    else:
        with control.reading(settings) as tx:
            org = get_org(tx, org_id)
    _show(org, settings, as_json)


def _show(org: OrgRecord, settings: Settings, as_json: bool) -> None:
    if as_json:
        print_json(control.plain(org))
    else:
        print_table(COLUMNS, [_row(org, settings)], right=_RIGHT)


def _row(org: OrgRecord, settings: Settings) -> tuple[object, ...]:
    rate = f"{org.spans_per_second:g}" if org.spans_per_second else _default(settings)
    created = control.day_and_time(org.created_at)
    return org.id, org.name, org.projects, org.live_keys, rate, org.burst_spans, created


def _default(settings: Settings) -> str:
    """What holds for an organisation without a quota, as far as this command's settings say."""
    rate = settings.quota_spans_per_second
    return f"default ({rate:g})" if rate else "default (no limit)"

"""`ecomind users create | list`: who is a member of an organisation, and as what."""

from __future__ import annotations

from typing import Annotated

import typer

from ecomind_query.commands import control
from ecomind_query.commands.common import AsJson, DataDir, load_settings, print_json, print_table
from ecomind_receiver.control.records import Role

COLUMNS = ("organisation", "user", "name", "role", "since")


def create(
    user_id: Annotated[
        str, typer.Argument(help="The account: 3 to 63 of a-z, 0-9 and _, a letter first.")
    ],
    name: Annotated[str, typer.Option(help="What people call them; the id if left out.")] = "",
    role: Annotated[Role, typer.Option(help="What they are in the organisation.")] = Role.VIEWER,
    org: control.Org = control.DEFAULT_ORG,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a user a member of an organisation; an account that exists already is taken as it is."""
    from ecomind_receiver.control.orgs import add_member, ensure_user
    from ecomind_receiver.control.own import Own

    with control.changing(load_settings(data_dir=data_dir)) as tx:
        ensure_user(tx, user_id, name)
        add_member(tx, org, user_id, role)
        member = Own(tx, org).member(user_id)
    if as_json:
        print_json(control.plain(member))
    control.say(f"{member.user_id} is {member.role} of {org}.")


def list_(
    org: control.Org = control.DEFAULT_ORG, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List the members of an organisation with their roles."""
    from ecomind_receiver.control.own import Own

    with control.reading(load_settings(data_dir=data_dir)) as tx:
        members = Own(tx, org).members()
    if as_json:
        print_json([control.plain(member) for member in members])
        return
    rows = (
        (m.org_id, m.user_id, m.name, m.role, control.day_and_time(m.created_at)) for m in members
    )
    print_table(COLUMNS, rows)
    if not members:
        control.say(f"Next: ecomind users create USER --org {org} --role owner")

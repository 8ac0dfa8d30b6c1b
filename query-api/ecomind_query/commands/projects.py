"""`ecomind projects create | list`: the projects of an organisation."""

from __future__ import annotations

from typing import Annotated

import typer

from ecomind_query.commands import control
from ecomind_query.commands.common import AsJson, DataDir, load_settings, print_json, print_table

COLUMNS = ("organisation", "project", "name", "created")


def create(
    project_id: Annotated[
        str, typer.Argument(help="Its id: 1 to 63 of a-z, 0-9, _ and -, a letter or digit first.")
    ],
    name: Annotated[str, typer.Option(help="What people call it; its id if left out.")] = "",
    org: control.Org = control.DEFAULT_ORG,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Make a project: what calls are stored in, by the key that sends them."""
    from ecomind_receiver.control.own import Own

    with control.changing(load_settings(data_dir=data_dir)) as tx:
        project = Own(tx, org).create_project(project_id, name)
    if as_json:
        print_json(control.plain(project))
    control.say(f"Next: ecomind keys create NAME --org {org} --project {project_id}")


def list_(
    org: control.Org = control.DEFAULT_ORG, data_dir: DataDir = None, as_json: AsJson = False
) -> None:
    """List the projects of an organisation."""
    from ecomind_receiver.control.own import Own

    with control.reading(load_settings(data_dir=data_dir)) as tx:
        projects = Own(tx, org).projects()
    if as_json:
        print_json([control.plain(project) for project in projects])
        return
    rows = ((p.org_id, p.id, p.name, control.day_and_time(p.created_at)) for p in projects)
    print_table(COLUMNS, rows)

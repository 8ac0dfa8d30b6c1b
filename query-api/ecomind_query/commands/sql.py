"""`ecomind sql "SELECT …"`: one SELECT over the calls, read-only."""

from __future__ import annotations

from typing import Annotated

import typer

from ecomind_query.commands import running, source
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    ServerUrl,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.commands.running import ServerError
from ecomind_query.errors import QueryError
from ecomind_query.shapes import SqlResult
from ecomind_receiver.settings import Settings

WIDE_COLUMNS = 8
"""One row with more columns than these is printed from top to bottom."""


def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT, in quotes.")],
    server: ServerUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run one SELECT over calls, calls_footprint, usage_hourly, span_outcomes and coefficients.

    A correction is a row with sign −1: count with sum(sign), and sum sign * tokens.
    """
    try:
        result = _ask(load_settings(data_dir=data_dir, server=server), statement)
    except QueryError as error:
        fail(str(error))
    except ServerError as error:
        fail(str(error), error.code)
    if as_json:
        print_json(result)
        return
    more = "There are more rows; narrow the statement." if result.truncated else None
    if not result.rows:
        typer.echo("no rows")
    elif len(result.rows) == 1 and len(result.columns) > WIDE_COLUMNS:
        print_table(("column", "value"), zip(result.columns, result.rows[0], strict=True))
    else:
        print_table(result.columns, result.rows, caption=more)


def _ask(settings: Settings, statement: str) -> SqlResult:
    server = running.connect(settings)
    if server is None:
        with source.reader(settings) as reader:
            return reader.sql(source.reach(settings), statement)
    return SqlResult(**server.post("/v1/sql", {"sql": statement}))

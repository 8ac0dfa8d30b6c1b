"""`ecomind sql "SELECT …"`: one SELECT over the calls, read-only."""

from __future__ import annotations

from typing import Annotated

import typer

from ecomind_query.commands import running, source
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.commands.running import ServerError
from ecomind_query.errors import QueryError
from ecomind_query.shapes import SqlResult
from ecomind_receiver.settings import Settings


def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT, in quotes.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Run one SELECT over calls, calls_footprint, usage_hourly, span_outcomes and coefficients.

    A correction is a row with sign −1: count with sum(sign), and sum sign * tokens.
    """
    try:
        result = _ask(load_settings(data_dir=data_dir), statement)
    except (QueryError, ServerError) as error:
        fail(str(error))
    if as_json:
        print_json(result)
        return
    more = "There are more rows; narrow the statement." if result.truncated else None
    print_table(result.columns, result.rows, caption=more)


def _ask(settings: Settings, statement: str) -> SqlResult:
    server = running.connect(settings)
    if server is None:
        with source.reader(settings) as reader:
            return reader.sql(source.reach(settings), statement)
    return SqlResult(**server.post("/v1/sql", {"sql": statement}))

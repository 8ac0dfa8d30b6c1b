"""One SELECT of a user over the rows of one organisation, or of one project of it.

The statement is parsed, held to what the lists below allow, and printed again from the tree:
nothing that the parser did not understand reaches the engine. Each table becomes a subquery that
binds the caller's reach, so a statement can't name rows of another. Names that a statement defines
itself get a prefix that no table has, so that none can stand for a table elsewhere in the
statement.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from importlib import resources
from typing import Any

import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import SqlglotError

from ecomind_query.errors import QueryError
from ecomind_query.queries import SQL_TABLES, Queries, tables_within
from ecomind_query.shapes import SqlResult
from ecomind_receiver.tenants import Reach

MAX_ROWS = 10_000
_DIALECT = "clickhouse"
_OWN = "own_"
_UNNAMED = (
    "Anonymous",
    "AnonymousAggFunc",
    "CombinedAggFunc",
    "CombinedParameterizedAgg",
    "ParameterizedAgg",
)
_TABLE_PARTS = ("this", "alias", "joins")
_SAFE_INTEGER = 2**53
_STARTS = re.compile(r"\s*\(*\s*(SELECT|WITH)\b", re.IGNORECASE)


def run(queries: Queries, statement: str) -> SqlResult:
    """Run one SELECT. Raises QueryError with what to change."""
    text = bound(statement, queries.reach)
    try:
        rows = queries.statement(text, MAX_ROWS + 1)
    except Exception as error:
        raise QueryError(f"The engine refused the statement: {_first_line(error)}") from error
    return SqlResult(
        columns=list(rows[0]) if rows else [],
        rows=[[plain(value) for value in row.values()] for row in rows[:MAX_ROWS]],
        truncated=len(rows) > MAX_ROWS,
    )


def bound(statement: str, reach: Reach) -> str:
    """The statement printed from its tree with the reach bound. Raises QueryError."""
    tree = _parsed(statement)
    for node in tree.walk():
        _check(node)
    own, tables = _rename_own_names(tree), tables_within(reach)
    for table in list(tree.find_all(exp.Table)):
        if table.name not in own:
            table.replace(_bound_table(table, tables[table.name]))
    return tree.sql(dialect=_DIALECT, comments=False)


def plain(value: object) -> Any:
    """A value of the engine as JSON can hold it."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) <= _SAFE_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        return value.isoformat() + ("" if value.tzinfo else "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, bytes) else str(value)


@cache
def _allowed(what: str) -> frozenset[str]:
    text = resources.files("ecomind_query").joinpath("sql_allowed.yaml").read_text("utf-8")
    lists = yaml.safe_load(text)[what]
    names = {name for group in lists for name in group}
    return frozenset(name.lower() for name in names) if what == "functions" else frozenset(names)


def _parsed(statement: str) -> exp.Expr:
    if not _STARTS.match(statement):
        raise QueryError("The statement must start with SELECT or WITH; only reading is possible.")
    try:
        trees = [tree for tree in sqlglot.parse(statement, dialect=_DIALECT) if tree is not None]
    except SqlglotError as error:
        raise QueryError(f"The statement can't be read: {_first_line(error)}") from error
    if len(trees) != 1:
        raise QueryError("Send one statement at a time, without a semicolon between.")
    tree = trees[0]
    if not isinstance(tree, (exp.Select, exp.SetOperation, exp.Subquery)):
        raise QueryError("The statement must be a SELECT; only reading is possible.")
    return tree


def _check(node: exp.Expr) -> None:
    kind = type(node).__name__
    if kind in _UNNAMED:
        _check_function(str(node.this))
    elif kind not in _allowed("nodes"):
        raise QueryError(f"{node.sql(dialect=_DIALECT)[:60]!r}: {kind} is not available here.")
    if isinstance(node, (exp.Select, exp.SetOperation)):
        _check_clauses(node)
    if isinstance(node, exp.Table):
        _check_table(node)
    if isinstance(node, exp.In):
        _check_in(node)


def _check_function(name: str) -> None:
    if name.lower() not in _allowed("functions"):
        raise QueryError(f"The function {name[:60]} is not available here.")


def _check_clauses(node: exp.Expr) -> None:
    for name, value in node.args.items():
        if value and name not in _allowed("clauses"):
            raise QueryError(f"{name.strip('_').upper()} is not available here; leave it out.")


def _check_table(node: exp.Table) -> None:
    extra = [
        name
        for name, value in node.args.items()
        if value and name not in ("this", "alias", "joins")
    ]
    if extra or not isinstance(node.this, exp.Identifier):
        text = node.sql(dialect=_DIALECT)[:60]
        raise QueryError(f"{text!r} can't be read from. Tables: {', '.join(SQL_TABLES)}.")


def _check_in(node: exp.In) -> None:
    """The engine takes a bare name on the right of IN for a table."""
    sides = [node.args.get("field"), *node.expressions]
    if any(isinstance(side, (exp.Column, exp.Identifier, exp.Table)) for side in sides):
        raise QueryError("IN needs a list of values or a SELECT in parentheses on its right.")


def _rename_own_names(tree: exp.Expr) -> set[str]:
    """Prefix every WITH name; the names, as they are now."""
    queries = [cte for cte in tree.find_all(exp.CTE) if isinstance(cte.this, exp.Query)]
    names = {cte.alias for cte in queries}
    for cte in queries:
        cte.args["alias"].set("this", exp.to_identifier(_OWN + cte.alias, quoted=True))
    for table in tree.find_all(exp.Table):
        if table.name in names:
            if not table.alias:
                table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name, quoted=True)))
            table.set("this", exp.to_identifier(_OWN + table.name, quoted=True))
        elif table.name not in SQL_TABLES:
            raise QueryError(
                f"There is no table {table.name[:60]!r}. Tables: {', '.join(SQL_TABLES)}."
            )
    return {_OWN + name for name in names}


def _bound_table(table: exp.Table, text: str) -> exp.Subquery:
    inner = sqlglot.parse_one(text, dialect=_DIALECT)
    alias = exp.TableAlias(this=exp.to_identifier(table.alias or table.name, quoted=True))
    return exp.Subquery(this=inner, alias=alias, joins=table.args.get("joins"))


def _first_line(error: Exception) -> str:
    text = re.sub(r"\x1b\[\d*m", "", str(error)).strip().splitlines()
    return text[0][:300] if text else type(error).__name__

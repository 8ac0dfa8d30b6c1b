"""One SELECT of a user over the rows of one organisation, or of one project of it.

The statement is parsed, held to what the lists below allow, and printed again from the tree:
nothing that the parser did not understand reaches the engine. Each table becomes a subquery that
binds the caller's reach, so a statement can't name rows of another. Names that a statement defines
itself get a prefix that no table has, so that none can stand for a table elsewhere in the
statement. What was printed is read twice more, by the parser and by the engine, and runs only if
both see one statement whose tables all stand in those subqueries.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlglot import exp

from ecomind_query.errors import QueryError
from ecomind_query.held import SQL_TABLES, tables_within
from ecomind_query.queries import Queries
from ecomind_query.shapes import SqlResult
from ecomind_query.sql_columns import missing
from ecomind_query.sql_text import (
    DIALECT,
    allowed,
    check_incoming,
    check_leaves,
    parsed,
    printed,
)
from ecomind_receiver.tenants import Reach

MAX_ROWS = 10_000
_OWN = "own_"
_SAFE_INTEGER = 2**53
_STARTS = re.compile(r"\s*\(*\s*(SELECT|WITH)\b", re.IGNORECASE | re.ASCII)
_TABLE_PARTS = ("this", "alias", "joins")
_ENGINE_TEXTS: dict[str, str] = {}
"""Text of a bound table → the same as the engine writes it."""

_MISREAD = "The statement can be read in two ways; write it in a simpler form."


def run(queries: Queries, statement: str) -> SqlResult:
    """Run one SELECT. Raises QueryError with what to change."""
    try:
        text, own = _bound(statement, queries.reach)
        _check_as_the_engine_reads(queries, text, own)
    except RecursionError as error:
        raise QueryError("The statement is nested too deeply; write a shorter one.") from error
    try:
        rows = _asked(queries, text, MAX_ROWS + 1)
    except QueryError as error:
        unknown = missing(queries, statement) if "UNKNOWN_IDENTIFIER" in error.detail else ""
        raise QueryError(unknown or error.detail) from None
    return SqlResult(
        columns=list(rows[0]) if rows else [],
        rows=[[plain(value) for value in row.values()] for row in rows[:MAX_ROWS]],
        truncated=len(rows) > MAX_ROWS,
    )


def bound(statement: str, reach: Reach) -> str:
    """The statement printed from its tree with the reach bound. Raises QueryError."""
    return _bound(statement, reach)[0]


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


def _bound(statement: str, reach: Reach) -> tuple[str, set[str]]:
    """The text for the engine, and the names of WITH in it."""
    tree = _read(statement)
    for node in tree.walk():
        _check(node)
    own, tables = _rename_own_names(tree), tables_within(reach)
    for table in list(tree.find_all(exp.Table)):
        if table.name not in own:
            table.replace(_bound_table(table, tables[table.name]))
    text = printed(tree)
    _check_as_printed(text, own, reach)
    return text, own


def _read(statement: str) -> exp.Expr:
    if not _STARTS.match(statement):
        raise QueryError("The statement must start with SELECT or WITH; only reading is possible.")
    check_incoming(statement)
    tree = parsed(statement)
    if not isinstance(tree, (exp.Select, exp.SetOperation, exp.Subquery)):
        raise QueryError("The statement must be a SELECT; only reading is possible.")
    return tree


def _check_as_printed(text: str, own: set[str], reach: Reach) -> None:
    """The parser must read what it printed as the same text, with every table held."""
    tree = parsed(text)
    if printed(tree) != text:
        raise QueryError(_MISREAD)
    tables = [_printed_table(each) for each in tables_within(reach).values()]
    for node in _rest(tree, [_known_tree(each) for each in tables], own):
        _check(node)


def _check_as_the_engine_reads(queries: Queries, text: str, own: set[str]) -> None:
    """The engine must see one SELECT, with every table held; its parser runs nothing here."""
    tables = [_printed_table(each) for each in tables_within(queries.reach).values()]
    for each in tables:
        if each not in _ENGINE_TEXTS:
            _ENGINE_TEXTS[each] = _formatted(queries, each)
    held = [_known_tree(_ENGINE_TEXTS[each]) for each in tables]
    for node in _rest(parsed(_formatted(queries, text)), held, own):
        if isinstance(node, (exp.In, exp.Exists, exp.Any, exp.All)):
            _check_in(node)
        elif isinstance(node, (exp.Placeholder, exp.Command, exp.DML, exp.DDL)):
            raise QueryError(_MISREAD)


def _formatted(queries: Queries, text: str) -> str:
    """The text as the engine's own parser understands it; hexadecimal, so it stays a value."""
    asked = f"SELECT formatQuerySingleLine(unhex('{text.encode().hex()}')) AS text"
    try:
        return str(_asked(queries, asked, 1)[0]["text"])
    except QueryError:
        raise QueryError(_MISREAD) from None


@cache
def _printed_table(text: str) -> str:
    """One of our own texts as it stands in a statement; it says which values, not what they are."""
    return printed(parsed(text))


@cache
def _known_tree(text: str) -> exp.Expr:
    """The tree of one of our own texts, to compare with; nobody changes it."""
    return parsed(text)


def _rest(tree: exp.Expr, held: list[exp.Expr], own: set[str]) -> list[exp.Expr]:
    """The nodes outside of the subqueries that are held to the reach; no table is among them."""
    if not isinstance(tree, exp.Query):
        raise QueryError(_MISREAD)
    for select in list(tree.find_all(exp.Select)):
        if any(select == each for each in held):
            select.replace(exp.select("1"))
    nodes = list(tree.walk())
    for node in nodes:
        if isinstance(node, exp.Table) and not (
            isinstance(node.this, exp.Identifier) and node.name in own
        ):
            raise QueryError(_MISREAD)
    return nodes


def _asked(queries: Queries, text: str, limit: int) -> list[dict[str, Any]]:
    """The engine's answer. Its words may quote rows and names, so an error is its code and name."""
    try:
        return queries.statement(text, limit)
    except Exception as error:
        raise QueryError(f"The engine refused the statement: {_cause(error)}.") from None


def _cause(error: Exception) -> str:
    found = re.search(r"Code: (\d+)\b.*\(([A-Z][A-Z0-9_]{3,60})\)", str(error), re.DOTALL)
    return f"{found[2]} (code {found[1]})" if found else type(error).__name__


def _check(node: exp.Expr) -> None:
    kind = type(node).__name__
    if kind in allowed("unnamed"):
        _check_function(str(node.this))
    elif kind not in allowed("nodes"):
        raise QueryError(f"{node.sql(dialect=DIALECT)[:60]!r}: {kind} is not available here.")
    if isinstance(node, (exp.Select, exp.SetOperation)):
        _check_clauses(node)
    if isinstance(node, exp.Table):
        _check_table(node)
    if isinstance(node, (exp.In, exp.Exists, exp.Any, exp.All)):
        _check_in(node)
    if isinstance(node, exp.Interval) and not isinstance(node.args.get("unit"), exp.Var):
        raise QueryError("INTERVAL needs a number and a unit, such as INTERVAL 1 DAY.")
    check_leaves(node)


def _check_function(name: str) -> None:
    if name.lower() not in allowed("functions"):
        raise QueryError(f"The function {name[:60]} is not available here.")


def _check_clauses(node: exp.Expr) -> None:
    for name, value in node.args.items():
        if value and name not in allowed("clauses"):
            raise QueryError(f"{name.strip('_').upper()} is not available here; leave it out.")


def _check_table(node: exp.Table) -> None:
    extra = [name for name, value in node.args.items() if value and name not in _TABLE_PARTS]
    if extra or not isinstance(node.this, exp.Identifier):
        text = node.sql(dialect=DIALECT)[:60]
        raise QueryError(f"{text!r} can't be read from. Tables: {', '.join(SQL_TABLES)}.")


def _check_in(node: exp.Expr) -> None:
    """The engine takes a bare name on the right of IN for a table, within parentheses too."""
    left = node.this if isinstance(node, exp.In) else None
    for side in (each for each in node.iter_expressions() if each is not left):
        for each in side.walk(
            prune=lambda found: isinstance(found, (exp.Select, exp.SetOperation))
        ):
            if isinstance(each, (exp.Column, exp.Identifier, exp.Table, exp.Dot, exp.Star)):
                raise QueryError(
                    "IN needs a list of values or a SELECT in parentheses on its right."
                )


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
    inner = parsed(text)
    alias = exp.TableAlias(this=exp.to_identifier(table.alias or table.name, quoted=True))
    return exp.Subquery(this=inner, alias=alias, joins=table.args.get("joins"))

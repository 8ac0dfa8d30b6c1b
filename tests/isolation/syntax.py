"""Reads code and SQL as trees, for what no test run can show: that nobody else asks the store.

Whoever may read the engine's rows at all is decided in one module, and which rows in one other.
Each function here lists what breaks that; an empty list is a pass.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

from ecomind_receiver.tenants import Reach

ENGINES = ("clickhouse_connect", "chdb")
STORE_METHODS = ("query", "command", "insert", "_client")
NOBODYS_TABLES = ("coefficients", "reconciled", "closed_days")
"""Tables without an organisation; any other name in a SELECT is taken for a tenant's."""

RENAMED = "own_"
"""What `ecomind_query.sql` puts before a name that a statement defines itself."""


def engine_imports(source: str) -> list[str]:
    """Imports of a client of the engine, at any depth, by statement or by name."""
    found: list[str] = []
    for node in ast.walk(ast.parse(source)):
        found += [name for name in _imported(node) if name.split(".")[0] in ENGINES]
    return found


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        yield node.module or ""
    elif isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
        if name in ("import_module", "__import__"):
            yield from (a.value for a in node.args if _is_text(a))  # type: ignore[attr-defined]


def store_uses(source: str) -> list[str]:
    """Expressions that reach for a method of the store, called, passed on or named as text."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in STORE_METHODS:
            found.append(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "attrgetter"):
            named = [a.value for a in node.args if _is_text(a)]  # type: ignore[attr-defined]
            found += [ast.unparse(node) for name in named if name in STORE_METHODS]
    return found


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def unbound(text: str, reach: Reach) -> list[str]:
    """Tables of a tenant that a SELECT in `text` reads without being held to `reach`.

    The SELECT that names the table must itself compare the table's columns with the bound values,
    and nothing but AND may stand above the comparison.
    """
    tree = sqlglot.parse_one(text, dialect="clickhouse")
    tables = [
        table
        for table in tree.find_all(exp.Table)
        if table.name not in NOBODYS_TABLES and not table.name.startswith(RENAMED)
    ]
    by_name = [  # the engine takes a bare name on the right of IN for a table
        node.sql()
        for node in tree.find_all(exp.In)
        if isinstance(node.args.get("field"), exp.Column)
    ]
    return [table.sql() for table in tables if not _is_held(table, reach)] + by_name


def _is_held(table: exp.Table, reach: Reach) -> bool:
    select = table.find_ancestor(exp.Select)
    where = select.args.get("where") if select else None
    if select is None or where is None:
        return False
    qualifiers = {table.alias_or_name}
    if len(select.args.get("joins") or []) == 0:
        qualifiers.add("")
    held = {
        (condition.this.name, condition.expression.name)
        for condition in _all_of(where.this)
        if isinstance(condition, exp.EQ)
        and isinstance(condition.this, exp.Column)
        and condition.this.table in qualifiers
        and isinstance(condition.expression, exp.Placeholder)
    }
    wanted = {("org_id", "org")}
    if reach.project_id is not None:
        wanted.add(("project_id", "own_project"))
    return wanted <= held


def _all_of(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The conditions that must all hold."""
    if isinstance(condition, exp.Paren):
        yield from _all_of(condition.this)
    elif isinstance(condition, exp.And):
        yield from _all_of(condition.left)
        yield from _all_of(condition.right)
    else:
        yield condition

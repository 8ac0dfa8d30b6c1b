"""Which column of a user's statement there is none of, and which there are.

The engine says only that one is missing, for its words may quote rows. So the name is looked for in
the user's own statement: what no table in it has and the statement itself defines nowhere.
"""

from __future__ import annotations

from sqlglot import exp

from ecomind_query.held import SQL_TABLES
from ecomind_query.queries import Queries
from ecomind_query.sql_text import parsed


def missing(queries: Queries, statement: str) -> str:
    """The sentence that names the column and those of the tables read; empty if none is found."""
    tree = parsed(statement)
    tables = [name for name in SQL_TABLES if name in {t.name for t in tree.find_all(exp.Table)}]
    columns = {table: queries.columns(table) for table in tables}
    known = {name for names in columns.values() for name in names} | _defined(tree)
    unknown = [each.name for each in tree.find_all(exp.Column) if each.name not in known]
    if not unknown:
        return ""
    lists = " ".join(f"Columns of {table}: {', '.join(columns[table])}." for table in tables)
    return f"There is no column {unknown[0][:60]!r}. {lists}".rstrip()


def _defined(tree: exp.Expr) -> set[str]:
    names = {each.alias for each in tree.find_all(exp.Alias, exp.CTE)}
    for alias in tree.find_all(exp.TableAlias):
        names |= {alias.name, *(column.name for column in alias.columns)}
    for function in tree.find_all(exp.Lambda):
        names |= {each.name for each in function.expressions}
    return names

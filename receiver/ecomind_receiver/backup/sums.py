"""What the tables of a store come to: the figures by which a restored one is held to its backup.

Of a plain table that is its rows and the sum of each column of integers. Rows of a rollup may be
merged at any time, so of it only what merging leaves alone: the sums of what is not a key.
"""

from __future__ import annotations

import re

from ecomind_receiver.backup.manifest import Closed, Migration
from ecomind_receiver.store import Store

_INTEGER = re.compile(r"U?Int\d+")


def tables(store: Store, database: str) -> list[str]:
    """The tables of a database that keep rows on disk."""
    rows = store.query(
        "SELECT name FROM system.tables WHERE database = {database:String}"
        " AND engine LIKE '%MergeTree' ORDER BY name",
        {"database": database},
    )
    return [row["name"] for row in rows]


def table_sums(store: Store, database: str, table: str) -> dict[str, int]:
    """Rows and sums of a table, as far as merging does not change them."""
    asked = {"database": database, "table": table}
    merges_rows = store.query(
        "SELECT engine != 'MergeTree' AS merges FROM system.tables"
        " WHERE database = {database:String} AND name = {table:String}",
        asked,
    )[0]["merges"]
    columns = store.query(
        "SELECT name, type, is_in_sorting_key AS is_key FROM system.columns"
        " WHERE database = {database:String} AND table = {table:String} ORDER BY position",
        asked,
    )
    names = [
        column["name"]
        for column in columns
        if _INTEGER.fullmatch(column["type"]) and not (merges_rows and column["is_key"])
    ]
    figures = {} if merges_rows else {"rows": "count()"}
    figures |= {f"sum({name})": f"sum(t.{name})" for name in names}
    if not figures:
        return {}
    wanted = ", ".join(f"{text} AS f{place}" for place, text in enumerate(figures.values()))
    row = store.query(f"SELECT {wanted} FROM {database}.{table} AS t")[0]
    return {name: int(row[f"f{place}"]) for place, name in enumerate(figures)}


def closes(store: Store, database: str) -> list[Closed]:
    """The newest generation of each closed day of each organisation.

    Without days that were being closed: they have rows that no close vouches for yet.
    """
    rows = store.query(
        "SELECT c.org_id AS org, c.day AS on_day, max(c.generation) AS newest,"
        " argMax(c.rows, c.generation) AS rows_of, argMax(c.calls, c.generation) AS calls_of,"
        f" argMax(c.root, c.generation) AS root_of FROM {database}.day_closes AS c"
        f" WHERE (c.org_id, c.day) NOT IN (SELECT org_id, day FROM {database}.closed_usage"
        " WHERE (org_id, day, generation) NOT IN"
        f" (SELECT org_id, day, generation FROM {database}.day_closes))"
        " GROUP BY org, on_day ORDER BY org, on_day"
    )
    return [
        Closed(
            org_id=row["org"],
            day=row["on_day"],
            generation=row["newest"],
            rows=row["rows_of"],
            calls=row["calls_of"],
            root=row["root_of"],
        )
        for row in rows
    ]


def migrations(store: Store, database: str) -> list[Migration]:
    """The migrations that a store has."""
    rows = store.query(
        f"SELECT number, name, sha256 FROM {database}.schema_migrations ORDER BY number"
    )
    return [Migration(**row) for row in rows]

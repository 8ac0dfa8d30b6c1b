"""Texts that are held to a reach: the only place that binds a tenant.

A text says `{own}` wherever it reads rows of a tenant, and `within` puts the condition there. The
tables of a user's own statement stand for such texts, so that it can name nothing else.
"""

from __future__ import annotations

from ecomind_receiver.tenants import Reach

OWN_ORG = "org_id = {org:String}"
OWN_PROJECT = "project_id = {own_project:String}"

SQL_TABLES: dict[str, str] = {
    "calls": "SELECT * FROM calls WHERE {own}",
    "calls_footprint": "SELECT * FROM calls_footprint WHERE {own}",
    "usage_hourly": "SELECT * FROM usage_hourly WHERE {own}",
    "span_outcomes": "SELECT * FROM span_outcomes WHERE {own}",
    "coefficients": "SELECT DISTINCT * FROM coefficients WHERE coef_id IN ("
    "SELECT coef_id FROM calls WHERE {own}"
    " UNION ALL SELECT coef_id FROM usage_hourly WHERE {own})",
}
"""Table of a user's statement → what it stands for.

Coefficients belong to no organisation, but which of them exist tells what others use and where.
Receivers that share a store may each write the same ones down: a row of each is enough.
"""

_BARRIER = "LIMIT 1000000000000000"
"""More rows than there are. A condition of the user is never computed below a limit: without one
the engine may try it on a row before the tenant's, and fail there with what the row holds."""

COLUMNS = "SELECT * APPLY(any) FROM (SELECT * FROM ({rows}) LIMIT 0)"
"""One row, whatever there is: its names are what is wanted."""

STATEMENT = """
SELECT * FROM ({statement})
LIMIT {limit:UInt32}
"""

LIMITS: dict[str, object] = {
    "readonly": 1,
    "max_execution_time": 10,
    "max_memory_usage": 1_000_000_000,
    "max_result_bytes": 100_000_000,
    "max_threads": 2,
}
"""Settings that a user's statement runs under. They go beside the text: a server takes them from
the request before it reads the text, and what it reads then can change nothing and set nothing."""


def within(text: str, reach: Reach) -> str:
    """The text with the condition that holds it to the rows of `reach` for every `{own}`."""
    own = OWN_ORG if reach.project_id is None else f"{OWN_ORG} AND {OWN_PROJECT}"
    return text.replace("{own}", own)


def tables_within(reach: Reach) -> dict[str, str]:
    """`SQL_TABLES` held to the rows of `reach`, before anything else is computed."""
    return {name: f"{within(text, reach)} {_BARRIER}" for name, text in SQL_TABLES.items()}

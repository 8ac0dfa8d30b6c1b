"""Statements for POST /v1/sql that reach for another organisation's rows, by every way we know.

`{org}`, `{project}` and `{team}` stand for somebody else's names and are put in by the machine.
"""

from __future__ import annotations

from hypothesis import strategies as st
from isolation.model import Key, Project

OWN_CALLS = (
    "SELECT sum(sign * counted) AS n FROM calls",
    "SELECT sum(calls) AS n FROM usage_hourly",
    "SELECT sum(sign * counted) AS n FROM calls_footprint",
    "SELECT sum(sign * counted) AS n FROM calls WHERE org_id = '{org}' OR 1 = 1",
    "SELECT sum(calls) AS n FROM usage_hourly WHERE org_id != '{org}' OR org_id LIKE '%'",
    "WITH usage_hourly AS (SELECT * FROM calls) SELECT sum(sign * counted) AS n FROM usage_hourly",
    "WITH mine AS (SELECT calls AS n FROM usage_hourly) SELECT sum(n) AS n FROM mine",
    "SELECT sum(n) AS n FROM (SELECT calls AS n FROM usage_hourly WHERE project_id = '{project}'"
    " UNION ALL SELECT calls AS n FROM usage_hourly WHERE project_id != '{project}')",
    "SELECT sum(sign * counted) AS n FROM calls WHERE org_id IN (SELECT org_id FROM usage_hourly)"
    " OR org_id IN ('{org}')",
    "SELECT sum(a.sign * a.counted) AS n FROM calls AS a"
    " INNER JOIN (SELECT DISTINCT org_id FROM calls) AS b ON a.org_id = b.org_id",
    "SELECT sum(a.calls) AS n FROM usage_hourly AS a, (SELECT 1 AS one) AS b WHERE b.one = 1",
    "SELECT (SELECT sum(calls) FROM usage_hourly) AS n",
)
"""Each gives one number: the counted calls within reach."""

OWN_SPANS = "SELECT sum(spans) AS n FROM span_outcomes WHERE org_id = '{org}' OR 1 = 1"

NONE_OF_OTHERS = (
    "SELECT * FROM calls WHERE org_id = '{org}'",
    "SELECT * FROM calls_footprint WHERE org_id = '{org}'",
    "SELECT * FROM usage_hourly WHERE org_id = '{org}'",
    "SELECT * FROM span_outcomes WHERE org_id = '{org}'",
    "SELECT 1 FROM calls WHERE team = '{team}'",
    "SELECT 1 FROM usage_hourly WHERE team = '{team}'",
    "WITH calls AS (SELECT * FROM usage_hourly) SELECT 1 FROM calls WHERE org_id = '{org}'",
    "SELECT 1 FROM calls AS a INNER JOIN calls AS b ON a.trace_hash = b.trace_hash"
    " WHERE a.org_id != b.org_id",
    "SELECT 1 FROM coefficients WHERE provider = '{team}' OR model = '{team}'",
    "SELECT 1 FROM coefficients WHERE coef_id NOT IN (SELECT coef_id FROM calls)",
)
"""Each gives no row unless the reader is who it names."""

ERRORS_OF_OTHERS = (
    "SELECT 1 FROM {table} WHERE toInt64(if({mine}, '1', project_id)) > 0",
    "SELECT 1 FROM {table} WHERE toInt64(if({mine}, '1', team)) > 0",
    "SELECT 1 FROM {table} WHERE intDiv(1, if({mine}, 1, 0)) > 0",
    "SELECT count() FROM {table} WHERE intDiv(1, if(project_id = '{project}', 0, 1)) = 1",
    "SELECT 1 FROM {table} GROUP BY org_id, project_id HAVING intDiv(1, if({mine}, 1, 0)) > 0",
    "SELECT * FROM (SELECT * FROM {table}) AS a WHERE toInt64(if({mine}, '1', project_id)) > 0",
    "WITH a AS (SELECT * FROM {table} WHERE toInt64(if({mine}, '1', org_id)) > 0) SELECT 1 FROM a",
    "SELECT 1 FROM calls AS a INNER JOIN (SELECT * FROM {table}"
    " WHERE toInt64(if({mine}, '1', project_id)) > 0) AS b ON a.org_id = b.org_id",
    "SELECT a.one FROM (SELECT 1 AS one, if({mine}, '1', project_id) AS text FROM {table}) AS a"
    " WHERE toInt64(a.text) > 0",
)
"""Each fails, and says on what, if the engine looks at a row before it leaves out what is not
within reach; `{mine}` is the condition for the reader's own rows."""

REFUSED = (
    "SELECT * FROM recent_spans",
    "SELECT * FROM reconciled",
    "SELECT * FROM system.tables",
    "SELECT * FROM system.query_log",
    "SELECT * FROM system.parts",
    "SELECT * FROM default.calls",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM numbers(10)",
    "SELECT * FROM merge('default', 'calls')",
    "SELECT * FROM mergeTreeIndex('default', 'calls')",
    "SELECT * FROM loop(calls)",
    "SELECT * FROM remote('127.0.0.1', default, calls)",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1/', 'LineAsString')",
    "SELECT * FROM calls FINAL",
    "SELECT * FROM calls SETTINGS readonly = 0",
    "SELECT * FROM calls FORMAT JSON",
    "SELECT * FROM calls INTO OUTFILE '/tmp/calls'",
    "SELECT file('/etc/passwd')",
    "SELECT dictGet('d', 'a', 1)",
    "SELECT getSetting('max_threads')",
    "SELECT 1 FROM calls WHERE 1 IN calls",
    "SELECT {org:String}",
    "SELECT * FROM calls; SELECT * FROM calls",
    "INSERT INTO calls SELECT * FROM calls",
    "DROP TABLE calls",
    "SHOW TABLES",
    "DESCRIBE TABLE calls",
    "EXPLAIN SELECT 1",
    "WITH x AS (SELECT 1) SELECT * FROM y",
    "SELECT 1 WHERE EXISTS (SELECT * FROM system.one)",
    "SELECT * FROM (SELECT * FROM (SELECT * FROM recent_spans))",
    "SELECT ‘x, '’, (SELECT groupUniqArray(concat(org_id,‘ ’,team)) FROM calls) AS z, ‘' AS y’",
    "SELECT ‘x, '’) LIMIT 1; INSERT INTO calls (org_id, team, start_time) VALUES"
    " (‘{org}’, ‘forged’, now64(6)); SELECT * FROM (SELECT ‘' AS y’",
    "SELECT 1 AS “x, '”, (SELECT groupUniqArray(team) FROM calls) AS z, 2 AS “' AS y”",
    "SELECT dateDiff(`day, now(), now()), (SELECT groupUniqArray(team) FROM calls) AS x,"
    " dateDiff(day`, now(), now())",
    "SELECT '{org}' IN ((calls))",
    "SELECT 1 IN ((system.one))",
    "SELECT 1 FROM span_outcomes WHERE (received_at, segment_id, '{org}', '{project}', 'stored',"
    " spans) IN ((span_outcomes))",
)
"""Each is refused."""

OF_TENANTS = ("calls", "calls_footprint", "usage_hourly", "span_outcomes")
_ALIASES = ("a", "calls", "usage_hourly", "own_calls", "org_id")
_TRUE = (
    "1 = 1",
    "org_id != ''",
    "org_id = '{org}' OR org_id != '{org}'",
    "project_id != '{project}' OR 1",
    "org_id IN ('{org}', org_id)",
    "org_id IN (SELECT org_id FROM calls UNION ALL SELECT '{org}')",
    "NOT (org_id = 'nobody')",
    "project_id LIKE '%'",
)
_COLUMNS = (
    "*",
    "DISTINCT org_id, project_id",
    "groupUniqArray(org_id) AS orgs, groupUniqArray(project_id) AS projects",
    "max(org_id) AS last, min(org_id) AS first, count() AS n",
)


@st.composite
def statements(draw: st.DrawFn) -> str:
    """A SELECT of tables, subqueries, WITH names, joins and unions; not each is possible."""
    text = f"SELECT {draw(st.sampled_from(_COLUMNS))} FROM {draw(_sources())}"
    if draw(st.booleans()):
        text += f" WHERE {draw(st.sampled_from(_TRUE))}"
    shape = draw(st.sampled_from(("plain", "with", "union", "nested")))
    name = draw(st.sampled_from(_ALIASES))
    if shape == "with":
        return f"WITH {name} AS (SELECT * FROM {draw(_sources())}) {text}"
    if shape == "union":
        return f"{text} UNION ALL {text}"
    return f"SELECT * FROM ({text}) AS {name}" if shape == "nested" else text


def addressed(statement: str, about: Project) -> str:
    """The statement with somebody's names put in."""
    put_in = {"{org}": about.org.id, "{project}": about.id, "{team}": about.names.team}
    for slot, value in put_in.items():
        statement = statement.replace(slot, value)
    return statement


def erring(statement: str, table: str, key: Key, about: Project) -> str:
    """A statement that fails on anybody else's row of the table."""
    mine = f"org_id = '{key.org.id}'"
    if key.project:
        mine = f"({mine} AND project_id = '{key.project.id}')"
    return addressed(statement.replace("{table}", table).replace("{mine}", mine), about)


def _sources() -> st.SearchStrategy[str]:
    tables, aliases = st.sampled_from((*OF_TENANTS, "coefficients")), st.sampled_from(_ALIASES)
    joins = st.sampled_from(("INNER JOIN", "LEFT JOIN", "FULL JOIN", "CROSS JOIN"))
    nested = st.builds("(SELECT * FROM {}) AS {}".format, tables, aliases)
    joined = st.builds(_joined, st.sampled_from(OF_TENANTS), joins, st.sampled_from(OF_TENANTS))
    return st.one_of(tables, nested, joined)


def _joined(one: str, join: str, other: str) -> str:
    on = "" if join == "CROSS JOIN" else " ON a.org_id = b.org_id"
    return f"(SELECT a.* FROM {one} AS a {join} {other} AS b{on} LIMIT 100)"

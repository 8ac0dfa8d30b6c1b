"""`POST /v1/sql`: one SELECT, over the organisation's own rows and nothing else."""

from __future__ import annotations

import pytest
import sqlglot
from isolation.syntax import unbound
from query.rows import Seed
from sqlglot import exp

from ecomind_query import sql
from ecomind_query.errors import QueryError
from ecomind_query.held import SQL_TABLES
from ecomind_query.reader import Reader
from ecomind_receiver.tenants import Reach

STRANGER = Reach("org_canary")

POSSIBLE = [
    ("SELECT sum(sign) FROM calls", [[1]]),
    ("select c.team as t, count() from calls c group by t order by t limit 1", [["search", 1]]),
    ("SELECT sum(calls) FROM usage_hourly", [[1]]),
    ("SELECT round(energy_wh_mid, 6) FROM calls_footprint", [[3.0]]),
    ("WITH mine AS (SELECT team FROM calls) SELECT * FROM mine", [["search"]]),
    ("WITH calls AS (SELECT 1 AS one) SELECT one FROM calls", None),
    ("SELECT count() FROM calls WHERE team IN (SELECT team FROM usage_hourly)", [[1]]),
    ("SELECT count() FROM calls WHERE team IN ('search', 'ads')", [[1]]),
    ("SELECT k.zone FROM calls AS c JOIN coefficients AS k USING (coef_id)", [["USA"]]),
    ("SELECT 1 UNION ALL SELECT 1", [[1], [1]]),
    ("SELECT uniqExact(team), quantile(0.5)(duration_us) FROM calls", [[1, 1500000.0]]),
    ("SELECT x FROM (SELECT 1 AS x) AS t", [[1]]),
    ("SELECT count() FROM calls WHERE start_time >= toDateTime('2026-11-18 00:00:00')", [[1]]),
    ("SELECT toStartOfDay(start_time) AS day, sum(sign) FROM calls GROUP BY day", None),
    ("SELECT 'file(x); DROP TABLE calls -- {org:String}' AS text", None),
]

IMPOSSIBLE = [
    ("SELECT 'org_a' AS `calls.org_id`, team FROM calls", "The name 'calls.org_id' is not"),
    ("DROP TABLE calls", "must start with SELECT"),
    ("INSERT INTO calls SELECT * FROM calls", "must start with SELECT"),
    ("SELECT 1; SELECT 2", "one statement"),
    ("SELECT * FROM system.tables", "can't be read from"),
    ("SELECT * FROM schema_migrations", "There is no table"),
    ("SELECT * FROM recent_spans", "There is no table"),
    ("SELECT * FROM file('/etc/passwd', 'CSV', 'x String')", ""),
    ("SELECT file('/etc/passwd')", "function file is not available"),
    ("SELECT * FROM merge('calls')", ""),
    ("SELECT * FROM mergeTreeIndex(currentDatabase(), calls)", ""),
    ("SELECT * FROM url('http://localhost/')", ""),
    ("SELECT * FROM remote('127.0.0.1', default.calls)", ""),
    ("SELECT joinGet('calls', 'team', 1)", "joinGet"),
    ("SELECT dictGet('d', 'a', 1)", "dictGet"),
    ("SELECT getSetting('max_threads')", "getSetting"),
    ("SELECT sleep(3)", "sleep"),
    ("SELECT * FROM calls INTO OUTFILE '/tmp/x'", ""),
    ("SELECT * FROM calls SETTINGS readonly = 0", "SETTINGS is not available"),
    ("SELECT * FROM calls FORMAT JSON", "FORMAT is not available"),
    ("SELECT * FROM calls FINAL", "Final is not available"),
    ("SELECT 'a' IN calls", "IN needs a list"),
    ("SELECT 'a' IN (calls)", "IN needs a list"),
    ("SELECT in('a', calls)", ""),
    ("SELECT {org:String}", "Placeholder is not available"),
    ("SELECT x FROM (WITH recent_spans AS (SELECT 1 AS x) SELECT x FROM recent_spans) AS a,"
     " (SELECT * FROM recent_spans) AS b", "The engine refused"),
    ("EXPLAIN SELECT 1", "must start with SELECT"),
    ("SELECT", ""),
    ("SELECT nothing FROM calls", "There is no column 'nothing'"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def canary(seed: Seed) -> None:
    """One call of the caller's own and one of another organisation beside it."""
    seed.call()
    Seed(seed.store, STRANGER.org_id).call(team="canary", service="canary")


@pytest.mark.parametrize(("statement", "rows"), POSSIBLE, ids=[each[0] for each in POSSIBLE])
def test_possible(
    reader: Reader, reach: Reach, statement: str, rows: list[list[object]] | None
) -> None:
    try:
        result = reader.sql(reach, statement)
    except QueryError as error:
        assert rows is None, error.detail
        return
    assert "canary" not in str(result.rows)
    assert rows is None or result.rows == rows


@pytest.mark.parametrize(("statement", "sentence"), IMPOSSIBLE)
def test_impossible(reader: Reader, reach: Reach, statement: str, sentence: str) -> None:
    with pytest.raises(QueryError) as refused:
        reader.sql(reach, statement)
    assert sentence in refused.value.detail


@pytest.mark.parametrize("reach", [Reach("org_a"), Reach("org_a", "alpha")], ids=str)
@pytest.mark.parametrize("table", SQL_TABLES)
@pytest.mark.parametrize(
    "shape",
    [
        "SELECT * FROM {}",
        "SELECT * FROM {} AS x, {} AS y",
        "SELECT * FROM (SELECT * FROM {}) AS x",
        "WITH x AS (SELECT * FROM {}) SELECT * FROM x UNION ALL SELECT * FROM {}",
        "SELECT (SELECT count() FROM {} WHERE org_id != 'mine')",
        "SELECT * FROM {} AS x LEFT JOIN {} AS y ON 1 = 1",
        "SELECT 1 WHERE exists(SELECT 1 FROM {})",
        "SELECT * FROM coefficients AS k CROSS JOIN {} AS x",
    ],
)
def test_every_table_is_bound_wherever_it_stands(table: str, shape: str, reach: Reach) -> None:
    """In the printed text each SELECT that names a table is held to the reach by itself."""
    text = sql.bound(shape.replace("{}", table), reach)
    assert unbound(text, reach) == []
    names = [
        found.name for found in sqlglot.parse_one(text, dialect="clickhouse").find_all(exp.Table)
    ]
    assert names.count(table) >= shape.count("{}")


def test_rows_are_limited(reader: Reader, reach: Reach) -> None:
    many = " UNION ALL ".join(["SELECT arrayJoin([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) AS n"] * 1)
    crossed = f"SELECT a.n FROM ({many}) AS a" + "".join(
        f" CROSS JOIN ({many}) AS {name}" for name in "bcde"
    )
    result = reader.sql(reach, crossed)
    assert (len(result.rows), result.truncated) == (sql.MAX_ROWS, True)


def test_values_survive_json(reader: Reader, reach: Reach) -> None:
    result = reader.sql(
        reach,
        "SELECT toUInt64(18446744073709551615) AS big, 1 / 0 AS none, [1, 2] AS list,"
        " map('a', 1) AS map, toDate('2026-11-18') AS day, NULL AS null",
    )
    assert result.columns == ["big", "none", "list", "map", "day", "null"]
    assert result.rows == [["18446744073709551615", None, [1, 2], {"a": 1}, "2026-11-18", None]]


@pytest.mark.parametrize(
    ("statement", "name", "tables"),
    [
        ("SELECT nothing FROM calls", "nothing", ["calls"]),
        ("SELECT c.sign, energy FROM calls AS c", "energy", ["calls"]),
        (
            "WITH a AS (SELECT team, sum(calls) AS n FROM usage_hourly GROUP BY team)"
            " SELECT n, tokens FROM a JOIN coefficients ON 1 = 1",
            "tokens",
            ["usage_hourly", "coefficients"],
        ),
    ],
)
def test_an_unknown_column_is_named_with_those_there_are(
    reader: Reader, reach: Reach, statement: str, name: str, tables: list[str]
) -> None:
    with pytest.raises(QueryError) as refused:
        reader.sql(reach, statement)
    assert refused.value.detail.startswith(f"There is no column {name!r}. Columns of ")
    for table in tables:
        assert f"Columns of {table}: " in refused.value.detail
    assert "any(" not in refused.value.detail

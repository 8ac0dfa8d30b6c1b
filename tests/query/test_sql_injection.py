"""Text that two lexers read in two ways, put into `POST /v1/sql`.

A neighbour's rows lie in the same part and granule as the reader's, so whatever escapes from the
subqueries that hold a statement to its reach would find them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from query.rows import Seed
from support.receiver import make_settings

from ecomind_query import sql
from ecomind_query.errors import QueryError
from ecomind_query.queries import Queries
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Reach

OWN, NEIGHBOUR = Reach("org_reader"), "org_neighbour_canary"
CANARIES = ("canary", "987654321")
EXAMPLES = int(os.environ.get("ECOMIND_TEST_SQL_EXAMPLES", "300"))
ORGS = "(SELECT groupUniqArray(concat(org_id, ' ', team)) FROM calls)"

TYPOGRAPHIC = [
    "SELECT ‘x, '’, (SELECT groupUniqArray(concat(org_id,‘ ’,team)) FROM calls) AS z, ‘' AS y’",
    "SELECT ‘x, '’, (SELECT groupArray(name) FROM system.tables) AS z, ‘' AS y’",
    "SELECT ‘x, '’, (SELECT any(line) FROM file(‘/etc/hostname’, ‘LineAsString’, ‘line String’))"
    " AS z, ‘' AS y’",
    "SELECT ‘x, '’, (SELECT getSetting(‘readonly’)) AS z, ‘' AS y’",
    "SELECT “x, '” FROM (SELECT 1 AS “x, '”, (SELECT groupUniqArray(org_id) FROM calls) AS z, “'"
    " FROM calls",
    "SELECT 1 AS “x, '”, (SELECT groupUniqArray(team) FROM calls) AS z, 2 AS “' AS y”",
    "SELECT ‘x, '’) SETTINGS readonly=0 ; SELECT * FROM (SELECT ‘' AS y’",
    "SELECT ‘x, '’) LIMIT 1; INSERT INTO calls (org_id, team, start_time) VALUES"
    " (‘org_reader’, ‘forged’, now64(6)); SELECT * FROM (SELECT ‘' AS y’",
    "SELECT ‘x, '’) LIMIT 1; DROP TABLE recent_spans; SELECT * FROM (SELECT ‘' AS y’",
    "SELECT ‘x, '’) LIMIT 1; SYSTEM STOP MERGES; SELECT * FROM (SELECT ‘' AS y’",
    "SELECT “1”",
]

BARE_UNITS = [
    "SELECT dateDiff(`day, now(), now()), (select max(TABLE_ROWS) from INFORMATION_SCHEMA.TABLES)"
    " as x, DATE_DIFF(day`, now(), now())",
    "SELECT dateDiff(`day, now(), now())); system stop merges; select * from"
    " (select DATE_DIFF(day`, now(), now())",
    f"SELECT dateDiff('day, now(), now()), {ORGS.replace(chr(39), '`')}, x(', now(), now())",
    f"SELECT dateAdd(`day, 1, now()), {ORGS} AS x, dateAdd(day`, 1, now())",
    "SELECT DATE_SUB(`day, 1, now()), (SELECT 1), DATE_SUB(day`, 1, now())",
    "SELECT TIMESTAMP_ADD(`day, 1, now()), (SELECT 1), DATE_SUB(day`, 1, now())",
    "SELECT EXTRACT(`day FROM now()), (SELECT 1` FROM now())",
    "SELECT INTERVAL 1 `day, (SELECT 1)`",
    "SELECT INTERVAL '1' `x`",
    "SELECT toStartOfInterval(now(), INTERVAL 1 `x y`)",
]

TABLES_BY_NAME = [
    "SELECT 'x' IN ((calls))",
    "SELECT 'x' IN (((calls)))",
    "SELECT ('a') IN ((calls),)",
    "SELECT 0 IN ((system.one))",
    "SELECT 0 IN ((`system.one`))",
    "SELECT 0 IN (system.one, system.one)",
    "SELECT 0 NOT IN ((system.one))",
    "SELECT 0 GLOBAL IN system.one",
    "SELECT 0 IN (tuple(system.one))",
    "SELECT 0 IN (coalesce(system.one))",
    "SELECT 0 IN [system.one]",
    "SELECT 0 IN (-calls)",
    "SELECT 1 IN (calls.team)",
    "SELECT 1 IN ((calls.*))",
    "SELECT 1 IN ((*))",
    "SELECT 0 IN ((information_schema.tables))",
    "SELECT n FROM (SELECT received_at, segment_id, arrayJoin([39, 41]) AS n FROM span_outcomes)"
    " WHERE (received_at, segment_id, 'org_b', 'web', 'stored', n) IN ((span_outcomes))",
    "SELECT EXISTS((calls))",
    "SELECT 1 FROM (recent_spans)",
    "SELECT 1 FROM calls, (recent_spans) AS r",
]

NAMES = [
    'SELECT 1 AS "a\\", 2 AS ", (SELECT any(org_id) FROM calls) AS z, 3 AS "',
    "SELECT 1 AS `a\\`b`",
    'SELECT 1 AS "a`b", 2 AS `c"d`',
    "SELECT 1 AS `a``b`",
    'SELECT 1 AS "a\'b"',
    "SELECT CAST((1, 2) AS Tuple(`a UInt8), (SELECT 1` UInt8, b UInt8))",
    "SELECT CAST(1 AS Nested(`a) x` UInt8))",
    "SELECT sum(x) OVER `w), (SELECT 1` FROM (SELECT 1 AS x)",
    "SELECT `sum(1), (SELECT 2)`(1)",
    "SELECT 1 ORDER BY 1 COLLATE `en) x`",
    "SELECT trim(`BOTH '` 'x' FROM 'y')",
    "SELECT $1$, '$1$, (SELECT groupUniqArray(org_id) FROM calls) AS z, $2$' AS y, $2$",
    "SELECT a$1$, '$1$, (SELECT 1) AS z, $2$' AS y, a$2$",
    "SELECT groupConcat(`x`)(1), `x y`(1)",
    "SELECT arrayMap(`x) y` -> 1, [1])",
]

LEXERS = [
    "SELECT 1 -- x",
    "SELECT 1 /* ' */ , 2",
    "SELECT 1 /* /* */ , 2 */",
    "SELECT 1 # x",
    "SELECT 1 #! x",
    "SELECT 1 // 2\n, 3",
    "SELECT $$ a' $$ AS y",
    "SELECT 1\u00a0AS x",
    "SELECT 1\u2003AS x",
    "SELECT 1 \u2212 1",
    "SELECT 1\u200b",
    "SELECT 1\x00, 2",
    "SELECT 'a\x00b'",
    "SELECT 1\x0b, 2",
    "SELECT 1\\G",
    "SELECT 1 é",
    "SELECT ⅷ",
    "SELECT 'a\ud800'",
    "SELECT @@version",
    "SELECT ?",
    "SELECT :x",
    "SELECT 'a",
    'SELECT "a',
]

TAILS = [
    "SELECT * FROM calls INTO OUTFILE '/tmp/x' FORMAT CSV",
    "SELECT * FROM calls SETTINGS readonly = 0",
    "SELECT * FROM calls FORMAT Null",
    "SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
    "WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n FROM x) SELECT n FROM x",
    "SELECT 1 FROM calls SAMPLE 1",
    "SELECT * REPLACE (1 AS `a b) x`) FROM calls",
    "SELECT COLUMNS('a') FROM calls",
    "SELECT * APPLY(sum) FROM calls",
    f"SELECT {'(' * 5000}1{')' * 5000}",
    f"SELECT {'-' * 1}{'- ' * 4000}1",
    f"SELECT {' + '.join(['1'] * 4000)} FROM nothing",
]

ALLOWED = (
    "SELECT team, sum(sign) AS n FROM calls WHERE team != 'x' GROUP BY team ORDER BY n LIMIT 5",
    'WITH mine AS (SELECT team FROM calls) SELECT m.team AS "t" FROM mine AS m',
    "SELECT `team` FROM calls WHERE team IN ('a', 'b') UNION ALL SELECT 'it''s \\' \\\\'",
    "SELECT dateDiff('day', c.start_time, now()) AS d, now() - INTERVAL 1 DAY FROM calls AS c",
    "SELECT CAST(a.span_id AS Nullable(String)) AS x FROM calls AS a JOIN usage_hourly AS u"
    " ON a.team = u.team",
    "SELECT quantile(0.5)(duration_us), sum(sign) OVER (PARTITION BY team ORDER BY team) FROM calls"
    " GROUP BY duration_us, sign, team",
    "SELECT count() FROM (SELECT * FROM calls) AS x WHERE EXISTS (SELECT 1 FROM coefficients)",
    "SELECT [1, 2][1], (1, 2).1, map('a', 1)['a'], CASE WHEN 1 THEN 'y' ELSE 'z' END AS w",
)
"""Statements that run; the fuzz puts fragments into them."""

FRAGMENTS = (
    "'", '"', "`", "‘", "’", "“", "”", "\\", "\\'", "''", "``", "$$", "$x$", "--", "-- '\n", "/*",
    "*/", "#", "#!", "//", ";", "; ", "(", ")", "),(", "[", "]", "{", "}", "{org:String}", ",", ".",
    ":", "::", "?", "@", "@@", "%", "^", "|", "->", "=", "\x00", "\x0b", "\r", "\n", "\t", " ",
    "\u00a0", "\u2028", "\u200b", "\ufeff", "\u2212", "é", "1", "0x", "1e", "NULL", "calls",
    "recent_spans", "system.one", "system.tables", " IN calls", " IN ((calls)) ", " AS ", "`x y`",
    '"x y"', " SELECT ", " UNION ALL SELECT * FROM calls ", " FROM calls ", " FROM recent_spans ",
    " FROM system.tables ", ORGS, f", {ORGS} AS z, ", "file('/etc/passwd')", " SETTINGS readonly=0",
    " FORMAT JSON", " INTO OUTFILE '/tmp/x'", " FINAL ", " GLOBAL ", " INTERVAL ", " day ",
    " `day, now()` ", " OVER ", " WITH ", " WITH own_mine AS (SELECT 1) ", "own_mine", "org_id",
    ") LIMIT 1; INSERT INTO calls (org_id) VALUES ('org_reader'); SELECT * FROM (SELECT 1",
    "; DROP TABLE calls; ", "; SYSTEM STOP MERGES; ", " OR 1 = 1 ", " LIMIT 1 BY ", " EXCEPT ",
)  # fmt: skip


PRINTED = [
    ("SELECT INTERVAL '1 day), (select 1'", """SELECT INTERVAL '1' DAY"""),
    ("SELECT '1'::`UInt8 AS x, (SELECT 1) AS y`", "SELECT CAST('1' AS UInt8)"),
    (
        "SELECT CAST('1' AS `UInt8) AS x, (SELECT any(org_id) FROM calls) AS y, CAST('1'"
        " AS UInt8`)",
        "SELECT CAST('1' AS UInt8)",
    ),
    ("SELECT quantile('0)(1), (SELECT 1')(1)", None),
    ("SELECT sum(1) OVER `w), (SELECT 1` WINDOW `w), (SELECT 1` AS (ORDER BY 1)", None),
    (
        "SELECT 1 AS `a b`, 'é–' AS text",
        'SELECT 1 AS "a b", \'\\xc3\\xa9\\xe2\\x80\\x93\' AS "text"',
    ),
]
"""Statement → what is printed of it; None where it is refused or every name stays in quotes."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The reader's rows and the neighbour's in one part."""
    store = Store(make_settings(tmp_path_factory.mktemp("injection"), retention_days=3650))
    theirs = {
        "org_id": NEIGHBOUR,
        "team": "canary",
        "service": "canary",
        "input_tokens": 987654321,
    }
    Seed(store, OWN.org_id).calls([{"team": "search"}, theirs, {"team": "ads"}, theirs])
    yield store
    store.close()


@pytest.fixture(scope="module")
def queries(store: Store) -> Queries:
    return Queries(store, OWN)


def state(store: Store) -> list[tuple[object, ...]]:
    """What a forged statement would change: rows of each organisation, the tables there are."""
    rows = store.query("SELECT org_id, count() AS n FROM calls GROUP BY org_id ORDER BY org_id")
    tables = store.query(
        "SELECT name, total_rows FROM system.tables WHERE database = currentDatabase()"
        " ORDER BY name"
    )
    return [tuple(row.values()) for row in rows + tables]


def test_the_rows_share_a_part(store: Store) -> None:
    """Otherwise the tests below would not show that neighbours in a part are kept apart."""
    rows = store.query("SELECT uniqExact(_part) AS parts, uniqExact(org_id) AS orgs FROM calls")
    assert rows == [{"parts": 1, "orgs": 2}]


@pytest.mark.parametrize(
    "statement",
    [*TYPOGRAPHIC, *BARE_UNITS, *TABLES_BY_NAME, *NAMES, *LEXERS, *TAILS],
    ids=lambda statement: ascii(statement[:60]),
)
def test_refused_before_the_engine_sees_it(queries: Queries, store: Store, statement: str) -> None:
    before = state(store)
    with pytest.raises(QueryError) as refused:
        sql.run(queries, statement)
    assert "The engine" not in refused.value.detail
    assert state(store) == before


@pytest.mark.parametrize(("statement", "text"), PRINTED)
def test_what_the_engine_gets(statement: str, text: str | None) -> None:
    try:
        made = sql.bound(statement, OWN)
    except QueryError:
        assert text is None
        return
    assert text is None or made == text
    assert "SELECT" not in re.sub(r"'[^']*'|\"[^\"]*\"", "", made)[1:]


@pytest.mark.parametrize("statement", ALLOWED)
def test_what_the_fuzz_starts_from_runs(queries: Queries, statement: str) -> None:
    assert "canary" not in str(sql.run(queries, statement))


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("SELECT toInt64(team) FROM calls", "CANNOT_PARSE_TEXT (code 6)"),
        ("SELECT intDiv(1, 0)", "ILLEGAL_DIVISION (code 153)"),
    ],
)
def test_an_error_of_the_engine_is_its_name_only(
    queries: Queries, statement: str, cause: str
) -> None:
    with pytest.raises(QueryError) as refused:
        sql.run(queries, statement)
    assert refused.value.detail == f"The engine refused the statement: {cause}."
    assert refused.value.__cause__ is None


TEXTS = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\\'\"`%{}x41n0-/*"))


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=TEXTS, doubled=st.booleans())
@example(text="\\x41\\N\\'{org:String}é", doubled=False)
def test_a_text_comes_back_byte_for_byte(queries: Queries, text: str, doubled: bool) -> None:
    text = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2018-\u201f]", "", text)
    quote = "''" if doubled else "\\'"
    literal = "'" + text.replace("\\", "\\\\").replace("'", quote) + "'"
    assert sql.run(queries, f"SELECT {literal} AS x, hex({literal}) AS y").rows == [
        [text, text.encode().hex().upper()]
    ]


@st.composite
def mangled(draw: st.DrawFn) -> str:
    """A statement that runs, with fragments put in at one to four places."""
    text = draw(st.sampled_from(ALLOWED))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(text)))
        end = place + draw(st.sampled_from((0, 0, 0, 1, 5)))
        text = text[:place] + draw(st.sampled_from(FRAGMENTS)) + text[end:]
    return text


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(statement=mangled())
@example(statement='SELECT "x y" [1, 2][1]')
@example(statement="SELECT map(``'a', 1)")
def test_a_mangled_statement_is_refused_or_held(
    queries: Queries, store: Store, statement: str
) -> None:
    before = state(store)
    try:
        told = str(sql.run(queries, statement))
    except QueryError as error:
        told = error.detail
        assert "SYNTAX_ERROR" not in told
    assert not any(canary in told for canary in CANARIES)
    assert state(store) == before

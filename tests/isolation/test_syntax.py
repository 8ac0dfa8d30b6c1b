"""One module speaks to the engine, one asks for a tenant's rows, each question is held to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from isolation.syntax import engine_imports, store_uses, unbound

import ecomind_query
import ecomind_receiver
from ecomind_query import arrivals, held, queries, sql
from ecomind_query.held import SQL_TABLES, within
from ecomind_query.periods import Period
from ecomind_query.queries import CALL_FILTERS, DIMENSIONS, FILTERS, HOURLY_ONES, Place, Queries
from ecomind_receiver.tenants import Reach

NOW = datetime(2026, 11, 18, 14, 32, tzinfo=UTC)
REACHES = [Reach("org_a"), Reach("org_a", "alpha")]
SLOTS = {
    "{filters}": "", "{groups}": "1", "{rows}": "SELECT 1", "{statement}": "SELECT 1",
    "{hourly}": "", "{hourly_g}": "1", "{family}": "1",
}  # fmt: skip
"""Slot of a text that is filled later → what may stand there meanwhile."""

MAY_ASK = {
    "ecomind_query/bench/": "reads a server's whole store to verify a run",
    "ecomind_query/cli.py": "`command` is a decorator of the command-line library",
}
"""Where the words of the store may stand in the read side, beside queries.py, and why."""


def modules(package: Any) -> Iterator[tuple[str, str]]:
    """Path below the package's folder → source."""
    root = Path(package.__file__).parent
    for path in sorted(root.rglob("*.py")):
        yield path.relative_to(root.parent).as_posix(), path.read_text("utf-8")


def test_one_module_speaks_to_the_engine() -> None:
    sources = dict(modules(ecomind_query)) | dict(modules(ecomind_receiver))
    found = {path for path, source in sources.items() if engine_imports(source)}
    assert found == {"ecomind_receiver/clients.py"}


def test_one_module_of_the_read_side_asks_the_store() -> None:
    sources = {
        path: store_uses(source)
        for path, source in modules(ecomind_query)
        if not path.startswith(tuple(MAY_ASK))
    }
    assert {path: uses for path, uses in sources.items() if uses} == {
        "ecomind_query/queries.py": ["self._rows.query"]
    }


@pytest.mark.parametrize(
    "source",
    [
        "import chdb",
        "import chdb.session as s",
        "from clickhouse_connect import get_client",
        "def f():\n    import clickhouse_connect.driver",
        "import importlib\nimportlib.import_module('chdb')",
        "from importlib import import_module\nimport_module('clickhouse_connect')",
        "__import__('chdb')",
    ],
)
def test_an_import_of_the_engine_is_seen(source: str) -> None:
    assert engine_imports(source)


@pytest.mark.parametrize(
    "source", ["import chdbx", "name = 'chdb'", "from ecomind_receiver.store import Store"]
)
def test_other_imports_are_not(source: str) -> None:
    assert engine_imports(source) == []


@pytest.mark.parametrize(
    "source",
    [
        "store.query('SELECT 1')",
        "self._store.command('DROP TABLE calls')",
        "def f(receiver):\n    return receiver.store.insert('calls', [], [])",
        "ask = store.query",
        "asyncio.to_thread(store.query, 'SELECT 1')",
        "getattr(store, 'query')('SELECT 1')",
        "store._client().raw_query('SELECT 1')",
    ],
)
def test_a_use_of_the_store_is_seen(source: str) -> None:
    assert store_uses(source)


def test_other_methods_are_not() -> None:
    assert store_uses("reader.usage(reach)\nqueries.calls({}, None, 5)\nstore.close()") == []


def texts(value: object, name: str) -> Iterator[tuple[str, str]]:
    """Every text below a constant that holds a SELECT."""
    if isinstance(value, str) and "SELECT" in value:
        yield name, value
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from texts(each, f"{name}[{key}]")


CONSTANTS = [
    found
    for module in (queries, arrivals, held)
    for name, value in vars(module).items()
    if name.strip("_").isupper()
    for found in texts(value, name)
]


@pytest.mark.parametrize("reach", REACHES, ids=["organisation", "project"])
@pytest.mark.parametrize(("name", "text"), CONSTANTS, ids=[name for name, _ in CONSTANTS])
def test_each_select_of_a_constant_is_held_to_its_tenant(
    name: str, text: str, reach: Reach
) -> None:
    whole = within(text, reach)
    for slot, filling in SLOTS.items():
        whole = whole.replace(slot, filling)
    assert unbound(whole, reach) == []


def test_the_constants_were_found() -> None:
    names = {name for name, _ in CONSTANTS}
    assert {"_USAGE_ROWS", "CALLS", "CALL", "RECENT_SPANS", "SQL_TABLES[coefficients]"} <= names
    assert len(names) >= 15


class Recorder:
    """Takes the place of a store and keeps what it was asked."""

    def __init__(self, *, hourly: bool = False) -> None:
        self.hourly = hourly
        self.asked: list[tuple[str, Mapping[str, object]]] = []

    def query(
        self,
        sql: str,
        params: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> list[dict[str, Any]]:
        self.asked.append((sql, params or {}))
        if sql == HOURLY_ONES:
            return [{"one": 1}] if self.hourly else []
        return [{"until": None, "windows": 0}] if "FROM reconciled" in sql else []


def statement(asked: Queries) -> object:
    parts = [f"(SELECT count() FROM {table}) AS {table}" for table in SQL_TABLES]
    return asked.statement(sql.bound(f"SELECT {', '.join(parts)}", asked.reach), 5)


QUESTIONS: dict[str, Callable[[Queries], object]] = {
    "usage": lambda asked: asked.usage(
        Period(NOW, NOW), [*DIMENSIONS], dict.fromkeys(FILTERS, "x"), 5
    ),
    "resolvable": lambda asked: asked.resolvable(
        Period(NOW, NOW), dict.fromkeys(FILTERS, "x"), [NOW.date()], 5, by_hour=True
    ),
    "restatements": lambda asked: asked.restatements(5, "rs_1"),
    "closes": lambda asked: asked.closes(NOW.date(), NOW.date(), 5),
    "restated_usage": lambda asked: asked.usage(
        Period(NOW, NOW), [*DIMENSIONS], dict.fromkeys(FILTERS, "x"), 5, "rs_1"
    ),
    "coefficients": lambda asked: asked.coefficients([1]),
    "calls": lambda asked: asked.calls(dict.fromkeys(CALL_FILTERS, "x"), Place(NOW, 1, 2, 3), 5),
    "call": lambda asked: asked.call(1, 2),
    "is_stored": lambda asked: asked.is_stored(1, 2),
    "calls_per_minute": lambda asked: asked.calls_per_minute(Period(NOW, NOW)),
    "reconciled_until": lambda asked: asked.reconciled_until(),
    "first_received": lambda asked: asked.first_received(),
    "columns": lambda asked: asked.columns("calls"),
    "recent_spans": lambda asked: asked.recent_spans(5),
    "counted_since": lambda asked: asked.counted_since(NOW),
    "outcomes": lambda asked: asked.outcomes(NOW),
    "statement": statement,
}
"""Method of `Queries` → the question with everything in it that it may hold."""


@pytest.mark.parametrize("reach", REACHES, ids=["organisation", "project"])
@pytest.mark.parametrize("name", QUESTIONS)
@pytest.mark.parametrize("hourly", [False, True])
def test_each_question_as_the_store_gets_it(name: str, reach: Reach, hourly: bool) -> None:
    rows = Recorder(hourly=hourly)
    QUESTIONS[name](Queries(rows, reach))
    assert rows.asked
    for text, params in rows.asked:
        assert unbound(text, reach) == []
        assert (params["org"], params.get("own_project")) == (reach.org_id, reach.project_id)


def test_every_question_is_here() -> None:
    methods = {name for name, _ in inspect.getmembers(Queries, inspect.isfunction)}
    asked = set(QUESTIONS) - {"restated_usage"}  # usage, asked another way
    assert {name for name in methods if not name.startswith("_")} == asked


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("SELECT 1 FROM calls", ["calls"]),
        ("SELECT 1 FROM calls WHERE org_id = 'org_a'", ["calls"]),
        ("SELECT 1 FROM calls WHERE org_id = {other:String}", ["calls"]),
        ("SELECT 1 FROM calls WHERE org_id = {org:String} OR team = 'x'", ["calls"]),
        ("SELECT 1 FROM calls WHERE (org_id = {org:String} OR 1) AND counted", ["calls"]),
        ("SELECT 1 FROM calls WHERE NOT org_id = {org:String}", ["calls"]),
        ("SELECT 1 FROM calls WHERE org_id != {org:String}", ["calls"]),
        ("SELECT 1 FROM calls GROUP BY team HAVING org_id = {org:String}", ["calls"]),
        ("SELECT 1 FROM (SELECT * FROM calls) AS c WHERE org_id = {org:String}", ["calls"]),
        (
            "SELECT 1 FROM calls WHERE org_id = {org:String} UNION ALL SELECT 1 FROM calls",
            ["calls"],
        ),
        (
            "SELECT 1 FROM calls WHERE org_id = {org:String} AND 1 IN (SELECT 1 FROM usage_hourly)",
            ["usage_hourly"],
        ),
        (
            "SELECT 1 FROM calls AS a JOIN calls AS b USING (place) WHERE a.org_id = {org:String}",
            ["calls AS b"],
        ),
        (
            "SELECT 1 FROM calls, usage_hourly WHERE org_id = {org:String}",
            ["calls", "usage_hourly"],
        ),
        ("SELECT 1 FROM a_new_table", ["a_new_table"]),
        ("SELECT 1 FROM coefficients WHERE coef_id IN calls", ["coef_id IN calls"]),
    ],
)
def test_a_select_that_is_not_held_is_seen(text: str, tables: list[str]) -> None:
    assert unbound(text, Reach("org_a")) == tables


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM calls WHERE org_id = {org: String}",
        "SELECT 1 FROM calls AS c WHERE counted AND (c.org_id = {org:String} AND (a OR b))",
        "SELECT 1 FROM coefficients",
        "SELECT 1",
    ],
)
def test_a_select_that_is_held_passes(text: str) -> None:
    assert unbound(text, Reach("org_a")) == []


def test_a_project_needs_both_conditions() -> None:
    reach, text = Reach("org_a", "alpha"), "SELECT 1 FROM calls WHERE org_id = {org:String}"
    assert unbound(text, reach) == ["calls"]
    assert unbound(f"{text} AND project_id = {{own_project:String}}", reach) == []
    assert unbound(f"{text} AND project_id = {{project:String}}", reach) == ["calls"]
    without = "SELECT 1 FROM calls WHERE project_id = {own_project:String}"
    assert unbound(without, reach) == ["calls"]

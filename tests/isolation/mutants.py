"""Takes the tenant filter out, place by place, and demands that the tests notice.

Each mutation is applied to a copy of `ecomind_query` that stands before the installed one on the
path; the tests then run against the copy. It is caught when a test of behaviour fails by an
assertion. What reads the source (test_syntax.py) runs apart and is shown beside it, because it
would catch nearly everything before a single row was read.

Run: python tests/isolation/mutants.py [words of a mutation's name ...]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "query-api" / "ecomind_query"
READING = ("tests/isolation/test_syntax.py",)
_SOONEST = ("tests/query/test_reach.py", "tests/query/test_events.py", "tests/ui/test_pages.py")
BEHAVIOUR = (
    _SOONEST,
    ("tests/query", *(f"--ignore={path}" for path in _SOONEST)),
    (
        "tests/isolation",
        *(f"--ignore={path}" for path in READING),
        "--ignore=tests/isolation/test_mutation.py",  # it runs this
    ),
)
"""Tests of behaviour; the next are run where these pass, so what answers soonest stands first."""

_TIMEOUT_SECONDS = 1800
_BY_ASSERTION = ("AssertionError", "assert ", "Failed: DID NOT RAISE")
_WRONG_COPY = 70
_GUARD = f"""
import pathlib, sys, pytest, ecomind_query
HERE = pathlib.Path(__file__).parent

def pytest_sessionfinish(session):
    loaded = [m for name, m in sys.modules.items() if name.split(".")[0] == "ecomind_query"]
    if any(HERE not in pathlib.Path(m.__file__).parents for m in loaded):
        pytest.exit("tests did not run on the copy", returncode={_WRONG_COPY})
"""


class Mutation(NamedTuple):
    """A change to one file of the package; the old text is in it exactly once."""

    name: str
    file: str
    old: str
    new: str


class Trial(NamedTuple):
    """What a run of tests said: whether all passed, else the test that failed and how."""

    passed: bool
    test: str = ""
    by_assertion: bool = False


class Broken(Exception):
    """A run that proves nothing, such as tests that could not be collected."""


def _unbound(table: str) -> Mutation:
    text = f'"SELECT * FROM {table} WHERE {{own}}"'
    return Mutation(f"sql: {table} unfiltered", "held.py", text, f'"SELECT * FROM {table}"')


MUTATIONS = (
    Mutation("organisation: any", "held.py", 'OWN_ORG = "org_id = {org:String}"', 'OWN_ORG = "1"'),
    Mutation(
        "organisation: any but the own",
        "held.py",
        'OWN_ORG = "org_id = {org:String}"',
        'OWN_ORG = "org_id != {org:String}"',
    ),
    Mutation(
        "organisation: dropped within a project",
        "held.py",
        'f"{OWN_ORG} AND {OWN_PROJECT}"',
        "OWN_PROJECT",
    ),
    Mutation("project: dropped", "held.py", 'f"{OWN_ORG} AND {OWN_PROJECT}"', "OWN_ORG"),
    Mutation(
        "project: or the organisation",
        "held.py",
        'f"{OWN_ORG} AND {OWN_PROJECT}"',
        'f"({OWN_ORG} OR {OWN_PROJECT})"',
    ),
    Mutation(
        "usage: rollup unfiltered",
        "queries.py",
        "WHERE {own}\n      AND hour >=",
        "WHERE hour >=",
    ),
    Mutation(
        "usage: ragged hours unfiltered",
        "queries.py",
        "WHERE {own} AND counted\n          AND ((",
        "WHERE counted\n          AND ((",
    ),
    Mutation(
        "calls: list unfiltered", "queries.py", "WHERE {{own}} AND sign = 1", "WHERE sign = 1"
    ),
    Mutation(
        "calls: corrections of others",
        "queries.py",
        "WHERE {{own}} AND sign = -1",
        "WHERE sign = -1",
    ),
    Mutation(
        "call: any tenant's id",
        "queries.py",
        "WHERE {{own}}\n  AND trace_hash",
        "WHERE trace_hash",
    ),
    Mutation(
        "is_stored: any tenant's id",
        "arrivals.py",
        "WHERE {own} AND trace_hash",
        "WHERE trace_hash",
    ),
    Mutation(
        "calls per minute: unfiltered",
        "arrivals.py",
        "WHERE {own} AND counted\n  AND start_time",
        "WHERE counted\n  AND start_time",
    ),
    Mutation(
        "first received: unfiltered",
        "arrivals.py",
        "AS first FROM calls WHERE {own}",
        "AS first FROM calls",
    ),
    Mutation(
        "recent spans: unfiltered",
        "arrivals.py",
        "FROM recent_spans\nWHERE {own}",
        "FROM recent_spans",
    ),
    Mutation(
        "outcomes: unfiltered",
        "arrivals.py",
        "FROM span_outcomes\nWHERE {own} AND",
        "FROM span_outcomes\nWHERE",
    ),
    Mutation(
        "counted since: unfiltered",
        "arrivals.py",
        "FROM calls AS c\nWHERE {own} AND received_at",
        "FROM calls AS c\nWHERE received_at",
    ),
    Mutation("sql: conditions before the filter", "held.py", ' {_BARRIER}"', '"'),
    _unbound("calls"),
    _unbound("calls_footprint"),
    _unbound("usage_hourly"),
    _unbound("span_outcomes"),
    Mutation(
        "sql: coefficients of others",
        "held.py",
        '"SELECT DISTINCT * FROM coefficients WHERE coef_id IN ("\n'
        '    "SELECT coef_id FROM calls WHERE {own}"\n'
        '    " UNION ALL SELECT coef_id FROM usage_hourly WHERE {own})"',
        '"SELECT * FROM coefficients"',
    ),
    Mutation(
        "sql: tables with an alias unbound",
        "sql.py",
        "if table.name not in own:",
        "if table.name not in own and not table.alias:",
    ),
    Mutation("sql: own names keep a table's name", "sql.py", '_OWN = "own_"', '_OWN = ""'),
    Mutation(
        "sql: project dropped",
        "held.py",
        "within(text, reach)} {",
        "within(text, Reach(reach.org_id))} {",
    ),
    Mutation(
        "reader: project dropped",
        "reader.py",
        "return Queries(self._rows, reach)",
        "return Queries(self._rows, Reach(reach.org_id))",
    ),
    Mutation(
        "reader: the first caller's reach is kept",
        "reader.py",
        "return Queries(self._rows, reach)",
        'return vars(self).setdefault("_kept", Queries(self._rows, reach))',
    ),
    Mutation("cursor: of any tenant", "cursors.py", "if owner != _owner(reach):", "if not owner:"),
    Mutation(
        "cursor: of any project",
        "cursors.py",
        'reach.org_id if reach.project_id is None else f"{reach.org_id}\\0{reach.project_id}"',
        "reach.org_id",
    ),
    Mutation(
        "event: organisation from the body",
        "event.py",
        '("ecomind-event", *tenant, event_id)',
        '("ecomind-event", str(event.org_id), tenant.project_id, event_id)',
    ),
    Mutation(
        "event: one identity for all organisations",
        "event.py",
        '("ecomind-event", *tenant, event_id)',
        '("ecomind-event", tenant.project_id, event_id)',
    ),
    Mutation(
        "event: one identity for all projects",
        "event.py",
        '("ecomind-event", *tenant, event_id)',
        '("ecomind-event", tenant.org_id, event_id)',
    ),
    Mutation(
        "pages: overview of the local organisation",
        "ui/pages.py",
        "reader.overview, reach, days",
        'reader.overview, Reach("org_demo"), days',
    ),
    Mutation(
        "pages: calls of the local organisation",
        "ui/pages.py",
        "reader.calls, reach,",
        'reader.calls, Reach("org_demo"),',
    ),
    Mutation(
        "pages: call of the local organisation",
        "ui/pages.py",
        "reader.call, reach, id",
        'reader.call, Reach("org_demo"), id',
    ),
)


def mutated(mutation: Mutation) -> str:
    """The file's text with the mutation applied. Raises Broken if it no longer fits."""
    text = (PACKAGE / mutation.file).read_text("utf-8")
    if text.count(mutation.old) != 1:
        raise Broken(f"{mutation.name}: the text to change is not once in {mutation.file}")
    return text.replace(mutation.old, mutation.new)


@contextmanager
def copy(mutation: Mutation | None) -> Iterator[Path]:
    """A folder with the package, mutated or as it is, and the guard that tells it is in use."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        folder = Path(name)
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=ignored)
        (folder / "guard_of_the_copy.py").write_text(_GUARD)
        if mutation is not None:
            (folder / PACKAGE.name / mutation.file).write_text(mutated(mutation), "utf-8")
        yield folder


def trial(folder: Path, selection: Sequence[str]) -> Trial:
    """Run tests against the copy in `folder` until the first failure. Raises Broken."""
    report = folder / "report.xml"
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    ours = {"PYTHONPATH": path, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "hypothesis")}
    options = ("-x", "-q", "-m", "not soak", "-p", "guard_of_the_copy", "-p", "no:cacheprovider")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", *selection],
        cwd=ROOT,
        env={**os.environ, **ours},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
    )
    if done.returncode not in (0, 1):
        raise Broken(f"pytest ended with {done.returncode}\n{done.stdout[-3000:]}{done.stderr}")
    return Trial(True) if done.returncode == 0 else read_report(report.read_text("utf-8"))


def read_report(xml: str) -> Trial:
    """The test that failed, in a JUnit report. Raises Broken if none did."""
    for case in ElementTree.fromstring(xml).iter("testcase"):
        test = f"{case.get('classname', '').rsplit('.', 1)[-1]}::{case.get('name')}"
        failure = case.find("failure")
        if failure is not None:
            return Trial(False, test, failure.get("message", "").startswith(_BY_ASSERTION))
        if case.find("error") is not None:
            raise Broken(f"{test} could not run: {case.find('error').get('message')}")  # type: ignore[union-attr]
    raise Broken("pytest failed without a failing test")


def check(mutation: Mutation) -> bool:
    """Try one mutation and print what caught it: whether a test of behaviour did."""
    with copy(mutation) as folder:
        reading = trial(folder, READING)
        found = (trial(folder, selection) for selection in BEHAVIOUR)
        behaviour = next((each for each in found if not each.passed), Trial(True))
    caught = behaviour.by_assertion
    how = behaviour.test if caught else f"SURVIVES {behaviour.test}"
    print(f"{mutation.name:44} {'no' if reading.passed else 'yes':8} {how}", flush=True)
    return caught


def main(words: Sequence[str]) -> int:
    """Exit status: 0 if every mutation was caught, 1 if one survives, 2 if a run proves nothing."""
    chosen = [each for each in MUTATIONS if all(word in each.name for word in words)]
    try:
        with copy(None) as folder:
            for selection in (READING, *BEHAVIOUR):
                whole = trial(folder, selection)
                if not whole.passed:
                    raise Broken(f"{whole.test} fails without any mutation")
        print(f"{'without the filter':44} {'by eye':8} caught by", flush=True)
        survivors = [each.name for each in chosen if not check(each)]
    except Broken as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} mutations caught")
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

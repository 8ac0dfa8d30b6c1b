"""In which order files are run, and what a test adds to the end of the report.

Also of one that ran in a process of its own: lines of any test, and the failure table, which
`--failure-table FILE` writes as JSON too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from failure import table

_LINE = "line of the report"
_LONGEST = ("kafka", "isolation", "failure", "conformance", "ui", "demo", "server_store", "tenancy")
"""Folders whose files take longest, in that order: begun last, one of them would end alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path.parent.name, len(ranks)))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failure-table", type=Path, help="file that the failure table is written to")


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the end of pytest's report."""
    return lambda line: request.node.user_properties.append((_LINE, line))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    reports = [one for many in terminalreporter.stats.values() for one in many]
    for one in reports:
        if getattr(one, "when", "") == "call":
            for name, line in one.user_properties:
                if name == _LINE:
                    terminalreporter.write_line(str(line))
    rows = table.rows_of(reports)
    if rows:
        terminalreporter.section("failures")
        for line in table.lines_of(rows):
            terminalreporter.write_line(line)
        path = config.getoption("--failure-table")
        if path:
            table.write(rows, path)
            terminalreporter.write_line(f"written to {path}")

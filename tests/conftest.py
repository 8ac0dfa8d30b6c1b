"""Lines that a test adds to the end of the report, also when it ran in a process of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest

_LINE = "line of the report"


@pytest.fixture
def report(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the end of pytest's report."""
    return lambda line: request.node.user_properties.append((_LINE, line))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for reports in terminalreporter.stats.values():
        for one in reports:
            if getattr(one, "when", "") == "call":
                for name, line in one.user_properties:
                    if name == _LINE:
                        terminalreporter.write_line(str(line))

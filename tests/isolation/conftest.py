"""Which servers the isolation machine runs on, and a line in the report that says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import backends

_LINES = pytest.StashKey[list[str]]()


def pytest_collection_modifyitems() -> None:
    """Refuse a BACKEND that is none before anything runs."""
    backends.wanted()


@pytest.fixture(scope="session")
def backend() -> Iterator[backends.Backend]:
    with backends.backend(backends.wanted()) as running:
        yield running


@pytest.fixture
def report(request: pytest.FixtureRequest) -> list[str]:
    """Lines for the end of pytest's report."""
    return request.config.stash.setdefault(_LINES, [])


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    for line in config.stash.get(_LINES, []):
        terminalreporter.write_line(line)

"""One real server per module: `ecomind up` as a child process, on free ports and a fresh folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ecomind_query.bench.process import Server
from ecomind_query.conformance.target import Target


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A running server whose segments are sealed at once."""
    running = Server(
        tmp_path_factory.mktemp("server"),
        {"ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.05", "ECOMIND_NAMES_PER_DAY_MAX": "100000"},
    )
    running.start()
    try:
        yield Target.of(running)
    finally:
        running.stop()

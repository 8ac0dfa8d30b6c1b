"""Which servers the isolation machine runs on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support import backends


def pytest_collection_modifyitems() -> None:
    """Refuse a BACKEND that is none before anything runs."""
    backends.wanted()


@pytest.fixture(scope="session")
def backend() -> Iterator[backends.Backend]:
    with backends.backend(backends.wanted()) as running:
        yield running

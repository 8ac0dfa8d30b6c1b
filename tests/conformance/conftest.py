"""Servers in every configuration that a case needs, one set for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ecomind_query.conformance.fleet import Fleet
from ecomind_query.conformance.target import Target


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    yield fleet
    fleet.close()


@pytest.fixture
def target(fleet: Fleet) -> Target:
    """A server as it is by default."""
    return fleet.target("plain")

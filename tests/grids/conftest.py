"""A service on loopback, and the zones of the factor set."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from grids.service import Service, running

from ecomind_processor.factors import FactorSet


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def zones() -> frozenset[str]:
    return frozenset(FactorSet.load().zones)

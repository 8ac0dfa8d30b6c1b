"""A store for each test file; a test has its own organisation, so that none sees another's rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from query.rows import NOW, Seed
from support.receiver import make_settings

from ecomind_query.reader import Reader
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Reach

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Open for one file only: the engine takes one directory at a time."""
    store = Store(make_settings(tmp_path_factory.mktemp("query"), retention_days=3650))
    yield store
    store.close()


@pytest.fixture
def reach() -> Reach:
    return Reach(f"org_{next(_numbers)}")


@pytest.fixture
def seed(store: Store, reach: Reach) -> Seed:
    return Seed(store, reach.org_id)


@pytest.fixture
def reader(store: Store) -> Reader:
    return Reader(store, retention_days=90, clock=lambda: NOW)

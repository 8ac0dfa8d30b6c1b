"""A store for each test file; a test has its own organisation, so that none sees another's rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import closing

import pytest
from query.rows import NOW, Seed
from support.clickhouse_server import EMBEDDED, SERVER, store_settings
from support.receiver import make_settings

from ecomind_query.reader import Reader
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Reach

_numbers = itertools.count(1)


@pytest.fixture(scope="module", params=[EMBEDDED, pytest.param(SERVER, marks=pytest.mark.soak)])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """Open for one file only: the engine takes one directory at a time.

    On a server only in `make soak`; `test_api.py` and `server_store/` use one in every run.
    """
    with store_settings(request.param) as values:
        folder = tmp_path_factory.mktemp("query")
        with closing(Store(make_settings(folder, retention_days=3650, **values))) as store:
            yield store


@pytest.fixture
def reach() -> Reach:
    return Reach(f"org_{next(_numbers)}")


@pytest.fixture
def seed(store: Store, reach: Reach) -> Seed:
    return Seed(store, reach.org_id)


@pytest.fixture
def reader(store: Store) -> Reader:
    return Reader(store, retention_days=90, clock=lambda: NOW)

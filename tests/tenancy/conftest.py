"""A control store with two organisations, and a receiver that asks for their keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.receiver import Running, make_settings
from support.redis_server import RedisServer, redis_server
from tenancy.office import Office

from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path, auth="keys")


@pytest.fixture
def office(settings: Settings) -> Iterator[Office]:
    office = Office(settings)
    office.org("org_a", "web", "batch")
    office.org("org_b", "web")
    yield office
    office.store.close()


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """`async with running(setting=value) as receiver`: with keys and ports of its own."""

    @asynccontextmanager
    async def run(**values: Any) -> AsyncIterator[Receiver]:
        receiver = Receiver(make_settings(tmp_path, **{"auth": "keys", **values}))
        await receiver.start()
        try:
            yield receiver
        finally:
            await receiver.stop()

    return run


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server

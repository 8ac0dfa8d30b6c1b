"""A real Redis, and limits of both kinds on a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis
from limits.meters import LocalMeter, Meter, RedisMeter
from support.redis_server import RedisServer, redis_server

from ecomind_receiver import redis_limits


@pytest.fixture(scope="session")
def shared_redis() -> Iterator[RedisServer]:
    """One server for the tests that leave it running."""
    with redis_server() as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that the test may stop."""
    with redis_server() as server:
        yield server


@pytest.fixture
def inspector(shared_redis: RedisServer) -> Iterator[redis.Redis]:
    """A plain client of the shared server, which is emptied."""
    with shared_redis.client() as client:
        client.flushall()
        client.script_flush()
        yield client


@pytest.fixture(params=["local", "redis"])
def new_meter(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Meter]:
    """Makes meters, full and at rest: in process, and on a real Redis."""
    if request.param == "local":
        return LocalMeter
    server: RedisServer = request.getfixturevalue("shared_redis")
    assert redis_limits.SCRIPT.count(RedisMeter.REAL_CLOCK) == 1
    moved = redis_limits.SCRIPT.replace(RedisMeter.REAL_CLOCK, RedisMeter.TEST_CLOCK)
    monkeypatch.setattr(redis_limits, "SCRIPT", moved)
    return lambda: RedisMeter(server)


@pytest.fixture
def meter(new_meter: Callable[[], Meter]) -> Iterator[Meter]:
    """One meter."""
    meter = new_meter()
    yield meter
    meter.close()

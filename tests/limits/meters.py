"""Limits of either kind on a clock that the test moves: one test body for both."""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from support.redis_server import RedisServer

from ecomind_receiver.limits import LocalLimits, Quota, Refused
from ecomind_receiver.redis_limits import RedisLimits


class Ask(NamedTuple):
    """One request."""

    cost: int
    org_quota: Quota | None = None
    key_quota: Quota | None = None
    org_id: str = "org_a"
    key_id: str = "key1"


class Meter(Protocol):
    """Limits whose clock stands until it is moved."""

    def move(self, seconds: float) -> None: ...

    def ask(self, asked: Ask) -> Refused | None: ...

    def close(self) -> None: ...


class LocalMeter:
    """`LocalLimits` with invented time."""

    def __init__(self, share: float = 1.0) -> None:
        self._now = 5000.0
        self.limits = LocalLimits(share, clock=lambda: self._now)

    def move(self, seconds: float) -> None:
        self._now += seconds

    def ask(self, asked: Ask) -> Refused | None:
        org_id, key_id = asked.org_id, asked.key_id
        return self.limits.take_now(org_id, key_id, asked.org_quota, asked.key_quota, asked.cost)

    def close(self) -> None:
        """Nothing is open."""


class Counted(RedisLimits):
    """`RedisLimits` that count the round trips that failed."""

    errors = 0

    def _failed(self, error: Exception) -> None:
        self.errors += 1
        super()._failed(error)


class RedisMeter:
    """`RedisLimits` on a real Redis, with a script that reads invented time from two keys.

    Buckets still expire by real time, so debts have to be of seconds, which no test waits for.
    """

    REAL_CLOCK = "redis.call('TIME')"
    TEST_CLOCK = "{redis.call('GET', 'test:seconds'), redis.call('GET', 'test:microseconds')}"

    def __init__(self, server: RedisServer) -> None:
        self._loop = asyncio.new_event_loop()
        self._client = server.client()
        self._client.flushall()
        self._limits = Counted(server.url, 1, timeout_seconds=20)
        self._now_us = 1_800_000_000_000_000
        self.move(0)

    def move(self, seconds: float) -> None:
        self._now_us += round(seconds * 1_000_000)
        now_s, now_us = divmod(self._now_us, 1_000_000)
        self._client.mset({"test:seconds": now_s, "test:microseconds": now_us})

    def ask(self, asked: Ask) -> Refused | None:
        org_id, key_id = asked.org_id, asked.key_id
        refused = self._loop.run_until_complete(
            self._limits.take(org_id, key_id, asked.org_quota, asked.key_quota, asked.cost)
        )
        assert (self._limits.errors, self._limits.degraded) == (0, False)
        return refused

    def close(self) -> None:
        self._loop.run_until_complete(self._limits.close())
        self._loop.close()
        self._client.close()

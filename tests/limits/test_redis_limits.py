"""Limits shared through a real Redis on its own clock: what is stored, and what outages do."""

from __future__ import annotations

import asyncio
import logging
import struct
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis
from support.redis_server import RedisServer

from ecomind_receiver.limits import Quota, Refused
from ecomind_receiver.redis_limits import BAD_URL, RedisLimits

from .meters import Counted

FIFTY = Quota(0.001, 50)  # 50 at once, then one in 1,000 s
WIDE = Quota(0.001, 1000)
RETRY_SECONDS = 1.0


@asynccontextmanager
async def limits_of(
    server: RedisServer, receivers: int = 1, timeout_seconds: float = 10
) -> AsyncIterator[Counted]:
    """With a timeout that a busy machine keeps to, where the timeout is not what is tested."""
    limits = Counted(server.url, receivers, timeout_seconds=timeout_seconds)
    try:
        yield limits
    finally:
        await limits.close()


async def passed(limits: RedisLimits, times: int, quota: Quota, org_id: str = "org_a") -> int:
    """How many of some requests for a span at the same time pass."""
    asked = [limits.take(org_id, "key1", quota, None, 1) for _ in range(times)]
    return (await asyncio.gather(*asked)).count(None)


def test_two_hundred_at_once_admit_exactly_the_quota(shared_redis: RedisServer) -> None:
    async def scenario() -> tuple[int, int]:
        async with limits_of(shared_redis) as limits:
            return await passed(limits, 200, FIFTY, "org_concurrent"), limits.errors

    assert asyncio.run(scenario()) == (50, 0)


def test_receivers_share_one_quota(inspector: redis.Redis, shared_redis: RedisServer) -> None:
    async def scenario() -> tuple[int, int]:
        async with limits_of(shared_redis, 2) as one, limits_of(shared_redis, 2) as other:
            both = await asyncio.gather(passed(one, 100, FIFTY), passed(other, 100, FIFTY))
            return sum(both), one.errors + other.errors

    assert asyncio.run(scenario()) == (50, 0)


def test_two_levels_at_once_stay_together(
    inspector: redis.Redis, shared_redis: RedisServer
) -> None:
    async def scenario() -> Counter[str]:
        async with limits_of(shared_redis) as limits:
            keys = [f"key{number % 4}" for number in range(200)]
            asked = [limits.take("org_a", key, WIDE, FIFTY, 10) for key in keys]
            outcomes = await asyncio.gather(*asked)
            rest = await passed(limits, 1000, WIDE)
            told = Counter(refused.level if refused else "passed" for refused in outcomes)
            return told + Counter(rest=rest)

    # 4 keys of 50 spans each; the organisation's 1,000 are charged for those 200 and no others
    assert asyncio.run(scenario()) == {"passed": 20, "key": 180, "rest": 800}


def test_real_time_fills_a_bucket(inspector: redis.Redis, shared_redis: RedisServer) -> None:
    quota = Quota(10, 2)

    async def scenario() -> Refused | None:
        async with limits_of(shared_redis) as limits:
            while await limits.take("org_a", "key1", None, quota, 2) is None:
                pass
            refused = await limits.take("org_a", "key1", None, quota, 2)
            assert refused
            assert refused.level == "key"
            assert 0 < refused.wait_seconds <= 0.2
            await asyncio.sleep(refused.wait_seconds)
            return await limits.take("org_a", "key1", None, quota, 2)

    assert asyncio.run(scenario()) is None


def test_fractions_of_a_microsecond_are_charged(
    inspector: redis.Redis, shared_redis: RedisServer
) -> None:
    fast = Quota(25_000_000, 1e12)  # 0.04 microseconds a span; a double of today's time has 0.25

    def bucket() -> tuple[float, float]:
        stored = inspector.get("ecomind:{org_a}:limit:org")
        assert isinstance(stored, bytes)
        since, debt_us = struct.unpack("dd", stored)
        return since, debt_us

    async def scenario() -> float:
        async with limits_of(shared_redis) as limits:
            assert await limits.take("org_a", "key1", FIFTY, None, 5) is None  # owes 5,000 s
            since, debt_us = bucket()
            assert await passed(limits, 100, fast) == 100
            since_then, debt_us_then = bucket()
            return since_then - since + debt_us_then - debt_us

    assert asyncio.run(scenario()) == pytest.approx(4, abs=0.001)  # 100 x 0.04


def test_keys_begin_with_the_organisation_and_end_when_full(
    inspector: redis.Redis, shared_redis: RedisServer
) -> None:
    async def scenario() -> None:
        async with limits_of(shared_redis) as limits:
            assert await limits.take("org_a", "key1", Quota(0.5, 100), Quota(2, 100), 30) is None

    asyncio.run(scenario())
    names = [b"ecomind:{org_a}:limit:key:key1", b"ecomind:{org_a}:limit:org"]
    assert sorted(inspector.keys()) == names
    lives_ms = [inspector.pttl(name) for name in names]
    assert lives_ms == [pytest.approx(15_000, abs=2000), pytest.approx(60_000, abs=2000)]


def test_a_full_bucket_is_gone(inspector: redis.Redis, shared_redis: RedisServer) -> None:
    async def scenario() -> None:
        async with limits_of(shared_redis) as limits:
            assert await limits.take("org_a", "key1", Quota(1000, 1000), None, 1) is None

    asyncio.run(scenario())
    assert inspector.pttl("ecomind:{org_a}:limit:org") in (-2, 0, 1)


def test_without_quotas_redis_is_not_asked() -> None:
    async def scenario() -> tuple[Refused | None, int]:
        limits = Counted("redis://127.0.0.1:1", 1)
        return await limits.take("org_a", "key1", None, None, 10**9), limits.errors

    assert asyncio.run(scenario()) == (None, 0)


def test_a_flushed_script_is_loaded_again(
    inspector: redis.Redis, shared_redis: RedisServer
) -> None:
    async def scenario() -> tuple[int, int, int]:
        async with limits_of(shared_redis) as limits:
            before = await passed(limits, 30, FIFTY)
            inspector.script_flush()
            return before, await passed(limits, 30, FIFTY), limits.errors

    assert asyncio.run(scenario()) == (30, 20, 0)


def test_a_rate_next_to_nothing_is_a_wait_and_no_error(
    inspector: redis.Redis, shared_redis: RedisServer
) -> None:
    """`ecomind orgs quota` takes none below 0.001; what else sets one must not stop the others."""

    async def scenario() -> tuple[Refused | None, Refused | None, int]:
        async with limits_of(shared_redis) as limits:
            asked = [limits.take("org_a", "key1", Quota(1e-300, 1), None, 1) for _ in range(2)]
            first, second = [await each for each in asked]
            return first, second, limits.errors

    first, second, errors = asyncio.run(scenario())
    assert (first, errors) == (None, 0)
    assert second and second.wait_seconds == pytest.approx(1e9)  # 31 years
    assert inspector.pttl("ecomind:{org_a}:limit:org") > 9e11


def test_an_error_concerns_only_its_own_question(
    inspector: redis.Redis, shared_redis: RedisServer
) -> None:
    inspector.lpush("ecomind:{org_bad}:limit:org", "not a bucket")

    async def scenario() -> tuple[list[Refused | None], int, bool, int]:
        async with limits_of(shared_redis, receivers=5) as limits:
            bad = [limits.take("org_bad", "key1", FIFTY, None, 1) for _ in range(20)]
            good = passed(limits, 100, FIFTY)
            outcomes, admitted = await asyncio.gather(asyncio.gather(*bad), good)
            return outcomes, admitted, limits.degraded, limits.errors

    outcomes, admitted, degraded, errors = asyncio.run(scenario())
    assert outcomes.count(None) == 10  # its share here: 50 / 5
    assert (admitted, degraded, errors) == (50, False, 0)  # the others', from Redis


def test_what_every_question_would_get_is_an_outage(own_redis: RedisServer) -> None:
    client = own_redis.client()
    client.config_set("maxmemory", "1")
    client.close()

    async def scenario() -> tuple[bool, int]:
        async with limits_of(own_redis) as limits:
            await passed(limits, 20, FIFTY)
            return limits.degraded, limits.errors

    assert asyncio.run(scenario()) == (True, 1)


def test_while_redis_is_down_each_receiver_keeps_to_its_share(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with limits_of(own_redis, receivers=5) as limits:
            assert await passed(limits, 10, FIFTY) == 10
            own_redis.stop()
            outcomes = [await limits.take("org_a", "key1", FIFTY, None, 1) for _ in range(30)]
            assert outcomes.count(None) == 10  # 50 / 5, whatever was taken before
            assert outcomes[-1]
            assert outcomes[-1].wait_seconds == pytest.approx(5000, abs=1)  # 5 x 1,000 s
            assert (limits.degraded, limits.errors) == (True, 1)  # asked once, then left alone

    with caplog.at_level(logging.INFO, "ecomind.limits"):
        asyncio.run(scenario())
    assert [record.message for record in caplog.records] == [
        "Redis is away; limits are local shares"
    ]


def test_redis_is_tried_once_a_second_and_found_again(own_redis: RedisServer) -> None:
    async def scenario() -> None:
        async with limits_of(own_redis) as limits:
            own_redis.stop()
            await passed(limits, 20, FIFTY)
            errors = limits.errors
            await asyncio.sleep(RETRY_SECONDS)
            await passed(limits, 20, FIFTY)
            assert limits.errors == errors + 1  # one request tried it, not twenty
            own_redis.start()
            stopped = time.monotonic()
            while limits.degraded:
                await limits.take("org_a", "key1", FIFTY, None, 1)
                await asyncio.sleep(0.01)
            assert time.monotonic() - stopped < 2 * RETRY_SECONDS
            assert await passed(limits, 60, FIFTY) == 49  # shared again; one span found it

    asyncio.run(scenario())


def test_a_redis_that_hangs_delays_requests_by_the_timeout_once(own_redis: RedisServer) -> None:
    async def scenario() -> tuple[float, int, bool, int]:
        async with limits_of(own_redis, receivers=2, timeout_seconds=0.1) as limits:
            while await limits.take("org_a", "key1", None, FIFTY, 1) or limits.degraded:
                await asyncio.sleep(0.1)  # until connected, however busy the machine
            errors = limits.errors
            own_redis.pause()
            started = time.monotonic()
            admitted = await passed(limits, 600, FIFTY)  # more than are asked at once
            admitted += await passed(limits, 200, FIFTY)
            seconds = time.monotonic() - started
            own_redis.resume()
            return seconds, admitted, limits.degraded, limits.errors - errors

    seconds, admitted, degraded, errors = asyncio.run(scenario())
    assert 0.1 <= seconds < 0.9
    assert (admitted, degraded, errors) == (25, True, 1)


def test_one_request_at_a_time_tries_a_redis_that_hangs(own_redis: RedisServer) -> None:
    async def scenario() -> int:
        async with limits_of(own_redis, timeout_seconds=0.2) as limits:
            own_redis.pause()
            await limits.take("org_a", "key1", FIFTY, None, 1)
            await asyncio.sleep(RETRY_SECONDS)
            asked = [
                asyncio.create_task(limits.take("org_a", "key1", FIFTY, None, 1)) for _ in range(20)
            ]
            await asyncio.sleep(0)  # each runs until it waits
            waiting = sum(not task.done() for task in asked)
            await asyncio.gather(*asked)
            own_redis.resume()
            return waiting

    assert asyncio.run(scenario()) == 1


def test_a_request_that_is_given_up_leaves_the_others_be(shared_redis: RedisServer) -> None:
    async def scenario() -> tuple[int, int]:
        async with limits_of(shared_redis) as limits:
            asked = [
                asyncio.create_task(limits.take("org_given_up", "key1", FIFTY, None, 1))
                for _ in range(100)
            ]
            await asyncio.sleep(0)  # all of them wait for an answer now
            for task in asked[::2]:
                task.cancel()
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
            given_up = sum(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
            return given_up, limits.errors

    assert asyncio.run(scenario()) == (50, 0)


def test_an_answer_that_came_too_late_is_given_to_nobody_else(own_redis: RedisServer) -> None:
    async def scenario() -> None:
        async with limits_of(own_redis, timeout_seconds=0.5) as limits:
            await limits.take("org_a", "key1", FIFTY, None, 50)
            own_redis.pause()
            assert await limits.take("org_b", "key1", FIFTY, None, 1) is None  # a local share
            own_redis.resume()
            await asyncio.sleep(RETRY_SECONDS)
            assert await limits.take("org_a", "key1", FIFTY, None, 1) is not None
            assert not limits.degraded

    asyncio.run(scenario())


def test_a_broken_connection_is_not_tried_twice() -> None:
    """What was charged before the answer was lost would be charged again."""
    connections = 0

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(1)
        writer.close()
        await writer.wait_closed()

    async def scenario() -> tuple[bool, int, int]:
        async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            limits = Counted(f"redis://127.0.0.1:{port}", 1, timeout_seconds=10)
            await limits.take("org_a", "key1", FIFTY, None, 1)
            await limits.close()
            return limits.degraded, limits.errors, connections

    assert asyncio.run(scenario()) == (True, 1, 1)


@pytest.mark.parametrize(
    "url",
    [
        "localhost:6379",
        "http://:geheim@127.0.0.1",
        "redis://user:ge/heim@127.0.0.1",
        "redis://:geheim@127.0.0.1?colour=blue",
        "redis://:geheim@127.0.0.1?socket_timeout=soon",
    ],
)
def test_a_url_that_is_none_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValueError, match="ECOMIND_REDIS_URL") as caught:
        RedisLimits(url, 1)
    assert str(caught.value) == BAD_URL
    assert caught.value.__suppress_context__


def test_a_wrong_password_is_an_outage_and_stays_unsaid(
    own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> tuple[Refused | None, bool]:
        limits = RedisLimits(own_redis.url.replace("//", "//:geheim@"), 1)
        try:
            assert "geheim" not in repr(limits)
            return await limits.take("org_a", "key1", FIFTY, None, 1), limits.degraded
        finally:
            await limits.close()

    assert asyncio.run(scenario()) == (None, True)
    [record] = caplog.records
    assert "AuthenticationError" in str(vars(record))
    assert "geheim" not in str(vars(record))

"""Notices over a real Redis: heard at once, and caught up with after every interruption."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from support.redis_server import RedisServer

from ecomind_receiver.notices import NoticeError, Notices, publish


class Ear:
    """Counts what it hears; the first calls may fail."""

    def __init__(self, failures: int = 0) -> None:
        self.heard: asyncio.Queue[float] = asyncio.Queue()
        self._failures = failures

    async def listen(self) -> None:
        self.heard.put_nowait(time.monotonic())
        if self._failures:
            self._failures -= 1
            raise RuntimeError("the control store is away")

    async def next(self) -> float:
        async with asyncio.timeout(10):
            return await self.heard.get()


@asynccontextmanager
async def following(
    server: RedisServer, on_notice: Callable[[], Awaitable[None]]
) -> AsyncIterator[Notices]:
    notices = Notices(server.url)
    task = asyncio.create_task(notices.run(on_notice))
    try:
        yield notices
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


def test_a_notice_is_heard_well_within_a_second(shared_redis: RedisServer) -> None:
    async def scenario() -> float:
        ear = Ear()
        async with following(shared_redis, ear.listen) as notices:
            await ear.next()  # the subscription itself
            assert notices.live
            published = time.monotonic()
            await asyncio.to_thread(publish, shared_redis.url)
            return await ear.next() - published

    assert asyncio.run(scenario()) < 0.3


def test_every_subscriber_hears_every_notice(shared_redis: RedisServer) -> None:
    async def scenario() -> None:
        one, other = Ear(), Ear()
        async with following(shared_redis, one.listen), following(shared_redis, other.listen):
            await one.next(), await other.next()
            for _ in range(3):
                await asyncio.to_thread(publish, shared_redis.url)
                await one.next(), await other.next()

    asyncio.run(scenario())


def test_a_restarted_redis_is_subscribed_again_and_read_after(own_redis: RedisServer) -> None:
    async def scenario() -> None:
        ear = Ear()
        async with following(own_redis, ear.listen) as notices:
            await ear.next()
            own_redis.stop()
            await until(lambda: not notices.live)
            with pytest.raises(NoticeError):
                await asyncio.to_thread(publish, own_redis.url)
            own_redis.start()
            await ear.next()  # what was missed meanwhile is read now
            await until(lambda: notices.live)
            await asyncio.to_thread(publish, own_redis.url)
            await ear.next()

    asyncio.run(scenario())


def test_a_redis_that_is_not_there_yet_is_waited_for(own_redis: RedisServer) -> None:
    async def scenario() -> bool:
        own_redis.stop()
        ear = Ear()
        async with following(own_redis, ear.listen) as notices:
            await asyncio.sleep(0.2)
            assert not notices.live
            own_redis.start()
            await ear.next()
            await until(lambda: notices.live)
            return notices.live

    assert asyncio.run(scenario())


def test_a_silent_redis_is_noticed(own_redis: RedisServer) -> None:
    async def scenario() -> float:
        ear = Ear()
        async with following(own_redis, ear.listen) as notices:
            await ear.next()
            own_redis.pause()
            paused = time.monotonic()
            await until(lambda: not notices.live)
            seconds = time.monotonic() - paused
            own_redis.resume()
            await ear.next()
            return seconds

    assert asyncio.run(scenario()) < 4  # asked after a second of quiet, given a second to answer


def test_quiet_is_no_interruption(shared_redis: RedisServer) -> None:
    async def scenario() -> int:
        ear = Ear()
        async with following(shared_redis, ear.listen) as notices:
            await ear.next()
            await asyncio.sleep(2.5)  # two questions whether Redis is there
            assert notices.live
            return ear.heard.qsize()

    assert asyncio.run(scenario()) == 0


def test_what_fails_on_a_notice_is_done_again(shared_redis: RedisServer) -> None:
    async def scenario() -> None:
        ear = Ear(failures=2)
        async with following(shared_redis, ear.listen) as notices:
            for _ in range(3):
                await ear.next()
            await until(lambda: notices.live)

    asyncio.run(scenario())


def test_a_notice_that_fails_says_so_without_the_password(own_redis: RedisServer) -> None:
    with_password = own_redis.url.replace("//", "//:geheim@")
    own_redis.stop()
    with pytest.raises(NoticeError, match=r"^Redis took no notice of the change \(") as caught:
        publish(with_password)
    assert "geheim" not in str(caught.value)


def test_a_url_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(NoticeError, match="ECOMIND_REDIS_URL") as caught:
        publish("redis://user:ge/heim@127.0.0.1")
    assert "heim" not in str(caught.value)
    with pytest.raises(ValueError, match="ECOMIND_REDIS_URL"):
        Notices("localhost")

"""Notices that keys or quotas have changed, so that a revoked key ends everywhere at once.

A notice says only that there is something to read; the control store says what. So nothing is lost
with a notice: whoever subscribes, for the first time or again, reads too, and a receiver that hears
nothing reads on its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import redis
from redis.asyncio.client import PubSub
from redis.backoff import NoBackoff
from redis.retry import Retry

from ecomind_receiver.redis_limits import BAD_URL, describe, open_redis

log = logging.getLogger("ecomind.notices")

CHANNEL = "ecomind:keys-changed"
_TIMEOUT_SECONDS = 1.0
_QUIET_SECONDS = 1.0  # after which Redis is asked whether it is still there
_FIRST_BACKOFF_SECONDS, _LAST_BACKOFF_SECONDS = 0.1, 1.0


class NoticeError(Exception):
    """A notice could not be given; the message is a sentence."""


def publish(redis_url: str) -> None:
    """Tell every receiver that keys or quotas have changed. Raises NoticeError."""
    try:
        client = redis.Redis.from_url(
            redis_url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        with contextlib.closing(client):
            client.publish(CHANNEL, "")
    except (redis.RedisError, OSError) as error:
        raise NoticeError(f"Redis took no notice of the change ({describe(error)}).") from error
    except (ValueError, TypeError):
        raise NoticeError(BAD_URL) from None


class Notices:
    """A subscription that outlives Redis. `live`: a notice would be heard now.

    Raises ValueError for a URL that is none.
    """

    def __init__(self, url: str) -> None:
        self.live = False
        self._redis = open_redis(
            url, socket_timeout=_TIMEOUT_SECONDS, socket_connect_timeout=_TIMEOUT_SECONDS
        )

    async def run(self, on_notice: Callable[[], Awaitable[None]]) -> None:
        """Call `on_notice` at each notice and after each subscription, until cancelled.

        One that fails is called again, after the next subscription.
        """
        backoff_seconds = _FIRST_BACKOFF_SECONDS
        try:
            while True:
                try:
                    await self._follow(on_notice)
                except Exception as error:  # whatever it is: without this loop no key ends at once
                    log.warning("notices interrupted", extra={"error": describe(error)})
                    if self.live:
                        backoff_seconds = _FIRST_BACKOFF_SECONDS
                finally:
                    self.live = False
                await asyncio.sleep(backoff_seconds)
                backoff_seconds = min(2 * backoff_seconds, _LAST_BACKOFF_SECONDS)
        finally:
            await self._redis.aclose()

    async def _follow(self, on_notice: Callable[[], Awaitable[None]]) -> None:
        async with self._redis.pubsub() as subscription:
            await subscription.subscribe(CHANNEL)
            while True:
                if await _heard(subscription) in ("subscribe", "message"):
                    await on_notice()
                    self.live = True


async def _heard(subscription: PubSub) -> str:
    """The type of the next message. Raises TimeoutError when Redis no longer answers at all."""
    message = await subscription.get_message(timeout=_QUIET_SECONDS)
    if message is None:
        await subscription.ping()
        message = await subscription.get_message(timeout=_QUIET_SECONDS)
    if message is None:
        raise TimeoutError("Redis has fallen silent")
    return str(message["type"])

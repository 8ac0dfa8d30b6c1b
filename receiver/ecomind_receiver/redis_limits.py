"""Limits that several receivers share through Redis.

Redis decides: one script, both levels, its own clock. Requests that come while an answer is under
way are asked together after it, each by itself, over one connection: a client's cost is for the
round trip, and a receiver with a thousand requests at once would otherwise wait for itself.

Redis may be away: what it would have decided is then decided here, on this receiver's share of each
quota, so that the receivers together keep to the mean rate and no sender waits for Redis. Shares
begin full, so each switch may let one burst more through. While Redis is away, one request a second
tries it again. It holds nothing here that can't be lost.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from importlib.resources import files
from typing import Any, NamedTuple

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, ResponseError

from ecomind_receiver.limits import Level, LocalLimits, Quota, Refused

log = logging.getLogger("ecomind.limits")

SCRIPT = files("ecomind_receiver").joinpath("limits.lua").read_text("utf-8")
BAD_URL = (
    "ECOMIND_REDIS_URL is no address of a Redis: it must be redis://host:port, rediss://host:port"
    " or unix://path, with special characters of a password percent-encoded."
)
_TIMEOUT_SECONDS = 0.1
_RETRY_SECONDS = 1.0
_AT_ONCE = 256  # so that packing and parsing never hold the event loop for long
_US_PER_S = 1_000_000

_Reply = tuple[int, int]  # which level refuses, from 1, or 0; microseconds to wait


class _Question(NamedTuple):
    arguments: list[str | float]
    answer: asyncio.Future[_Reply | None]


def open_redis(url: str, **options: Any) -> Redis:
    """A client that connects when it is used and never tries twice.

    Raises ValueError with a sentence that holds nothing of the URL, which may hold a password.
    """
    try:
        pool = ConnectionPool.from_url(url, protocol=2, retry=Retry(NoBackoff(), 0), **options)
        pool.connection_class(**pool.connection_kwargs)  # refuses options that it does not know
    except (ValueError, TypeError):
        raise ValueError(BAD_URL) from None
    return Redis.from_pool(pool)


class RedisLimits:
    """Shared limits, with local ones at `1 / receivers` of each quota while Redis is away.

    `degraded` says that they stand in now. Raises ValueError for a URL that is none.
    """

    def __init__(
        self, url: str, receivers: int, *, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        self.degraded = False
        self._redis = open_redis(url, socket_timeout=None)
        self._local = LocalLimits(share=1 / receivers)
        self._timeout_seconds = timeout_seconds
        self._digest = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()
        self._try_again_at = 0.0
        self._waiting: list[_Question] = []
        self._asking: asyncio.Task[None] | None = None

    async def take(
        self,
        org_id: str,
        key_id: str,
        org_quota: Quota | None,
        key_quota: Quota | None,
        cost: int,
    ) -> Refused | None:
        """As in `Limits`; never fails for Redis' sake, which costs the timeout if it hangs."""
        if org_quota is None and key_quota is None:
            return None
        if not self._leave_alone():
            levels = _levels(org_id, key_id, org_quota, key_quota)
            reply = await self._answer(_arguments(levels, cost))
            if reply:
                refusing, wait_us = reply
                return Refused(wait_us / _US_PER_S, levels[refusing - 1][0]) if refusing else None
        return self._local.take_now(org_id, key_id, org_quota, key_quota, cost)

    async def close(self) -> None:
        """Answer what was asked, then close the connection."""
        if self._asking:
            await self._asking
        await self._redis.aclose()

    async def _answer(self, arguments: list[str | float]) -> _Reply | None:
        """The script's reply; None when Redis gave none."""
        answer: asyncio.Future[_Reply | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Question(arguments, answer))
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask_waiting(), name="redis-limits")
        return await answer

    async def _ask_waiting(self) -> None:
        """Ask what waits until nothing does; whoever waits when Redis fails gets no reply."""
        while self._waiting:
            asked, self._waiting = self._waiting[:_AT_ONCE], self._waiting[_AT_ONCE:]
            try:
                async with asyncio.timeout(self._timeout_seconds):
                    replies = await self._ask([question.arguments for question in asked])
            except Exception as error:  # whatever it is: requests wait for this task
                self._failed(error)
                asked, self._waiting = asked + self._waiting, []
                replies = [None] * len(asked)
            else:
                self._answered()
            for question, reply in zip(asked, replies, strict=True):
                if not question.answer.done():  # or its request was given up
                    question.answer.set_result(reply)

    async def _ask(self, asked: list[list[str | float]]) -> list[_Reply | None]:
        replies = await self._run(asked)
        missed = [at for at, reply in enumerate(replies) if isinstance(reply, NoScriptError)]
        if missed:  # a Redis that has started, or was flushed
            await self._redis.script_load(SCRIPT)
            again = await self._run([asked[at] for at in missed])
            for at, reply in zip(missed, again, strict=True):
                replies[at] = reply
        return [_reply(reply) for reply in replies]

    async def _run(self, asked: list[list[str | float]]) -> list[Any]:
        """A reply or an error for each, in one round trip."""
        async with self._redis.pipeline(transaction=False) as pipeline:
            for arguments in asked:
                pipeline.execute_command("EVALSHA", self._digest, *arguments)
            return await pipeline.execute(raise_on_error=False)

    def _leave_alone(self) -> bool:
        """Whether Redis is away and was tried within the last second."""
        now = time.monotonic()
        if not self.degraded:
            return False
        if now < self._try_again_at:
            return True
        self._try_again_at = now + _RETRY_SECONDS
        return False

    def _failed(self, error: Exception) -> None:
        self._try_again_at = time.monotonic() + _RETRY_SECONDS
        if not self.degraded:
            self.degraded = True
            log.warning("Redis is away; limits are local shares", extra={"error": describe(error)})

    def _answered(self) -> None:
        if self.degraded:
            self.degraded = False
            log.info("Redis is back; limits are shared again")


def _reply(reply: Any) -> _Reply | None:
    """A reply; None if this one question was refused. Raises what all questions would get."""
    if not isinstance(reply, Exception):
        return (int(reply[0]), int(reply[1]))
    code = str(reply).partition(" ")[0]  # the client leaves a plain ERR out
    if type(reply) is ResponseError and (not code.isupper() or code == "WRONGTYPE"):
        log.error("Redis refused a question; its limit is a local share", extra={"error": code})
        return None
    raise reply


def describe(error: Exception) -> str:
    """What went wrong, also for errors without a text."""
    return f"{type(error).__name__}: {error}".removesuffix(": ")


def _levels(
    org_id: str, key_id: str, org_quota: Quota | None, key_quota: Quota | None
) -> list[tuple[Level, str, Quota]]:
    """The levels that limit, with their buckets; one hash tag keeps them on one cluster node."""
    prefix = f"ecomind:{{{org_id}}}:limit"
    levels: list[tuple[Level, str, Quota]] = []
    if org_quota:
        levels.append(("org", f"{prefix}:org", org_quota))
    if key_quota:
        levels.append(("key", f"{prefix}:key:{key_id}", key_quota))
    return levels


def _arguments(levels: list[tuple[Level, str, Quota]], cost: int) -> list[str | float]:
    """What EVALSHA takes after the digest; limits.lua says what it means."""
    arguments: list[str | float] = [len(levels), *(key for _, key, _ in levels), cost]
    for _, _, quota in levels:
        arguments += (_US_PER_S / quota.spans_per_second, quota.burst_spans)
    return arguments

"""Requests that wait in a buffer until they are durable, and how their senders are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from ecomind_receiver.kinds import Kind
from ecomind_receiver.refusals import RETRY_AFTER_SECONDS


class SpoolFull(Exception):
    """A buffer takes nothing now: it is full, or can't be written; retry later.

    `cause` is a value of `ecomind.refusal.cause`.
    """

    def __init__(self, message: str, cause: str, wait_seconds: float = RETRY_AFTER_SECONDS) -> None:
        super().__init__(message)
        self.cause = cause
        self.wait_seconds = wait_seconds


class RecordTooLarge(Exception):
    """A buffer will never take a record of this size; the message says what would let it."""


class Pending(NamedTuple):
    """A request in a buffer that is not durable yet, and who waits for it."""

    org_id: str
    parts: list[bytes]
    size_bytes: int
    spans: int
    kind: Kind
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]

    @classmethod
    def of(cls, org_id: str, parts: list[bytes], spans: int, kind: Kind) -> Pending:
        """One that the running event loop waits for."""
        loop = asyncio.get_running_loop()
        return cls(org_id, parts, sum(map(len, parts)), spans, kind, loop, loop.create_future())


def resolve(requests: Iterable[Pending], error: Exception | None) -> None:
    """Have whoever waits told that these are durable, or why not; from any thread."""
    by_loop: defaultdict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = defaultdict(list)
    for request in requests:
        by_loop[request.loop].append(request.done)
    for loop, futures in by_loop.items():
        with contextlib.suppress(RuntimeError):  # the loop is gone and so is whoever waited
            loop.call_soon_threadsafe(_finish, futures, error)


def _finish(futures: list[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if future.done():
            continue  # the client went away; its data stays
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

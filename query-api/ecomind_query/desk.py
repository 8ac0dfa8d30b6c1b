"""Where readers' questions wait their turn: threads of their own, a few at a time per organisation.

The engine answers in the thread that asks. Were these the threads that everything else uses, the
slow questions of one organisation would stop the spans of all. An organisation that asks more than
it may at once waits in its own line, in order, and is told to come back when that is full.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.tenants import Reach

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
AT_ONCE = 2
WAITING_MAX = 16
WAIT_SECONDS = 5.0  # half of what the longest question may take

_Work = tuple["Future[Any]", Callable[[], Any]]


@dataclass(slots=True)
class _Line:
    """The questions of one organisation: how many have a thread, and which wait."""

    busy: int = 0
    waiting: deque[_Work] = field(default_factory=deque)


class Desk:
    """Runs questions that block. Lines of organisations that ask nothing are not kept."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="reader")
        self._lock = threading.Lock()
        self._lines: dict[str, _Line] = {}

    async def ask(
        self,
        question: Callable[Concatenate[Reach, P], T],
        reach: Reach,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What the question answers within `reach`, or raises.

        Raises RequestRefused (429) while its organisation has too many waiting.
        """
        run = partial(contextvars.copy_context().run, question, reach, *args, **kwargs)
        answer: Future[T] = Future()
        self._join(reach.org_id, (answer, run))
        return await asyncio.wrap_future(answer)

    def close(self) -> None:
        """Give up what waits, and return once what runs has ended."""
        with self._lock:
            for line in self._lines.values():
                while line.waiting:
                    line.waiting.popleft()[0].cancel()
        self._threads.shutdown()

    def _join(self, org_id: str, work: _Work) -> None:
        with self._lock:
            line = self._lines.setdefault(org_id, _Line())
            if line.busy < AT_ONCE:
                line.busy += 1
                self._threads.submit(self._serve, org_id, line, work)
            elif len(line.waiting) < WAITING_MAX:
                line.waiting.append(work)
            else:
                raise RequestRefused(
                    Refusal.OVER_QUOTA,
                    f"{AT_ONCE} questions of this organisation are being answered and"
                    f" {WAITING_MAX} wait. Ask again in {WAIT_SECONDS:.0f} seconds, and fewer at"
                    " once.",
                    WAIT_SECONDS,
                )

    def _serve(self, org_id: str, line: _Line, work: _Work) -> None:
        try:
            _answer(*work)
        finally:
            self._next(org_id, line)

    def _next(self, org_id: str, line: _Line) -> None:
        """The next in line goes behind what other organisations have asked meanwhile."""
        with self._lock:
            if line.waiting:
                self._threads.submit(self._serve, org_id, line, line.waiting.popleft())
                return
            line.busy -= 1
            if not line.busy:
                del self._lines[org_id]


def _answer(answer: Future[Any], run: Callable[[], Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return  # given up while it waited
    try:
        result = run()
    except BaseException as error:
        answer.set_exception(error)
    else:
        answer.set_result(result)

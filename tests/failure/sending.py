"""Requests with numbers, sent to a receiver in the same process; what it promised is written down.

Contents and ids are those of the benchmarks, so that `verify` knows from a stored row which span it
was. A request that is refused for now is sent again, and so are some that were acknowledged: a
client does that when it does not see the answer.
"""

from __future__ import annotations

import asyncio
import random
import time
from pathlib import Path

from ecomind_query.bench.invariants import Sent, read_report
from ecomind_query.bench.templates import batch_templates
from ecomind_query.bench.workload import Mode, Variant, spans_per_request
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.refusals import RequestRefused
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import LOCAL

MODE = Mode.SMALL
SPANS = spans_per_request(MODE)
AT_ONCE = 4
RESENT = 0.2
"""The share of acknowledged requests that are sent once more, into a later segment."""
_AGAIN_SECONDS = 0.02  # a trial has no time for what it is told


class Sender:
    """Sends requests 0, 1, 2 and so on."""

    def __init__(self, receiver: Receiver, seed: int, report: Path, draw: random.Random) -> None:
        self.receiver = receiver
        self.refused = 0
        self._seed = seed
        self._templates = batch_templates(Variant.PLAIN, seed, "here", (), MODE)
        self._report = report
        self._draw = draw
        self._next = 0
        self._again: list[bytes] = []

    @property
    def sent(self) -> Sent:
        """What was sent, and of it what was acknowledged."""
        return Sent(self._seed, MODE, self._next, read_report(self._report))

    def body(self, number: int, ended_ns: int) -> bytes:
        """Request `number`, with calls that ended then."""
        template = self._templates[number % len(self._templates)]
        buffer = template.buffer()
        template.write(buffer, number * SPANS, ended_ns)
        return bytes(buffer.data[template.head_bytes :])

    async def send(self, count: int, ago_seconds: float = 0.0, until_taken: bool = True) -> None:
        """Send the next requests, several at once, and again some of before.

        Calls ended so long ago. `until_taken`: a refused request is tried until it is taken.
        """
        again, self._again = self._again, []
        ended_ns = time.time_ns() - int(ago_seconds * 1e9)
        bodies = [(n, self.body(n, ended_ns)) for n in range(self._next, self._next + count)]
        self._next += count
        waiting: list[tuple[int | None, bytes]] = [*bodies, *((None, body) for body in again)]
        self._draw.shuffle(waiting)

        async def one_after_the_other() -> None:
            while waiting:
                number, body = waiting.pop()
                if await self._send(body, until_taken) and number is not None:
                    self._note(number)
                    if self._draw.random() < RESENT:
                        self._again.append(body)

        await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))

    def forget_resends(self) -> None:
        """Send nothing again of what was sent so far."""
        self._again.clear()

    async def _send(self, body: bytes, until_taken: bool) -> bool:
        while True:
            try:
                await self.receiver.accept(LOCAL, body, PROTOBUF)
            except RequestRefused as refused:
                assert refused.retry_after_seconds is not None, refused
                self.refused += 1
                if not until_taken:
                    return False
                await asyncio.sleep(_AGAIN_SECONDS)
            else:
                return True

    def _note(self, number: int) -> None:
        with self._report.open("ab", buffering=0) as report:
            report.write(number.to_bytes(8, "little"))

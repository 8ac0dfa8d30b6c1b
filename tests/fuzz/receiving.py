"""A whole receiver in this process that is fed anything, and held to what it promises.

Whatever is sent, the answer is an acknowledgement with its counts or a refusal; and of everything
acknowledged the loader says what became of it. Run by itself, it feeds for as long as it is told
to, many bodies a segment, and prints what it saw: `python tests/fuzz/receiving.py --seconds 60`.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does

from fuzz.bodies import Body, Mutator
from support.receiver import make_settings

from ecomind_receiver.refusals import RequestRefused
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import Tenant

TENANT = Tenant("org_fuzz", "default")
_PATIENCE_SECONDS = 60.0
_BATCH = 1000
_WARM_UP_BATCHES = 3


class Broken(AssertionError):
    """A promise was not kept; the message says which."""


class Fed:
    """A receiver without listeners, and what it has said so far."""

    def __init__(self, folder: Path) -> None:
        settings = make_settings(folder, spool_segment_max_seconds=60, retention_days=3650)
        self.receiver = Receiver(settings, listeners=False)
        self.answers: Counter[str] = Counter()
        self.items = 0  # of requests that are kept, acknowledged or refused one by one
        self._runner = asyncio.Runner()

    def __enter__(self) -> Fed:
        self._runner.run(self.receiver.start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._runner.run(self.receiver.stop())
        self._runner.close()

    def feed(self, bodies: Iterable[Body]) -> Counter[str]:
        """Send them, load them as one segment: outcomes of the new items. Raises Broken."""
        before, items, segments = self.outcomes(), self.items, self._segments()
        self._runner.run(self._feed(bodies))
        kept = self.items - items
        self._runner.run(self._until(lambda: not kept or self._segments() > segments))
        new = self.outcomes() - before
        if new.total() != kept:
            raise Broken(f"{kept} items were kept, and these are told of: {dict(new)}")
        return new

    def outcomes(self) -> Counter[str]:
        """What became of every item so far."""
        status = self.receiver.status()
        return Counter({"stored": status.stored_spans, **status.dropped_spans})

    async def _feed(self, bodies: Iterable[Body]) -> None:
        await asyncio.gather(*map(self._send, bodies))
        self.receiver.spool.seal()
        await self._until(lambda: not self.receiver.spool.busy)

    async def _until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                raise Broken(f"a segment does not load: {self.receiver.status().store_error}")
            await asyncio.sleep(0.005)

    def _segments(self) -> int:
        return self.receiver.status().loaded_segments

    async def _send(self, body: Body) -> None:
        try:
            accepted = await self.receiver.accept(
                TENANT, body.data, body.media_type, body.encoding, signal=body.signal
            )
        except RequestRefused as error:
            self.answers[error.refusal.name.lower()] += 1
        else:
            self.answers["accepted"] += 1
            if body.signal.kind and accepted.items:
                self.items += accepted.items + accepted.rejected


def resident_mb() -> float:
    """Memory of this process, in MB (10⁶ bytes)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status has no VmRSS")


def _guilty(bodies: list[Body]) -> list[Body]:
    """The smallest part of a batch that breaks a promise, found by halving."""
    while len(bodies) > 1:
        middle = len(bodies) // 2
        broken = next((half for half in (bodies[:middle], bodies[middle:]) if _breaks(half)), None)
        if broken is None:
            break
        bodies = broken
    return bodies


def _breaks(bodies: list[Body]) -> bool:
    with tempfile.TemporaryDirectory(prefix="ecomind-fuzz-") as folder, Fed(Path(folder)) as fed:
        try:
            fed.feed(bodies)
        except Broken:
            return True
    return False


def main() -> None:
    """Feed until the time is over; the line at the end is the result."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000)
    given = options.parse_args()
    logging.disable()  # quarantined records are what we want here
    mutator = Mutator(given.seed)
    deadline = time.monotonic() + given.seconds
    warm_mb, bodies = 0.0, 0
    with tempfile.TemporaryDirectory(prefix="ecomind-fuzz-") as folder, Fed(Path(folder)) as fed:
        for number in itertools.count():
            batch = [mutator.body() for _ in range(_BATCH)]
            try:
                fed.feed(batch)
            except Broken as error:
                print(f"seed {given.seed}, batch {number}: {error}")
                for body in _guilty(batch):
                    print(body.signal.name, body.media_type, body.encoding, body.data)
                raise SystemExit(1) from None
            bodies += len(batch)
            if number == _WARM_UP_BATCHES:
                warm_mb = resident_mb()
            if time.monotonic() > deadline:
                break
        outcomes = dict(sorted(fed.outcomes().items()))
        print(
            f"whole receiver: {bodies:,} bodies in {number + 1} segments, crashes 0, seed"
            f" {given.seed}; answers {dict(fed.answers)}; outcomes {outcomes};"
            f" memory {warm_mb:.0f} MB warm, {resident_mb():.0f} MB at the end"
        )


if __name__ == "__main__":
    main()

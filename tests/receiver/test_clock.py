"""A clock that is set while the receiver runs: nothing is counted twice for it, and it is told."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from support.outcomes import outcomes, running
from support.spans import Span, send

from ecomind_query.health import readiness_of
from ecomind_receiver.clock import Clock
from ecomind_receiver.kinds import Kind
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings
from ecomind_receiver.spool import Spool

HOUR = 3600
NS = 1_000_000_000


class Wall:
    """The wall clock, `off_seconds` from what it was."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.off_seconds = 0
        true_ns, true_s = time.time_ns, time.time
        patch.setattr(time, "time_ns", lambda: true_ns() + self.off_seconds * NS)
        patch.setattr(time, "time", lambda: true_s() + self.off_seconds)


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    return Wall(monkeypatch)


def test_jumps_are_noticed_and_nothing_is_dated_into_what_is_closed(wall: Wall) -> None:
    closed_until = time.time_ns()
    clock = Clock(lambda: closed_until)
    assert clock.received_ns() > closed_until
    assert (clock.jumps, clock.behind_seconds()) == (0, 0.0)
    wall.off_seconds = -2 * HOUR
    assert clock.received_ns() == closed_until
    assert clock.jumps == 1
    assert round(clock.last_jump_seconds) == -2 * HOUR
    assert round(clock.behind_seconds(), -1) == 2 * HOUR
    wall.off_seconds = 0
    assert clock.received_ns() > closed_until
    assert clock.jumps == 2


@pytest.mark.parametrize("restarted", [False, True])
def test_a_resend_after_the_clock_was_set_back_is_cancelled(
    tmp_path: Path, wall: Wall, restarted: bool
) -> None:
    """Windows are closed by a clock two days ahead; then the same spans come by the right one."""

    async def ahead() -> None:
        async with running(tmp_path) as receiver:
            wall.off_seconds = 48 * HOUR - 2 * HOUR  # within what a span's time may differ
            await send(receiver, "org", [Span(1), Span(2, start=2)])
            await receiver.drain()
            receiver.reconciler.close_windows(time.time() + HOUR)
            if not restarted:
                await back(receiver)

    async def back(receiver: Receiver) -> None:
        wall.off_seconds = 0
        await send(receiver, "org", [Span(1), Span(2, start=2)])
        await receiver.drain()
        status = receiver.status()
        assert status.clock_behind_seconds > 40 * HOUR
        assert not readiness_of(status).parts["clock"].ready
        receiver.reconciler.close_windows(time.time() + 72 * HOUR)
        outcome = outcomes(receiver)["org"]
        assert outcome.sums == outcome.rollup == (2, 2400, 690, 0, 0, 0)

    async def again() -> None:
        async with running(tmp_path) as receiver:
            await back(receiver)

    asyncio.run(ahead())
    if restarted:
        asyncio.run(again())


def test_a_segment_is_named_by_the_earliest_date_it_holds(settings: Settings, wall: Wall) -> None:
    """Windows wait for the oldest segment by its name, so a clock set back begins a new one."""

    async def write() -> list[int]:
        spool = Spool(settings.model_copy(update={"spool_segment_max_seconds": 60.0}), bytes(32))
        try:
            for off_seconds in (0, 10, -HOUR):
                wall.off_seconds = off_seconds
                await spool.append("org", [b"x"], 1, Kind.TRACES)
            earliest_ns = spool.oldest_ns()
            return [len(list(spool.directory.glob("*.seg"))), earliest_ns - time.time_ns()]
        finally:
            spool.close()

    segments, earliest_ns = asyncio.run(write())
    assert segments == 2
    assert earliest_ns <= 0

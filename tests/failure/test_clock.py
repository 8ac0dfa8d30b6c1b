"""The clock jumps, by hours and days, forward and back, while windows are closed."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from failure.sending import Sender
from failure.trials import Memory, Note, draw_of, judge, receiving, trials

HOUR_SECONDS = 3600
AHEAD_SECONDS = (0, HOUR_SECONDS, 5 * HOUR_SECONDS, 23 * HOUR_SECONDS, 9 * 24 * HOUR_SECONDS)
"""How far the clock is ahead of the true one; the calls themselves are dated by the true one."""

RECOGNISED_SECONDS = 24 * HOUR_SECONDS
"""How long a re-send is recognised (ECOMIND_RESENT_LOOK_BACK_HOURS), by whatever the clock says."""


@trials(20)
def test_the_clock_jumps(
    begun: Path, note: Note, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, memory = "clock jumps by hours and days", Memory()
    draw = draw_of(row, number)
    true_ns, true_s, ahead_seconds = time.time_ns, time.time, 0
    monkeypatch.setattr(time, "time_ns", lambda: true_ns() + ahead_seconds * 1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: true_s() + ahead_seconds)

    async def trial() -> None:
        nonlocal ahead_seconds
        async with receiving(begun, reconcile_window_seconds=900) as receiver:
            sender = Sender(receiver, number + 1, begun / "acknowledged", draw)
            jumps = 0
            for _ in range(6):
                before = ahead_seconds
                ahead_seconds = draw.choice(AHEAD_SECONDS)
                jumps += ahead_seconds != before
                if abs(ahead_seconds - before) > RECOGNISED_SECONDS:
                    sender.forget_resends()
                await sender.send(draw.randint(1, 5), ahead_seconds)
                if draw.random() < 0.7:
                    await receiver.drain()
                    await asyncio.to_thread(receiver.reconciler.close_windows)
                    closed = time.time() + draw.choice((0, 1000))
                    await asyncio.to_thread(receiver.reconciler.close_windows, closed)
            status = receiver.status()
            assert status.clock_jumps == jumps
            ahead_seconds = max(AHEAD_SECONDS)  # so that every window is over
            verdict = await judge(receiver, sender.sent, exactly=True)
            note(row, sender.sent, verdict, memory)

    asyncio.run(trial())

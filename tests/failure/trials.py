"""What every trial has in common: how many there are, how the store is judged, what is noted.

`make test` runs the first of each row and `make soak` twenty or more others. The draws of a trial
come from its row and its number alone, so a trial that fails is run again by its name.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from failure.table import PROPERTY, SEED, Trial
from support.receiver import make_settings

from ecomind_query.bench.invariants import Sent, Verdict, verify
from ecomind_query.bench.workload import spans_per_request
from ecomind_receiver.closing import SUMS
from ecomind_receiver.server import Receiver

DAY_SECONDS = 86_400
"""One window over all: that of the last check, which the reconciler's own thread will not touch."""
LATER_SECONDS = 3 * DAY_SECONDS
MEMORY_MAX_MB = 900
"""Of a process in trouble: design.md asks for 700 MB under full load, and the rest is slack."""
GROWTH_MAX_MB = 500
"""Of the test's own process during a trial in it; the engine and what it loads once are in it."""


def trials(soak: int, quick: int = 1) -> pytest.MarkDecorator:
    """`@trials(20)`: argument `number`, 0 in `make test` and 1 to 20 in `make soak`."""
    numbers = [
        pytest.param(n, marks=() if n < quick else pytest.mark.soak, id=str(n))
        for n in range(quick + soak)
    ]
    return pytest.mark.parametrize("number", numbers)


def draw_of(row: str, number: int) -> random.Random:
    """The draws of a trial."""
    return random.Random(f"{SEED} {row} {number}")


class Note:
    """Writes a trial down, then holds it to the invariants."""

    def __init__(self, node: pytest.Item) -> None:
        self._node = node

    def __call__(
        self,
        row: str,
        sent: Sent,
        verdict: Verdict,
        peak: float | Memory,
        trials: int = 1,
    ) -> None:
        """`peak`: of a process of its own, in MB, or the memory of this one."""
        peak_mb = peak.peak_mb if isinstance(peak, Memory) else peak
        size = spans_per_request(sent.mode)
        trial = Trial(
            row=row,
            trials=trials,
            acked_spans=len(sent.acked) * size,
            lost_spans=verdict.lost_requests * size,
            duplicated_spans=verdict.repeated_spans,
            rollup_equal=not verdict.differing_rollup_rows,
            peak_mb=round(peak_mb),
        )
        self._node.user_properties.append((PROPERTY, asdict(trial)))
        assert verdict.failures == []
        assert sent.acked, "nothing was acknowledged: the trial shows nothing"
        if isinstance(peak, Memory):  # other trials were here before, and left something
            assert peak_mb - peak.before_mb < GROWTH_MAX_MB
        else:
            assert peak_mb < MEMORY_MAX_MB


@asynccontextmanager
async def receiving(folder: Path, **values: Any) -> AsyncIterator[Receiver]:
    """A receiver without listeners, whose windows are as long as a day."""
    settings = make_settings(folder, **{"reconcile_window_seconds": DAY_SECONDS, **values})
    receiver = Receiver(settings, listeners=False)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()


async def settle(receiver: Receiver, close_days: bool = True) -> None:
    """Store all that was acknowledged, close every window and, if that is wanted, every day."""
    async with asyncio.timeout(120):
        await receiver.drain()
    assert receiver.status().store_error == ""
    later = time.time() + LATER_SECONDS
    await asyncio.to_thread(receiver.reconciler.close_windows, later)
    if not close_days:
        return
    when = datetime.now(UTC) + timedelta(seconds=LATER_SECONDS)
    await asyncio.to_thread(receiver.closer.close_days, when)


async def judge(
    receiver: Receiver, sent: Sent, exactly: bool = False, close_days: bool = True
) -> Verdict:
    """`settle`, then check the invariants; closed days must hold what the rollup holds."""
    await settle(receiver, close_days)
    verdict = await asyncio.to_thread(verify, receiver.store, sent, exactly=exactly)
    if not close_days:
        return verdict
    sums = ", ".join(f"toInt64(sum({name})) AS {name}_" for name in SUMS)
    closed, rolled = (
        receiver.store.query(f"SELECT {sums} FROM {table}")
        for table in ("closed_usage", "usage_hourly")
    )
    verdict.expect(closed, rolled, "sums of closed days")
    return verdict


def judged(folder: Path, sent: Sent, **values: Any) -> Verdict:
    """Start on the folder again and judge what is there."""

    async def judging() -> Verdict:
        async with receiving(folder, **values) as receiver:
            return await judge(receiver, sent)

    return asyncio.run(judging())


class Memory:
    """Resident memory of this process, in MB: when the object was made, and the highest since."""

    def __init__(self) -> None:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): the peak starts from here
        self.before_mb = _of("self", "VmRSS:")

    @property
    def peak_mb(self) -> float:
        return _of("self", "VmHWM:")


def watched_peak_mb(process: subprocess.Popen[bytes]) -> float:
    """Wait for a process to end: its highest resident memory, looked at often, in MB.

    What the system says of it afterwards counts the memory of the process that it was forked from.
    """
    highest = 0.0
    while process.poll() is None:
        with contextlib.suppress(OSError, StopIteration):
            highest = max(highest, _of(process.pid, "VmHWM:"))
        time.sleep(0.02)
    return highest


def _of(process: int | str, name: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return next(int(x.split()[1]) * 1024 / 1e6 for x in lines if x.startswith(name))

"""A store that is down for long or slow, records it can't read, and a backfill of 120 days."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from failure.sending import Sender
from failure.trials import Memory, Note, draw_of, judge, receiving, trials

from ecomind_query.health import readiness_of
from ecomind_receiver import loader
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import MIB
from ecomind_receiver.store import Store
from ecomind_receiver.telemetry import prometheus_text
from ecomind_receiver.tenants import LOCAL

DAY_SECONDS = 86_400
BACKFILL_DAYS = 120


class Trouble:
    """What stands between the loader and the store: nothing, an error, or a delay."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.down = False
        self.delay_seconds = 0.0
        command = Store.command

        def troubled(store: Store, sql: str, params: Mapping[str, object] | None = None) -> None:
            time.sleep(self.delay_seconds)
            if self.down:
                raise ConnectionError("the store is away")
            command(store, sql, params)

        patch.setattr(Store, "command", troubled)


@pytest.fixture
def trouble(monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """And a loader that tries again soon: an hour of outage is to fit into a second."""
    monkeypatch.setattr(loader, "_MIN_BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(loader, "_MAX_BACKOFF_SECONDS", 0.1)
    return Trouble(monkeypatch)


@trials(20)
def test_the_store_is_down_for_long_and_comes_back(
    begun: Path, note: Note, trouble: Trouble, number: int
) -> None:
    row, memory = "store down for long and back", Memory()
    draw = draw_of(row, number)

    async def trial() -> None:
        async with receiving(begun, spool_max_bytes=3 * MIB) as receiver:
            sender = Sender(receiver, number + 1, begun / "acknowledged", draw)
            await sender.send(draw.randint(1, 10))
            trouble.down = True
            while not sender.refused:
                await sender.send(10, until_taken=False)
            await _tried(receiver, draw.randint(10, 30))
            _says_that_the_store_is_away(receiver)
            assert receiver.spool.size_bytes <= 3 * MIB
            trouble.down = False
            await sender.send(draw.randint(1, 20))
            verdict = await judge(receiver, sender.sent, exactly=True)
            note(row, sender.sent, verdict, memory)

    asyncio.run(trial())


async def _tried(receiver: Receiver, times: int) -> None:
    while receiver.status().load_failures < times:
        await asyncio.sleep(0.01)


def _says_that_the_store_is_away(receiver: Receiver) -> None:
    status = receiver.status()
    assert "the store is away" in status.store_error
    assert "since" in status.store_error
    assert not readiness_of(status).parts["store"].ready
    assert status.not_now["spool_full"] > 0
    text = prometheus_text(receiver)
    assert _value(text, "ecomind_spool_limit") == 3 * MIB
    assert _value(text, 'ecomind_refusal_cause="spool_full"') == status.not_now["spool_full"]
    assert _value(text, "ecomind_loader_failures") >= 10


def _value(text: str, of: str) -> float:
    """The first value in a page of metrics whose line holds `of`."""
    return next(float(x.split()[-1]) for x in text.splitlines() if of in x and x[0] != "#")


@trials(20)
def test_a_slow_store_slows_its_clients_down(
    begun: Path, note: Note, trouble: Trouble, number: int
) -> None:
    row, memory = "slow store", Memory()
    draw = draw_of(row, number)

    async def trial() -> None:
        async with receiving(begun, spool_max_bytes=2 * MIB) as receiver:
            sender = Sender(receiver, number + 1, begun / "acknowledged", draw)
            trouble.delay_seconds = draw.uniform(0.02, 0.06)
            for _ in range(6):
                await sender.send(10)
                assert receiver.spool.size_bytes <= 2 * MIB
            trouble.delay_seconds = 0.0
            verdict = await judge(receiver, sender.sent, exactly=True)
            note(row, sender.sent, verdict, memory)

    asyncio.run(trial())


POISON = b"\x0a\x21\x12\x1f\x12\x1d\x0a\x10%16s\x12\x08%8s\xff"
"""A request of one span that ends in the middle of a field, in a sound frame."""


@trials(20)
def test_poison_among_the_load_is_set_aside(begun: Path, note: Note, number: int) -> None:
    row, memory = "poison records under load", Memory()
    draw = draw_of(row, number)
    poisons = draw.randint(1, 12)

    async def poison(receiver: Receiver) -> None:
        for _ in range(poisons):
            await asyncio.sleep(draw.uniform(0, 0.05))
            body = POISON % (draw.randbytes(16), draw.randbytes(8))
            await receiver.accept(LOCAL, body, PROTOBUF)

    async def trial() -> None:
        async with receiving(begun) as receiver:
            sender = Sender(receiver, number + 1, begun / "acknowledged", draw)
            await asyncio.gather(poison(receiver), sender.send(draw.randint(10, 30)))
            verdict = await judge(receiver, sender.sent, exactly=True)
            status = receiver.status()
            assert status.quarantine_kept == status.quarantined_records == poisons
            told = receiver.store.query(
                "SELECT toInt64(sum(spans)) AS n FROM span_outcomes WHERE outcome = 'quarantined'"
            )
            assert told[0]["n"] == status.dropped_spans["quarantined"] == poisons
            assert f"{poisons} records" in readiness_of(status).parts["quarantine"].detail
            note(row, sender.sent, verdict, memory)

    asyncio.run(trial())


@trials(20)
def test_a_backfill_of_120_days(tmp_path: Path, note: Note, number: int) -> None:
    """All days at once and in disorder: a part for each; in every fifth trial each is closed."""
    row, memory = "backfill of 120 days", Memory()
    draw = draw_of(row, number)

    async def trial() -> None:
        async with receiving(
            tmp_path, retention_days=150, spool_segment_max_seconds=draw.choice((0.2, 1.0, 5.0))
        ) as receiver:
            sender = Sender(receiver, number + 1, tmp_path / "acknowledged", draw)
            days = draw.sample(range(BACKFILL_DAYS), BACKFILL_DAYS)
            for some in (days[n : n + 10] for n in range(0, BACKFILL_DAYS, 10)):
                await asyncio.gather(*(_of_day(sender, day, draw) for day in some))
            close_days = number % 5 == 4
            verdict = await judge(receiver, sender.sent, exactly=True, close_days=close_days)
            found: dict[str, Any] = receiver.store.query(
                "SELECT uniqExact(toDate(start_time, 'UTC')) AS days FROM calls"
            )[0]
            verdict.expect(found["days"] >= BACKFILL_DAYS, True, "120 days are there")
            note(row, sender.sent, verdict, memory)

    asyncio.run(trial())


async def _of_day(sender: Sender, day: int, draw: random.Random) -> None:
    await sender.send(1, day * DAY_SECONDS + draw.uniform(0, DAY_SECONDS / 2))

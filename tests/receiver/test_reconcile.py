"""Corrections across windows, and a reconcile job that stops where it hurts most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.outcomes import Outcome, outcomes, running
from support.spans import NS, B, Span, bodies, send

from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.kinds import Kind
from ecomind_receiver.receivers import Receivers
from ecomind_receiver.reconcile import Reconciler
from ecomind_receiver.server import Receiver
from ecomind_receiver.spool import envelope
from ecomind_receiver.tenants import Tenant

HOUR = 3600
ID = "gen_ai.response.id"


def test_a_span_sent_again_an_hour_later_is_stored_once(tmp_path: Path) -> None:
    sent = Span(1), Span(2, start=2)

    async def scenario() -> Outcome:
        async with running(tmp_path) as receiver:
            for ago_hours, spans in ((3, sent), (2, sent[:1]), (1, sent[1:])):
                await receive(receiver, ago_hours, spans)
            assert receiver.reconciler.close_windows(time.time() + 2 * HOUR) == 3
            return outcomes(receiver)["org"]

    outcome = asyncio.run(scenario())
    assert outcome.reasons == {1: "", 2: ""}
    assert outcome.sums == outcome.rollup == (2, 2400, 690, 0, 0, 0)


async def receive(receiver: Receiver, ago_hours: float, spans: Sequence[Span]) -> None:
    """Spool spans as if they had been received then, in a segment of their own."""
    received_ns = time.time_ns() - int(ago_hours * HOUR * NS)
    for body, _ in bodies(spans):
        record = envelope(Tenant("org", "default"), received_ns, (1, 2), body, Kind.TRACES)
        await receiver.spool.append("org", record, 1, Kind.TRACES)
    await receiver.drain()


LANGCHAIN = "opentelemetry.instrumentation.langchain"
HOLDS_128 = Span(
    1, trace=7, scope=LANGCHAIN, tokens=None, seconds=3,
    more={
        "gen_ai.operation.name": "invoke_workflow",
        "traceloop.entity.output": '{"completion_tokens_details": {"reasoning_tokens": 128}}',
    },
)  # fmt: skip
LACKS = Span(2, trace=7, parent=1, scope=LANGCHAIN, start=1)
ESTIMATE = 86  # a quarter of 345


def test_a_count_that_a_container_holds_is_lent_once(tmp_path: Path) -> None:
    """The second call arrives with the container, the first before it: nobody knows whose it is."""
    other = replace(LACKS, id=3, start=2)

    async def scenario() -> Outcome:
        async with running(tmp_path) as receiver:
            for spans in ([LACKS], [HOLDS_128, other]):
                await send(receiver, "org", spans)
                await receiver.drain()
            receiver.reconciler.close_windows(time.time() + 2 * HOUR)
            return outcomes(receiver)["org"]

    outcome = asyncio.run(scenario())
    assert outcome.sums == outcome.rollup == (2, 2400, 690, 0, 0, 128 + ESTIMATE)


def test_what_a_closed_window_holds_is_lent_nothing(tmp_path: Path) -> None:
    async def scenario() -> Outcome:
        async with running(tmp_path, reconcile_window_seconds=HOUR) as receiver:
            await receive(receiver, 3, [LACKS])
            await receive(receiver, 2, [HOLDS_128])
            assert receiver.reconciler.close_windows(time.time() + 2 * HOUR) == 2
            return outcomes(receiver)["org"]

    outcome = asyncio.run(scenario())
    assert outcome.sums == outcome.rollup == (1, 1200, 345, 0, 0, ESTIMATE)


MONTH = 31 * 24 * HOUR
TWINS_OF_TWO_MONTHS = [Span(1, more={ID: "r1"}), Span(2, start=-MONTH, more={ID: "r2"})]
OTHER_TWINS = [
    Span(11, scope=B, start=0.001, more={ID: "r1"}),  # the first to start stands
    Span(12, scope=B, start=0.001 - MONTH, more={ID: "r2"}),
]
ONCE = (2, 2400, 690, 0, 0, 0)


@asynccontextmanager
async def twins_in_two_segments(tmp_path: Path) -> AsyncIterator[Receiver]:
    """A receiver that has stored them, and whose own reconcile job has stopped."""
    async with running(tmp_path) as receiver:
        receiver.reconciler.stop()
        for spans in (TWINS_OF_TWO_MONTHS, OTHER_TWINS):
            await send(receiver, "org", spans)
            await receiver.drain()
        yield receiver


class Stopped(Exception):
    """The process ends here."""


def before_correcting(stopped: Reconciler, receiver: Receiver, patch: pytest.MonkeyPatch) -> None:
    """The corrections are written down, and that is all."""

    def stop(window: dict[str, object]) -> None:
        raise Stopped

    patch.setattr(stopped, "_correct", stop)


def after_one_month(stopped: Reconciler, receiver: Receiver, patch: pytest.MonkeyPatch) -> None:
    """The first of two months is corrected."""
    command, corrected = receiver.store.command, []

    def stop(sql: str, params: Mapping[str, object] | None = None) -> None:
        if "INSERT INTO calls" in sql:
            corrected.append(sql)
            if len(corrected) == 2:
                raise Stopped
        command(sql, params)

    patch.setattr(receiver.store, "command", stop)


def after_all_months(stopped: Reconciler, receiver: Receiver, patch: pytest.MonkeyPatch) -> None:
    """All is corrected, but the window is not marked as closed."""
    insert = receiver.store.insert

    def stop(table: str, *args: Any) -> None:
        if table == "reconciled":
            raise Stopped
        insert(table, *args)

    patch.setattr(receiver.store, "insert", stop)


@pytest.mark.parametrize("how", [before_correcting, after_one_month, after_all_months])
def test_a_reconcile_job_that_stopped_is_made_good_by_the_next(
    tmp_path: Path, how: Callable[[Reconciler, Receiver, pytest.MonkeyPatch], None]
) -> None:
    later = time.time() + 2000

    async def scenario() -> tuple[Outcome, Outcome, int]:
        async with twins_in_two_segments(tmp_path) as receiver:
            with pytest.MonkeyPatch.context() as patch, job(receiver) as stopped:
                how(stopped, receiver, patch)
                with pytest.raises(Stopped):
                    stopped.close_windows(later)
            between = outcomes(receiver)["org"]
            with job(receiver) as following:
                following.close_windows(later)
                assert following.close_windows(later) == 0
            written = receiver.store.query("SELECT count() AS n FROM corrections")
            return between, outcomes(receiver)["org"], written[0]["n"]

    between, outcome, written = asyncio.run(scenario())
    assert between.sums == between.rollup == STOPPED_AT[how.__name__]
    assert outcome.sums == outcome.rollup == ONCE
    assert outcome.reasons == {1: "", 2: "", 11: "duplicate", 12: "duplicate"}
    assert written == 4 + 1  # two spans out, in again as not counted; that it was decided


STOPPED_AT = {
    "before_correcting": (4, 4800, 1380, 0, 0, 0),
    "after_one_month": (3, 3600, 1035, 0, 0, 0),
    "after_all_months": ONCE,
}
"""What is summed while the job is down: too much, but the rollup and the calls agree."""


def test_a_settling_that_stopped_is_made_good_by_the_next(tmp_path: Path) -> None:
    async def scenario() -> Outcome:
        async with twins_in_two_segments(tmp_path) as receiver:
            with pytest.MonkeyPatch.context() as patch, job(receiver) as stopped:
                after_one_month(stopped, receiver, patch)
                with pytest.raises(Stopped):
                    stopped.settle()
            with job(receiver) as following:
                following.settle()
                following.close_windows(time.time() + 2000)
            return outcomes(receiver)["org"]

    outcome = asyncio.run(scenario())
    assert outcome.sums == outcome.rollup == ONCE
    assert outcome.reasons == {1: "", 2: "", 11: "duplicate", 12: "duplicate"}


@contextmanager
def job(receiver: Receiver) -> Iterator[Reconciler]:
    """A reconcile job of its own, as a process that was started again has one."""
    catalogue = Catalogue(receiver.store, receiver.factors, 1000)
    alone = Receivers(receiver.store, receiver.settings.data_dir)
    made = Reconciler(receiver.settings, receiver.store, receiver.spool, catalogue, alone)
    try:
        yield made
    finally:
        made.stop()

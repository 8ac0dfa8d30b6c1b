"""`ecomind bench fairness` as a user runs it, in slices of a second; its sender; its checks."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench.sink import Sink, reply

from ecomind_query.bench.fairness import NOISY_ROWS, QUIET_ROWS
from ecomind_query.bench.invariants import Verdict, read_report
from ecomind_query.bench.neighbours import check_answers
from ecomind_query.bench.open_loop import Outcome, Sender, Slice
from ecomind_query.bench.sources import source
from ecomind_query.bench.workload import Mode, Variant


@pytest.mark.soak
def test_it_measures_alone_and_beside_and_the_invariants_hold(tmp_path: Path) -> None:
    options = ["--json", "--seconds", "3", "--warmup", "1", "--data-dir", str(tmp_path / "b")]
    done = subprocess.run(
        [sys.executable, "-m", "ecomind_query", "bench", "fairness", *options],
        capture_output=True,
        text=True,
        timeout=150,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["invariants"]["failures"] == []
    for kind in ("alone", "beside"):
        assert set(result[kind]) == {name for name, _, _ in QUIET_ROWS}
        assert (
            result[kind]["ack_ms_p50"] <= result[kind]["ack_ms_p99"] <= result[kind]["ack_ms_max"]
        )
        assert 0 < result[kind]["requests"] <= 60  # three times the half second that counts
    noisy = result["noisy"]
    assert set(noisy) == {name for name, _, _ in NOISY_ROWS}
    assert noisy["refused_requests"] > noisy["granted_requests"] > 0
    assert noisy["without_retry_after"] == 0


def _send(
    answer: Callable[[int], bytes], tmp_path: Path, *slices: float, rate: float = 50.0
) -> tuple[Sender, Sink, float]:
    """A sender over two connections, one slice after the other, each of so many seconds."""

    async def go() -> tuple[Sender, Sink, float]:
        async with Sink(answer) as sink:
            host, port = sink.url.removeprefix("http://").split(":")
            requests = source(Mode.SMALL, Variant.PLAIN, 1, f"{host}:{port}", ["eco_a"])
            with (tmp_path / "report").open("ab", buffering=0) as report:
                sender = Sender(requests, (host, int(port)), 2, rate, report)
                begins_at = time.monotonic()
                for seconds in slices:
                    part = Slice(time.monotonic(), time.monotonic() + seconds)
                    await asyncio.to_thread(sender.run, part)
            return sender, sink, begins_at

    return asyncio.run(go())


def test_a_sender_keeps_to_its_timetable(tmp_path: Path) -> None:
    sender, sink, begins_at = _send(lambda _: reply(200), tmp_path, 0.2)
    assert sender.planned == sender.sent == len(sink.received) == 10
    planned = sorted(one.planned_at for one in sender.outcomes)
    assert [round((at - planned[0]) * 1000) for at in planned] == [*range(0, 200, 20)]
    assert planned[0] >= begins_at
    assert all(0 <= one.sent_late_ms <= one.answered_ms for one in sender.outcomes)
    assert b"authorization: bearer eco_a\r\n" in sink.received[0].head
    assert read_report(tmp_path / "report") == frozenset(range(10))


def test_a_refused_request_is_neither_reported_nor_sent_again(tmp_path: Path) -> None:
    over_quota = reply(429, b"retry-after: 30")
    sender, sink, _ = _send(
        lambda number: over_quota if number % 2 else reply(200), tmp_path, 0.2, 0.2
    )
    assert len(sink.received) == len({one.body for one in sink.received}) == 20
    assert sorted((one.status, one.retry_after_seconds) for one in sender.outcomes) == [
        *[(200, None)] * 10, *[(429, 30.0)] * 10,
    ]  # fmt: skip
    assert len(read_report(tmp_path / "report")) == 10


def test_waiting_for_a_free_connection_counts(tmp_path: Path) -> None:
    def slow(_: int) -> bytes:
        time.sleep(0.05)  # the server does nothing else meanwhile
        return reply(200)

    sender, _, _ = _send(slow, tmp_path, 0.5, rate=100.0)
    assert sender.sent < sender.planned == 50
    last = max(sender.outcomes, key=lambda one: one.planned_at)
    assert last.sent_late_ms > 50  # 100 a second were due, 20 a second were served


def test_a_connection_that_breaks_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match="hung up"):
        _send(lambda _: b"", tmp_path, 0.1)


def _outcome(status: int, planned_at: float, wait_seconds: float | None = None) -> Outcome:
    return Outcome(planned_at, 0.0, 0.0, status, wait_seconds)


# 1,000 spans at once and 1,000 a second: 512 pass at 0 s and 1,024 by 0.024 s, not before
QUIET = [_outcome(200, 0.0)]
DUE = [_outcome(200, 0.0), _outcome(429, 0.01, 1.0), _outcome(200, 0.024)]
HASTY = [_outcome(200, 0.0), _outcome(200, 0.023)]


@pytest.mark.parametrize(
    ("quiet", "noisy", "failures"),
    [
        (QUIET, DUE, []),
        ([_outcome(429, 0.0, 1.0)], DUE, ["answers to the quiet organisation that were not due"]),
        (QUIET, [_outcome(503, 0.0)], ["answers to the noisy organisation that were not due"]),
        (QUIET, [_outcome(429, 0.0)], ["refusals without Retry-After"]),
        (QUIET, HASTY, ["requests granted to the noisy organisation beyond its quota"]),
    ],
)
def test_answers_that_were_not_due_are_seen(
    quiet: list[Outcome], noisy: list[Outcome], failures: list[str]
) -> None:
    verdict = Verdict()
    check_answers(quiet, noisy, verdict)
    assert verdict.failures == [f"{failure}: 1, not 0" for failure in failures]

"""Two organisations on one server: a quiet one, and one that sends a hundred times its quota.

Slices with the quiet one alone and slices with both alternate within one run, mirrored pair by
pair, because on a shared machine the minute in which one measures decides more than what one
measures. Both send by a timetable from processes of their own, so neither slows down for the
other, and the start of each slice is not counted: what the slice before it left is still going on.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

from ecomind_query.bench.generator import quantiles
from ecomind_query.bench.invariants import Sent, Verdict, read_report, verify
from ecomind_query.bench.measure import DRAIN_SECONDS, await_event, child, new_seed
from ecomind_query.bench.open_loop import DONE, READY, Outcome, Slice
from ecomind_query.bench.organisations import Organisation, keyed_server
from ecomind_query.bench.process import Server, ServerError
from ecomind_query.bench.workload import Mode, spans_per_request
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store

ALONE, BESIDE = "alone", "beside"
PAIRS = 3
"""Slices of each kind."""

QUOTA_SPANS_PER_S, BURST_SPANS, TIMES_OVER = 1_000, 1_000, 100
SETTLE_SECONDS = 0.5
_LEAD_SECONDS = 0.3
"""From the moment the timetable is known until it begins."""


class Part(NamedTuple):
    """One of the two senders."""

    organisation: Organisation
    mode: Mode
    requests_per_s: float
    connections: int


QUIET = Part(Organisation("bench_quiet"), Mode.SMALL, 40.0, 4)
NOISY = Part(
    Organisation("bench_noisy", QUOTA_SPANS_PER_S, BURST_SPANS),
    Mode.BATCH,
    QUOTA_SPANS_PER_S * TIMES_OVER / spans_per_request(Mode.BATCH),
    8,
)


@dataclass(frozen=True)
class Latencies:
    """Of the quiet organisation's requests, in ms from the planned moment to the answer."""

    requests: int
    ack_ms_p50: float
    ack_ms_p95: float
    ack_ms_p99: float
    ack_ms_max: float
    sent_late_ms_p99: float
    server_cpu_percent: float


@dataclass(frozen=True)
class Noise:
    """What became of the noisy organisation's requests."""

    quota_spans_per_s: float
    burst_spans: int
    offered_spans_per_s: float
    granted_spans_per_s: float
    granted_requests: int
    refused_requests: int
    without_retry_after: int
    cpu_us_per_span: float


@dataclass(frozen=True)
class Result:
    """The figures of one run; percentages are of one core.

    A request is unsent if the run was over before a connection was free for it.
    """

    alone: Latencies
    beside: Latencies
    p99_ratio: float
    quiet_unsent: int
    noisy: Noise
    invariants: dict[str, Any]

    @property
    def sound(self) -> bool:
        """Whether every invariant holds."""
        return not self.invariants["failures"]


@dataclass(frozen=True)
class Told:
    """What a sender says of itself when it is done."""

    planned_requests: int
    sent_requests: int
    outcomes: tuple[Outcome, ...]
    cpu_seconds: float


@dataclass(frozen=True)
class _Watched:
    """A run as it was seen: its slices, and what the server and both senders did."""

    slices: Sequence[tuple[str, Slice]]
    server_cpu_percent: Sequence[float]
    quiet: Told
    noisy: Told


def measure(seconds: float, warmup_seconds: float, folder: Path) -> Result:
    """Run `seconds` of each kind in `folder`, which must be empty. Raises ServerError."""
    server, keys = keyed_server(folder, [QUIET.organisation, NOISY.organisation])
    texts = keys.read_text().split()
    seeds = [new_seed(), new_seed()]
    server.start()
    try:
        with ExitStack() as stack:
            senders = [
                stack.enter_context(_sender(server, part, seed, text))
                for part, seed, text in zip((QUIET, NOISY), seeds, texts, strict=True)
            ]
            stack.callback(_end, senders)
            watched = _watch(server, senders, kinds(), seconds / PAIRS, warmup_seconds)
        server.wait_drained(DRAIN_SECONDS)
    finally:
        server.stop()
    return _result(watched, _verified(server, watched, seeds))


def kinds() -> list[str]:
    """The kind of each slice: pairs, every second one the other way round."""
    pairs = ([ALONE, BESIDE], [BESIDE, ALONE])
    return [kind for number in range(PAIRS) for kind in pairs[number % 2]]


def _sender(server: Server, part: Part, seed: int, key: str) -> subprocess.Popen[str]:
    org = part.organisation.org_id
    keys = server.folder / f"{org}.key"
    keys.touch(0o600)
    keys.write_text(key)
    options = {
        "--url": server.addresses["otlp_http"],
        "--rate": part.requests_per_s,
        "--connections": part.connections,
        "--mode": part.mode,
        "--seed": seed,
        "--keys": keys,
        "--report": _report(server, part),
    }
    return child("ecomind_query.bench.open_loop", options)


def _report(server: Server, part: Part) -> Path:
    return server.folder / f"{part.organisation.org_id}.acknowledged"


def _end(senders: Sequence[subprocess.Popen[str]]) -> None:
    """Make sure that none is left; one that has told its totals is over anyway."""
    for sender in senders:
        sender.kill()


def _watch(
    server: Server,
    senders: Sequence[subprocess.Popen[str]],
    kinds: Sequence[str],
    slice_seconds: float,
    warmup_seconds: float,
) -> _Watched:
    """Give both their timetables, and look at the server wherever a slice ends."""
    for sender in senders:
        assert sender.stdout is not None
        await_event(sender.stdout, READY)
    begins_at = time.monotonic() + _LEAD_SECONDS
    ends = [begins_at + warmup_seconds + n * slice_seconds for n in range(len(kinds) + 1)]
    kept = [Slice(*one) for one in pairwise(ends)]
    slices = list(zip(kinds, kept, strict=True))
    warmup = Slice(begins_at, ends[0])
    _tell(senders[0], [Slice(begins_at, ends[-1])])
    _tell(senders[1], [warmup, *(one for kind, one in slices if kind == BESIDE)])
    cpu_percent = [_cpu_percent(server, one) for one in kept]
    quiet, noisy = (_told(sender) for sender in senders)
    return _Watched(slices, cpu_percent, quiet, noisy)


def _tell(sender: subprocess.Popen[str], slices: Sequence[Slice]) -> None:
    assert sender.stdin is not None
    try:
        sender.stdin.write(json.dumps(slices) + "\n")
        sender.stdin.flush()
    except BrokenPipeError as error:
        raise ServerError("a sender ended early; its error is above") from error


def _told(sender: subprocess.Popen[str]) -> Told:
    assert sender.stdout is not None
    done = await_event(sender.stdout, DONE)
    outcomes = tuple(Outcome(*one) for one in done["outcomes"])
    return Told(done["planned_requests"], done["sent_requests"], outcomes, done["cpu_seconds"])


def _cpu_percent(server: Server, part: Slice) -> float:
    """What the server used of one core in this slice; returns when it is over."""
    time.sleep(max(part.begins_at - time.monotonic(), 0))
    before, begun_at = server.cpu_seconds(), time.monotonic()
    time.sleep(max(part.ends_at - time.monotonic(), 0))
    return (server.cpu_seconds() - before) / (time.monotonic() - begun_at) * 100


def _verified(server: Server, watched: _Watched, seeds: Sequence[int]) -> Verdict:
    """Exactly what was acknowledged is stored, and the quota was kept to."""
    pairs = ((QUIET, watched.quiet), (NOISY, watched.noisy))
    senders = [
        Sent(
            seed,
            part.mode,
            told.sent_requests,
            read_report(_report(server, part)),
            (part.organisation.org_id,),
        )
        for seed, (part, told) in zip(seeds, pairs, strict=True)
    ]
    store = Store(Settings.model_validate(server.folders))
    try:
        verdict = verify(store, *senders, exactly=True)
    finally:
        store.close()
    check_answers(watched.quiet.outcomes, watched.noisy.outcomes, verdict)
    return verdict


def check_answers(quiet: Sequence[Outcome], noisy: Sequence[Outcome], verdict: Verdict) -> None:
    """The quiet one is never refused; the noisy one keeps to its quota and is told when to return.

    From its first request to any later answer it gets no more than burst + quota × time.
    """
    for sender, outcomes, due in (("quiet", quiet, (200,)), ("noisy", noisy, (200, 429))):
        others = sum(one.status not in due for one in outcomes)
        verdict.expect(others, 0, f"answers to the {sender} organisation that were not due")
    hasty = sum(one.status == 429 and not one.retry_after_seconds for one in noisy)
    verdict.expect(hasty, 0, "refusals without Retry-After")
    granted = sorted(_answered_at(one) for one in noisy if one.status == 200)
    size = spans_per_request(NOISY.mode)
    began_at = min((one.planned_at for one in noisy), default=0.0)
    over = sum(
        number * size > BURST_SPANS + QUOTA_SPANS_PER_S * (at - began_at)
        for number, at in enumerate(granted, start=1)
    )
    verdict.expect(over, 0, "requests granted to the noisy organisation beyond its quota")


def _answered_at(one: Outcome) -> float:
    return one.planned_at + one.answered_ms / 1000


def _result(watched: _Watched, verdict: Verdict) -> Result:
    alone, beside = (_latencies(watched, kind) for kind in (ALONE, BESIDE))
    ratio = round(beside.ack_ms_p99 / alone.ack_ms_p99, 3) if alone.ack_ms_p99 else 0.0
    unsent = watched.quiet.planned_requests - watched.quiet.sent_requests
    return Result(alone, beside, ratio, unsent, _noise(watched), asdict(verdict))


def _latencies(watched: _Watched, kind: str) -> Latencies:
    slices = [one for found, one in watched.slices if found == kind]
    own = [
        one
        for one in watched.quiet.outcomes
        if any(part.begins_at + SETTLE_SECONDS <= one.planned_at < part.ends_at for part in slices)
    ]
    cpu = zip(watched.slices, watched.server_cpu_percent, strict=True)
    percents = [percent for (found, _), percent in cpu if found == kind]
    found = quantiles([one.answered_ms for one in own])
    return Latencies(
        len(own),
        **{f"ack_ms_{name}": found.get(name, 0.0) for name in ("p50", "p95", "p99", "max")},
        sent_late_ms_p99=quantiles([one.sent_late_ms for one in own]).get("p99", 0.0),
        server_cpu_percent=round(mean(percents), 1),
    )


def _noise(watched: _Watched) -> Noise:
    """Over the slices beside; the warm-up, in which the burst is spent, is left out."""
    slices = [one for kind, one in watched.slices if kind == BESIDE]
    seconds = sum(one.ends_at - one.begins_at for one in slices)
    begins_at, told = slices[0].begins_at, watched.noisy
    statuses = Counter(one.status for one in told.outcomes if one.planned_at >= begins_at)
    spans = spans_per_request(NOISY.mode)
    return Noise(
        quota_spans_per_s=QUOTA_SPANS_PER_S,
        burst_spans=BURST_SPANS,
        offered_spans_per_s=round(statuses.total() * spans / seconds, 1),
        granted_spans_per_s=round(statuses[200] * spans / seconds, 1),
        granted_requests=statuses[200],
        refused_requests=statuses[429],
        without_retry_after=sum(
            one.status == 429 and not one.retry_after_seconds for one in told.outcomes
        ),
        cpu_us_per_span=round(told.cpu_seconds / max(len(told.outcomes) * spans, 1) * 1e6, 2),
    )

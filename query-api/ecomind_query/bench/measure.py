"""One measured phase: a fresh server, the generator beside it, the figures, then the invariants.

The server is watched from outside. Its processor time runs from the first request until the last
span is stored and is shared among all spans, so that work put off into a backlog is paid for.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from ecomind_query.bench.generator import DONE, MEASURING
from ecomind_query.bench.invariants import Sent, Verdict, read_report, verify
from ecomind_query.bench.organisations import OPEN, Organisation, keyed_server
from ecomind_query.bench.process import Counters, Server, ServerError
from ecomind_query.bench.workload import Mode, Variant
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL

DRAIN_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """What to run."""

    mode: Mode
    variant: Variant
    seconds: float
    warmup_seconds: float
    connections: int
    organisations: tuple[Organisation, ...] = ()
    """Whose keys the requests carry, in turn; none: the server asks for no keys."""

    @property
    def orgs(self) -> tuple[str, ...]:
        """Where the calls are stored."""
        return tuple(one.org_id for one in self.organisations) or (LOCAL.org_id,)


@dataclass(frozen=True)
class Result:
    """The figures of one phase. Spans are of the whole phase, rates of the measured window.

    The sustained rate is of the whole phase, from the first request until the last span is stored:
    nothing is left for later in it.
    """

    mode: str
    variant: str
    acked_spans: int
    stored_spans: int
    rollup_spans: int
    dropped_spans: int
    requests_per_s: float
    spans_per_s_acked: float
    spans_per_s_stored: float
    spans_per_s_sustained: float
    cpu_us_per_span: float
    generator_cpu_us_per_span: float
    ack_ms_p50: float
    ack_ms_p95: float
    ack_ms_p99: float
    ack_ms_max: float
    backlog_at_end_s: float
    rss_mb_peak: float
    bytes_per_call_on_disk: float
    requests_refused: int
    invariants: dict[str, Any]

    @property
    def sound(self) -> bool:
        """Whether every invariant holds."""
        return not self.invariants["failures"]


@dataclass(frozen=True)
class _Sample:
    """The server at one moment."""

    at: float
    cpu_seconds: float
    counters: Counters

    @classmethod
    def of(cls, server: Server) -> _Sample:
        return cls(time.monotonic(), server.cpu_seconds(), server.counters())


@dataclass(frozen=True)
class _Watched:
    """A finished run of the generator and the server around it."""

    totals: dict[str, Any]
    idle: _Sample
    start: _Sample
    end: _Sample
    drained: _Sample
    rss_mb_peak: float


def measure(plan: Plan, folder: Path) -> Result:
    """Run one phase in `folder`, which must be empty. Raises ServerError."""
    seed = new_seed()
    report = folder / "acknowledged"
    server, keys = _server(plan, folder)
    server.start()
    try:
        idle = _Sample.of(server)
        watched = _watch(server, idle, _generator(plan, server, seed, report, keys))
    finally:
        server.stop()
    sent = Sent(seed, plan.mode, watched.totals["sent_requests"], read_report(report), plan.orgs)
    store = Store(Settings.model_validate(server.folders))
    try:
        verdict = verify(store, sent, exactly=True)
        bytes_per_call = _bytes_per_call(store)
    finally:
        store.close()
    return _result(plan, watched, verdict, bytes_per_call)


def received(server: Server, seconds: float) -> dict[str, float]:
    """What receiving costs a server that runs already, at full speed for so long."""
    plan = Plan(Mode.BATCH, Variant.PLAIN, seconds, 2.0, 8)
    idle = _Sample.of(server)
    report = server.folder / "received"
    watched = _watch(server, idle, _generator(plan, server, new_seed(), report, None))
    spans, drained = watched.totals["acked_spans"], watched.drained
    took_seconds = drained.at - watched.start.at + plan.warmup_seconds
    return {
        "cpu_us_per_span": _us_per_span(drained.cpu_seconds - idle.cpu_seconds, spans),
        "spans_per_s_sustained": round(spans / took_seconds, 1),
    }


def new_seed() -> int:
    """A seed for the ids of one generator: 64 bits, the first of them 01."""
    return secrets.randbits(62) | 1 << 62


def _server(plan: Plan, folder: Path) -> tuple[Server, Path | None]:
    if plan.organisations:
        return keyed_server(folder, plan.organisations)
    return Server(folder, dict(OPEN)), None


def _generator(
    plan: Plan, server: Server, seed: int, report: Path, keys: Path | None
) -> subprocess.Popen[str]:
    options = {
        "--url": server.addresses["otlp_http"],
        "--seconds": plan.seconds,
        "--warmup": plan.warmup_seconds,
        "--connections": plan.connections,
        "--mode": plan.mode,
        "--variant": plan.variant,
        "--seed": seed,
        "--report": report,
        **({"--keys": keys} if keys else {}),
    }
    return child("ecomind_query.bench.generator", options)


def child(module: str, options: Mapping[str, object]) -> subprocess.Popen[str]:
    """A process of our own that tells its events on stdout."""
    command = [sys.executable, "-m", module]
    command += [str(part) for option in options.items() for part in option]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _watch(server: Server, idle: _Sample, generator: subprocess.Popen[str]) -> _Watched:
    with generator:
        assert generator.stdout is not None
        try:
            await_event(generator.stdout, MEASURING)
            start = _Sample.of(server)
            totals = await_event(generator.stdout, DONE)
            end = _Sample.of(server)
        except BaseException:
            generator.kill()
            raise
    server.wait_drained(DRAIN_SECONDS)
    return _Watched(totals, idle, start, end, _Sample.of(server), server.memory_mb(peak=True))


def await_event(lines: IO[str], name: str) -> dict[str, Any]:
    """A generator's next event. Raises ServerError if it is another, or there is none."""
    line = lines.readline()
    event: dict[str, Any] = json.loads(line) if line else {}
    if event.get("event") != name:
        raise ServerError("the load generator ended early; its error is above")
    return event


def _bytes_per_call(store: Store) -> float:
    row = store.query(
        "SELECT sum(bytes_on_disk) AS bytes, sum(rows) AS n FROM system.parts"
        " WHERE database = currentDatabase() AND table = 'calls' AND active"
    )[0]
    return round(int(row["bytes"]) / max(int(row["n"]), 1), 1)


def _result(plan: Plan, watched: _Watched, verdict: Verdict, bytes_per_call: float) -> Result:
    totals, start, end, drained = watched.totals, watched.start, watched.end, watched.drained
    cpu_seconds = drained.cpu_seconds - watched.idle.cpu_seconds
    stored_in_window = end.counters.stored_spans - start.counters.stored_spans
    ack_ms = {name: totals["ack_ms"].get(name, 0.0) for name in ("p50", "p95", "p99", "max")}
    return Result(
        mode=plan.mode,
        variant=plan.variant,
        acked_spans=totals["acked_spans"],
        stored_spans=verdict.stored_spans,
        rollup_spans=verdict.rollup_calls,
        dropped_spans=drained.counters.dropped_spans,
        requests_per_s=totals["requests_per_s"],
        spans_per_s_acked=totals["spans_per_s"],
        spans_per_s_stored=round(stored_in_window / (end.at - start.at), 1),
        spans_per_s_sustained=round(
            totals["acked_spans"] / (drained.at - start.at + plan.warmup_seconds), 1
        ),
        cpu_us_per_span=_us_per_span(cpu_seconds, totals["acked_spans"]),
        generator_cpu_us_per_span=_us_per_span(
            totals["measured_cpu_seconds"], totals["measured_spans"]
        ),
        **{f"ack_ms_{name}": value for name, value in ack_ms.items()},
        backlog_at_end_s=round(drained.at - end.at, 2),
        rss_mb_peak=round(watched.rss_mb_peak, 1),
        bytes_per_call_on_disk=bytes_per_call,
        requests_refused=sum(totals["refused"].values()) + sum(totals["retried"].values()),
        invariants=asdict(verdict),
    )


def _us_per_span(cpu_seconds: float, spans: int) -> float:
    return round(cpu_seconds / max(spans, 1) * 1e6, 2)

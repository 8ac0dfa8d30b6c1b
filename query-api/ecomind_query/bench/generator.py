"""The load generator: a process of its own, raw HTTP/1.1, one request in flight per connection.

It speaks just enough HTTP to be cheap, because it shares the cores with the server. A request that
is refused for now (429, 503) or whose connection breaks is sent again unchanged, as an exporter
would; only a 200 counts, and its number is written to the report file at once, so that whatever
happens to the server, what it promised is known exactly.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from array import array
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

import numpy as np
import uvloop

from ecomind_query.bench.sources import Request, Source, read_keys, source
from ecomind_query.bench.workload import Mode, Variant, spans_per_request

RETRYABLE = (429, 503)
RETRY_SECONDS = 1.0
"""Before a request is sent again, if the server does not say."""
RECONNECT_SECONDS = 0.05
UNANSWERED_SECONDS = 90.0
"""After the last request, how long an answer may take: a server may ask to wait for a minute."""

MEASURING, DONE = "measuring", "done"
"""Events on stdout, one JSON object a line: the warm-up is over; the totals."""


class Run:
    """One run: its clock, its connections and what was answered."""

    def __init__(
        self,
        source: Source,
        address: tuple[str, int],
        seconds: float,
        warmup: float,
        report: BinaryIO | None,
    ) -> None:
        self._source = source
        self._address = address
        self._seconds = seconds
        self._warmup = warmup
        self._report = report
        self._measuring = self._over = False
        self._idle = asyncio.Event()
        self._open = 0
        self.sent = self.acked = self.reconnects = 0
        self.cpu_seconds = 0.0
        self.latencies_ms = array("d")
        self.refused: Counter[int] = Counter()
        self.retried: Counter[int] = Counter()
        self._reconnecting: set[asyncio.Task[None]] = set()

    async def run(self, connections: int) -> None:
        """Send for warm-up + seconds, then wait for the answers that are due."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_give_up)
        for _ in range(connections):
            await loop.create_connection(lambda: Connection(self), *self._address)
        await asyncio.sleep(self._warmup)
        self._measuring = True
        _emit(MEASURING)
        cpu_before = time.process_time()
        await asyncio.sleep(self._seconds)
        self.cpu_seconds = time.process_time() - cpu_before
        self._measuring, self._over = False, True
        if self._open:
            await asyncio.wait_for(self._idle.wait(), UNANSWERED_SECONDS)

    def take(self) -> Request | None:
        """The next request to send; None when the time is up."""
        if self._over:
            return None
        self.sent += 1
        return self._source.take()

    def answered(self, request: Request, status: int, seconds: float) -> None:
        """A final answer has come."""
        if status != 200:
            self.refused[status] += 1
        else:
            self.acked += 1
            if self._report:
                self._report.write(request.sequence.to_bytes(8, "little"))
            if self._measuring:
                self.latencies_ms.append(seconds * 1000)
        self._source.give_back(request)

    def opened(self) -> None:
        """A connection is open."""
        self._open += 1

    def closed(self, pending: Request | None) -> None:
        """A connection is gone; what it had not been answered is sent again over a new one."""
        self._open -= 1
        if not self._over:
            self.reconnects += 1
            task = asyncio.ensure_future(self._reconnect(pending))
            self._reconnecting.add(task)
            task.add_done_callback(self._reconnecting.discard)
        elif not self._open:
            self._idle.set()

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self._over

    async def _reconnect(self, pending: Request | None) -> None:
        loop = asyncio.get_running_loop()
        while not self._over:
            try:
                await loop.create_connection(lambda: Connection(self, pending), *self._address)
            except OSError:
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return


class Connection(asyncio.Protocol):
    """One keep-alive connection: send, await the answer, send the next."""

    def __init__(self, run: Run, pending: Request | None = None) -> None:
        self._run = run
        self._pending = pending
        self._received = b""
        self._sent_at = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start with what is pending."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._run.opened()
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take the answer once it is complete."""
        self._received = self._received + data if self._received else data
        answer = parse_response(self._received)
        if answer is None or self._pending is None:
            return
        self._received = b""
        if answer.status in RETRYABLE and not self._run.over:
            self._run.retried[answer.status] += 1
            loop = asyncio.get_running_loop()
            wait_seconds = answer.retry_after_seconds
            loop.call_later(RETRY_SECONDS if wait_seconds is None else wait_seconds, self._send)
            return
        self._run.answered(self._pending, answer.status, time.perf_counter() - self._sent_at)
        self._pending = None
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the run open another one."""
        self._run.closed(self._pending)

    def _send(self) -> None:
        if self._pending is None or self._run.over:
            self._pending = self._run.take()
        if self._pending is None:
            self._transport.close()
        elif not self._transport.is_closing():
            self._sent_at = time.perf_counter()
            self._transport.writelines(self._pending.parts)


class Answer(NamedTuple):
    """What matters of an HTTP response."""

    status: int
    retry_after_seconds: float | None


def parse_response(data: bytes) -> Answer | None:
    """The response at the start of `data`; None while it is incomplete. A length must be given."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    if len(data) < end + 4 + int(_header(head, b"content-length", b"0")):
        return None
    wait = _header(head, b"retry-after", b"")
    return Answer(int(head[9:12]), float(wait) if wait else None)


def _header(head: bytes, name: bytes, default: bytes) -> bytes:
    start = head.find(b"\r\n" + name + b":")
    if start < 0:
        return default
    return head[start + len(name) + 3 :].split(b"\r\n", 1)[0].strip()


def summary(run: Run, mode: Mode, seconds: float) -> dict[str, object]:
    """The totals; times are of requests answered within the measured seconds."""
    measured = np.asarray(run.latencies_ms)
    return {
        "sent_requests": run.sent,
        "acked_requests": run.acked,
        "acked_spans": run.acked * spans_per_request(mode),
        "measured_requests": len(measured),
        "measured_spans": len(measured) * spans_per_request(mode),
        "requests_per_s": round(len(measured) / seconds, 1),
        "spans_per_s": round(len(measured) * spans_per_request(mode) / seconds, 1),
        "ack_ms": quantiles(measured),
        "refused": dict(run.refused),
        "retried": dict(run.retried),
        "reconnects": run.reconnects,
        "measured_cpu_seconds": round(run.cpu_seconds, 3),
    }


def quantiles(milliseconds: Sequence[float] | np.ndarray) -> dict[str, float]:
    """p50, p95, p99 and max in ms; empty without data."""
    if not len(milliseconds):
        return {}
    found = np.percentile(np.asarray(milliseconds), [50, 95, 99, 100])
    return dict(zip(("p50", "p95", "p99", "max"), (round(float(q), 3) for q in found), strict=True))


def _give_up(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error in a callback is a fault of the generator: no figures come of such a run."""
    loop.default_exception_handler(context)
    loop.stop()


def _emit(event: str, **values: object) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Send the benchmark workload to an OTLP/HTTP receiver."
    )
    parser.add_argument("--url", required=True, help="such as http://127.0.0.1:4318")
    parser.add_argument("--seconds", type=float, default=60.0, help="measured")
    parser.add_argument("--warmup", type=float, default=0.0, help="seconds before, not measured")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.BATCH)
    parser.add_argument("--variant", type=Variant, choices=list(Variant), default=Variant.PLAIN)
    parser.add_argument("--seed", type=int, default=1, help="64 bits; makes every id")
    parser.add_argument("--keys", type=Path, help="file of API keys, one a line, to use in turn")
    parser.add_argument(
        "--report", type=Path, help="file that gets each acknowledged number, 8 bytes"
    )
    return parser.parse_args(argv)


async def generate(options: argparse.Namespace) -> dict[str, object]:
    """Run as the command line says: the totals."""
    url = urlsplit(options.url)
    address = (url.hostname or "127.0.0.1", url.port or 4318)
    keys = read_keys(options.keys)
    requests = source(options.mode, options.variant, options.seed, url.netloc, keys)
    report = options.report.open("ab", buffering=0) if options.report else None
    run = Run(requests, address, options.seconds, options.warmup, report)
    try:
        await run.run(options.connections)
    finally:
        if report:
            report.close()
    return summary(run, options.mode, options.seconds)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `python -m ecomind_query.bench.generator`."""
    _emit(DONE, **uvloop.run(generate(arguments(argv))))


if __name__ == "__main__":
    main()

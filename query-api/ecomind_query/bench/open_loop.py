"""A sender that keeps to a timetable: a process of its own, for `ecomind bench fairness`.

The closed loop of `generator` slows down with the server and so hides what its clients would wait.
Here each request has its moment beforehand, and its latency counts from then: a request that finds
every connection busy is late, and its waiting is the server's. Nothing is sent again, and what the
server says about when to come back is counted and not obeyed. One thread a connection, because a
thread sleeps to some microseconds and an event loop to a millisecond.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.parse import urlsplit

from ecomind_query.bench.generator import Answer, parse_response
from ecomind_query.bench.sources import Request, Source, read_keys, source
from ecomind_query.bench.workload import Mode, Variant

READY, DONE = "ready", "done"
"""Events on stdout, one JSON object a line. After the first, one line on stdin gives the slices."""

UNANSWERED_SECONDS = 30.0
_READ_BYTES = 65_536


class Slice(NamedTuple):
    """A stretch of time in which requests are sent; seconds of the machine's monotonic clock."""

    begins_at: float
    ends_at: float


class Outcome(NamedTuple):
    """What became of one request: when it was due, how late it was sent and answered, and how."""

    planned_at: float
    sent_late_ms: float
    answered_ms: float
    status: int
    retry_after_seconds: float | None


class Sender:
    """Sends one source's requests at a rate, over connections that each wait for their answer."""

    def __init__(
        self,
        requests: Source,
        address: tuple[str, int],
        connections: int,
        requests_per_s: float,
        report: BinaryIO | None = None,
    ) -> None:
        self._requests = requests
        self._address = address
        self._connections = connections
        self._interval_seconds = 1 / requests_per_s
        self._report = report
        self._lock = threading.Lock()
        self.planned = self.sent = 0
        self.outcomes: list[Outcome] = []

    def run(self, part: Slice) -> None:
        """Send through one slice, then wait for the answers that are due. Raises OSError."""
        number = round((part.ends_at - part.begins_at) / self._interval_seconds)
        self.planned += number
        timetable = self._timetable(part, number)
        with ThreadPoolExecutor(self._connections) as threads:
            done = [
                threads.submit(self._connection, part, timetable) for _ in range(self._connections)
            ]
        for one in done:
            one.result()

    def _timetable(self, part: Slice, number: int) -> Iterator[float]:
        """The moments of the slice's requests; those still due when it is over are left out."""
        for one in range(number):
            if time.monotonic() >= part.ends_at:
                return
            yield part.begins_at + one * self._interval_seconds

    def _connection(self, part: Slice, timetable: Iterator[float]) -> None:
        _sleep_until(part.begins_at)
        with socket.create_connection(self._address, UNANSWERED_SECONDS) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while planned := self._take(timetable):
                planned_at, request = planned
                _sleep_until(planned_at)
                sent_at = time.monotonic()
                answer = _exchange(connection, request)
                late_ms, answered_ms = (
                    round((moment - planned_at) * 1000, 3) for moment in (sent_at, time.monotonic())
                )
                self._answered(request, Outcome(planned_at, late_ms, answered_ms, *answer))

    def _take(self, timetable: Iterator[float]) -> tuple[float, Request] | None:
        with self._lock:
            planned_at = next(timetable, None)
            if planned_at is None:
                return None
            self.sent += 1
            return planned_at, self._requests.take()

    def _answered(self, request: Request, outcome: Outcome) -> None:
        with self._lock:
            self.outcomes.append(outcome)
            if outcome.status == 200 and self._report:
                self._report.write(request.sequence.to_bytes(8, "little"))
            self._requests.give_back(request)


def _sleep_until(moment: float) -> None:
    wait_seconds = moment - time.monotonic()
    if wait_seconds > 0:
        time.sleep(wait_seconds)


def _exchange(connection: socket.socket, request: Request) -> Answer:
    """Send a request and read its answer. Raises OSError if none comes."""
    for part in request.parts:
        connection.sendall(part)
    received = b""
    while (answer := parse_response(received)) is None:
        data = connection.recv(_READ_BYTES)
        if not data:
            raise ConnectionError("the server hung up before it had answered")
        received += data
    return answer


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Send benchmark requests by a timetable.")
    parser.add_argument("--url", required=True, help="such as http://127.0.0.1:4318")
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--mode", type=Mode, choices=list(Mode), default=Mode.BATCH)
    parser.add_argument("--seed", type=int, default=1, help="64 bits; makes every id")
    parser.add_argument("--keys", type=Path, help="file of API keys, one a line, to use in turn")
    parser.add_argument("--report", type=Path, help="file that gets each acknowledged number")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of `python -m ecomind_query.bench.open_loop`."""
    options = arguments(argv)
    url = urlsplit(options.url)
    keys = read_keys(options.keys)
    requests = source(options.mode, Variant.PLAIN, options.seed, url.netloc, keys)
    address = (url.hostname or "127.0.0.1", url.port or 4318)
    report = options.report.open("ab", buffering=0) if options.report else None
    sender = Sender(requests, address, options.connections, options.rate, report)
    _emit(READY)
    parts = [Slice(*one) for one in json.loads(sys.stdin.readline())]
    cpu_before = time.process_time()
    for part in parts:
        sender.run(part)
    _emit(
        DONE,
        planned_requests=sender.planned,
        sent_requests=sender.sent,
        outcomes=sender.outcomes,
        cpu_seconds=time.process_time() - cpu_before,
    )


def _emit(event: str, **values: object) -> None:
    print(json.dumps({"event": event, **values}), flush=True)


if __name__ == "__main__":
    main()

"""A service on loopback that a test tells what to answer, and half-hours in the API's shape."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

HALF_HOUR = timedelta(minutes=30)


class Answer(NamedTuple):
    """What is sent back; `lead` runs before anything is, and may wait."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = {}
    lead: Callable[[], object] = lambda: None


@dataclass
class Service:
    """Where it listens, what it was asked, and what it says to that."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    answer: Callable[[str], Answer] = lambda path: Answer(status=404)
    changed: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    service: Service

    def do_GET(self) -> None:
        self.service.asked.append(self.path)
        self.service.changed.set()
        answer = self.service.answer(self.path)
        answer.lead()
        self.send_response(answer.status)
        for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that hangs up is part of the test."""


@contextmanager
def running() -> Iterator[Service]:
    service = Service()
    handler = type("Handler", (_Handler,), {"service": service})
    with _Server(("127.0.0.1", 0), handler) as server:
        service.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield service
        finally:
            server.shutdown()
            thread.join()


def as_json(document: object, **more: Any) -> Answer:
    return Answer(
        json.dumps(document).encode(), headers={"Content-Type": "application/json"}, **more
    )


def half(start: datetime, actual: object, forecast: object = 100) -> dict[str, Any]:
    """A half-hour as the API writes it."""
    intensity = {"forecast": forecast, "actual": actual, "index": "moderate"}
    return {"from": stamp(start), "to": stamp(start + HALF_HOUR), "intensity": intensity}


def halves(start: datetime, *figures: tuple[object, object]) -> dict[str, Any]:
    """An answer of half-hours in a row, each (actual, forecast)."""
    moments = (start + n * HALF_HOUR for n in range(len(figures)))
    return {"data": [half(at, *figure) for at, figure in zip(moments, figures, strict=True)]}


def whole(path: str, now: datetime, actual: float = 200.0, forecast: float = 150.0) -> Answer:
    """What the API tells of the asked range: measured until now, forecast from then on."""
    _, _, first, last = path.split("/")
    start, end = (datetime.fromisoformat(text) for text in (first, last))
    count = int((end - start) / HALF_HOUR)
    moments = [start + n * HALF_HOUR for n in range(-1, count)]  # as it does, with one before
    items = [half(at, actual if at + HALF_HOUR <= now else None, forecast) for at in moments]
    return as_json({"data": items})


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")

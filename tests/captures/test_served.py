"""Every capture through a real server with keys, each as an organisation of its own.

What an application sent goes in as OTLP/JSON over HTTP and as protobuf over gRPC, and comes out
through the rollup, the list of calls and the page, against what was really billed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import NamedTuple

import httpx
import pytest
from captures.otlp import Document, moved_to_now
from captures.served import TIMEOUT_SECONDS, Client, keyed_server, read
from captures.truth import Counted, demand, load, request, score

from ecomind_query.bench.process import Server

TRUTH = load()
_DRAIN_SECONDS = 60.0
_READERS = 4


class Way(NamedTuple):
    """One way in: its words in the report, its part of an organisation's id, and how to send."""

    words: str
    prefix: str
    send: Callable[[Client, Document], None]

    def org(self, capture: str) -> str:
        """The organisation that a capture is."""
        return f"{self.prefix}_{capture.replace('/', '_').replace('-', '_')}"


HTTP = Way("OTLP/JSON over HTTP", "http", Client.post)
GRPC = Way("protobuf over gRPC", "grpc", Client.export)
WAYS = (HTTP, GRPC)


class Sent(NamedTuple):
    """A server that holds every capture twice, and a client for each of its organisations."""

    server: Server
    clients: dict[str, Client]
    day: date

    def client(self, way: Way, capture: str) -> Client:
        """The organisation of a capture."""
        return self.clients[way.org(capture)]


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    orgs = [way.org(name) for way in WAYS for name in TRUTH]
    server, keys = keyed_server(tmp_path_factory.mktemp("captures"), orgs)
    server.start()
    try:
        with httpx.Client(timeout=TIMEOUT_SECONDS, trust_env=False) as http:
            sent = Sent(
                server,
                {org: Client(server, http, key) for org, key in keys.items()},
                datetime.now(UTC).date(),
            )
            for name in TRUTH:
                document = moved_to_now(request(name))
                for way in WAYS:
                    way.send(sent.client(way, name), document)
            server.wait_drained(_DRAIN_SECONDS)
            yield sent
    finally:
        server.stop()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.prefix)
def test_every_capture_is_counted_right(
    sent: Sent, way: Way, report: Callable[[str], None]
) -> None:
    other_half = WAYS.index(way)  # the front page does not know how a call came in

    def result(place: int, name: str) -> Counted:
        today = datetime.now(UTC).date() == sent.day
        return read(sent.client(way, name), front_page=today and place % 2 == other_half)

    with ThreadPoolExecutor(_READERS) as threads:
        counted = dict(zip(TRUTH, threads.map(result, itertools.count(), TRUTH), strict=True))
    demand(score(way.words, TRUTH, counted), report)

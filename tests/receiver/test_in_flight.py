"""The memory of requests is bounded, and shared fairly."""

from __future__ import annotations

import asyncio
import gzip
import http.client

import pytest
from support.otlp import CHAT, protobuf
from support.receiver import Running, calls

from ecomind_receiver.in_flight import InFlight
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.refusals import RequestRefused
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import LOCAL


def test_what_a_request_holds_is_given_back_when_it_is_answered() -> None:
    in_flight = InFlight(1000)
    with in_flight.request("a") as first, in_flight.request("b") as second:
        first.grow_to(600)
        second.grow_to(300)
        second.grow_to(200)  # never less
        assert in_flight.size_bytes == 900
        with pytest.raises(RequestRefused, match="ECOMIND_IN_FLIGHT_MAX_BYTES") as refused:
            second.grow_to(401)
        assert refused.value.retry_after_seconds == 1.0
        second.grow_to(400)
    assert in_flight.size_bytes == 0


def test_a_request_alone_always_passes() -> None:
    in_flight = InFlight(1000)
    with in_flight.request("a") as alone:
        alone.grow_to(900)
        alone.grow_to(5000)
        with in_flight.request("b") as other, pytest.raises(RequestRefused):
            other.grow_to(1)
    assert in_flight.size_bytes == 0


def test_one_organisation_cannot_hold_all_of_it() -> None:
    in_flight = InFlight(1000, shared=True)
    with (
        in_flight.request("noisy") as first,
        in_flight.request("noisy") as second,
        in_flight.request("quiet") as small,
    ):
        first.grow_to(700)
        with pytest.raises(RequestRefused):
            second.grow_to(101)  # above four fifths, and more than half is its own
        small.grow_to(300)


def test_a_request_too_many_is_503_before_its_body_and_the_rest_is_stored(running: Running) -> None:
    body = protobuf([CHAT] * 50)

    async def scenario() -> tuple[int, str | None, int, dict[str, int]]:
        async with running(listeners=True, in_flight_max_bytes=10_000) as receiver:
            assert len(body) > 10_000
            refused, wait = await asyncio.to_thread(_beside_another, receiver, body)
            await receiver.drain()
            return refused, wait, len(calls(receiver)), receiver.status().not_now

    assert asyncio.run(scenario()) == (503, "1", 50, {"in_flight": 1})


def _beside_another(receiver: Receiver, body: bytes) -> tuple[int, str | None]:
    """Announce a request, send another one beside it, then the rest of the first."""
    first, second = (
        http.client.HTTPConnection("127.0.0.1", receiver.http_port, timeout=30) for _ in range(2)
    )
    try:
        first.putrequest("POST", "/v1/traces")
        first.putheader("Content-Type", PROTOBUF)
        first.putheader("Content-Length", str(len(body)))
        first.endheaders(body[:1])
        while not receiver.status().in_flight_bytes:
            pass
        second.request("POST", "/v1/traces", body, {"Content-Type": PROTOBUF})
        answer = second.getresponse()
        first.send(body[1:])
        assert first.getresponse().status == 200
        return answer.status, answer.headers["Retry-After"]
    finally:
        first.close()
        second.close()


def test_what_is_inflated_counts(running: Running) -> None:
    packed = gzip.compress(protobuf([CHAT] * 200))
    assert len(packed) < 10_000 < len(gzip.decompress(packed))

    async def scenario() -> int:
        async with running(in_flight_max_bytes=10_000) as receiver:
            ingest = receiver._ingest
            with ingest.in_flight.request("other") as other:
                other.grow_to(1)
                with pytest.raises(RequestRefused, match="ECOMIND_IN_FLIGHT_MAX_BYTES"):
                    await receiver.accept(LOCAL, packed, PROTOBUF, "gzip")
            await receiver.accept(LOCAL, packed, PROTOBUF, "gzip")
            return ingest.in_flight.size_bytes

    assert asyncio.run(scenario()) == 0

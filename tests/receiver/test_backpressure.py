"""A full receiver: who is told to wait, for how long, and who is taken none the less."""

from __future__ import annotations

import asyncio
import http.client

import grpc
import pytest
from google.rpc import error_details_pb2
from support.otlp import CHAT, protobuf
from support.receiver import Running

from ecomind_receiver.draining import Draining
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.kinds import Kind
from ecomind_receiver.pending import SpoolFull
from ecomind_receiver.refusals import RequestRefused
from ecomind_receiver.settings import MIB, Settings
from ecomind_receiver.spool import Spool
from ecomind_receiver.tenants import LOCAL

RECORD = [bytes(1000)]


class Hands:
    """A clock that a test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


async def _fill(spool: Spool, org_id: str) -> tuple[int, SpoolFull]:
    """Append records of 1,000 bytes until one is refused: how many were taken, and the refusal."""
    taken = 0
    while True:
        try:
            await spool.append(org_id, RECORD, 1, Kind.TRACES)
        except SpoolFull as refused:
            return taken, refused
        taken += 1


def test_a_small_tenant_is_taken_while_the_one_that_fills_the_spool_waits(
    settings: Settings,
) -> None:
    """1 MiB and no loader: the noisy one gets four fifths, and what is left is for others."""

    async def scenario() -> None:
        values = {"spool_max_bytes": MIB, "spool_segment_max_bytes": 100_000}
        spool = Spool(settings.model_copy(update=values), bytes(32), shared=True)
        try:
            noisy, refused = await _fill(spool, "noisy")
            assert refused.cause == "spool_share"
            assert 700 < noisy < 0.8 * MIB / 1000
            for _ in range(100):
                await spool.append("quiet", RECORD, 1, Kind.TRACES)
                assert (await _fill(spool, "noisy"))[0] == 0
            quiet, refused = await _fill(spool, "quiet")
            assert refused.cause == "spool_full"
            assert quiet > 50
        finally:
            spool.close()

    asyncio.run(scenario())


def test_who_must_wait_is_told_how_long_the_loader_needs(settings: Settings) -> None:
    """Segments of 200 kB at 100 kB/s; a share is free when segments with enough of it are gone."""

    async def scenario() -> None:
        hands = Hands()
        values = {"spool_max_bytes": MIB, "spool_segment_max_seconds": 60.0}
        spool = Spool(settings.model_copy(update=values), bytes(32), shared=True)
        spool.draining = Draining(hands)
        try:
            for org_id in ("quiet", "noisy", "noisy", "noisy"):
                await spool.append(org_id, [bytes(200_000)], 1, Kind.TRACES)
                spool.seal()
                while spool._open:
                    await asyncio.sleep(0.001)
            first = await asyncio.to_thread(spool.sealed.get)
            assert first is not None
            hands.now += 2.0
            spool.loaded(first)  # the quiet one's: 200 kB in 2 s
            with pytest.raises(SpoolFull) as refused:
                spool.require_room("noisy", 300_000)  # 61 kB above 4/5, 376 kB above its half
            assert refused.value.cause == "spool_share"
            assert round(refused.value.wait_seconds, 1) == 2.0  # one segment
            with pytest.raises(SpoolFull) as refused:
                spool.require_room("noisy", 700_000)
            assert refused.value.cause == "spool_full"
            assert round(refused.value.wait_seconds, 1) == 4.0  # 252 kB: two segments
        finally:
            spool.close()

    asyncio.run(scenario())


def test_http_rounds_the_wait_up_and_grpc_tells_it_as_it_is(running: Running) -> None:
    body = protobuf([{**CHAT, "padding": "x" * 100_000}] * 3)

    async def scenario() -> None:
        async with running(listeners=True, spool_max_bytes=MIB) as receiver:
            spool = receiver.spool
            assert isinstance(spool, Spool)
            with receiver.store.gate.shut(30):  # the loader takes nothing
                with pytest.raises(RequestRefused):
                    for _ in range(10):
                        await receiver.accept(LOCAL, body, PROTOBUF)
                spool.seal()
                while not spool.segments:
                    await asyncio.sleep(0.001)
                spool.draining = Draining(lambda: 100.0)
                spool.draining.postponed(17.25)
                answer = await asyncio.to_thread(_post, receiver.http_port, body)
                assert answer == (503, "18")
                assert await _export(receiver.grpc_port, body) == (
                    grpc.StatusCode.UNAVAILABLE,
                    17_250_000_000,
                )
                assert receiver.status().not_now == {"spool_full": 3}
                spool.draining = Draining()
            await receiver.drain()
            assert (await asyncio.to_thread(_post, receiver.http_port, body))[0] == 200

    asyncio.run(scenario())


def _post(port: int, body: bytes) -> tuple[int, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", "/v1/traces", body, {"Content-Type": PROTOBUF})
        answer = connection.getresponse()
        return answer.status, answer.headers["Retry-After"]
    finally:
        connection.close()


async def _export(port: int, body: bytes) -> tuple[grpc.StatusCode, int]:
    """The code of a refusal and the wait it tells, in ns."""
    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(method)(body, timeout=30)
    details = dict(caught.value.trailing_metadata() or ())
    info = error_details_pb2.RetryInfo.FromString(details["google.rpc.retryinfo-bin"])
    return caught.value.code(), info.retry_delay.ToNanoseconds()

"""Requests through a real broker: acknowledged when it has them, refused when it is away."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.kafka_broker import KafkaBroker
from support.otlp import CHAT, json_request, protobuf
from support.receiver import Running, calls, make_settings

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.kafka.config import KafkaSettingError
from ecomind_receiver.kafka.record import MAGIC, About
from ecomind_receiver.kinds import Kind
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import LOCAL, Tenant

OnKafka = Callable[[KafkaBroker], Running]
OUTCOMES = (
    "SELECT org_id, project_id, outcome, toInt64(sum(spans)) AS spans FROM span_outcomes"
    " GROUP BY ALL ORDER BY ALL"
)


def outcomes(receiver: Receiver) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in receiver.store.query(OUTCOMES)]


def test_what_is_acknowledged_is_in_kafka_and_stored_once(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    shared_broker.create(topic, 3)
    other = Tenant("org_b", "web")

    async def scenario() -> tuple[list[dict[str, Any]], list[tuple[Any, ...]], int, int]:
        async with on_kafka(shared_broker)() as receiver:
            await asyncio.gather(
                *(receiver.accept(LOCAL, protobuf([CHAT], first_id=n), PROTOBUF) for n in (1, 2)),
                receiver.accept(other, json_request([CHAT], first_id=3), JSON),
            )
            kept = sum(len(shared_broker.records(topic, n)) for n in range(3))
            await receiver.drain()
            status = receiver.status()
            assert (status.ready, status.spool_error, status.store_error) == (True, "", "")
            return calls(receiver), outcomes(receiver), kept, status.stored_spans

    rows, told, kept, stored = asyncio.run(scenario())
    assert kept == stored == 3
    assert sorted((row["org_id"], row["project_id"], row["span_id"]) for row in rows) == [
        ("org_b", "web", 3), ("org_demo", "default", 1), ("org_demo", "default", 2),
    ]  # fmt: skip
    assert told == [("org_b", "web", "stored", 1), ("org_demo", "default", "stored", 2)]
    values = [value for n in range(3) for value in shared_broker.records(topic, n)]
    assert all(value.startswith(MAGIC) and b"gpt-4o" not in value for value in values)


def test_a_restart_goes_on_where_the_last_one_ended(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    shared_broker.create(topic)

    async def scenario() -> list[list[int]]:
        found = []
        for first in (1, 2, 3):
            async with on_kafka(shared_broker)() as receiver:
                await receiver.accept(LOCAL, protobuf([CHAT], first_id=first), PROTOBUF)
                await receiver.drain()
                assert receiver.status().stored_spans == 1
                found.append(sorted(row["span_id"] for row in calls(receiver)))
        return found

    assert asyncio.run(scenario()) == [[1], [1, 2], [1, 2, 3]]


def test_collectors_topics_are_read_for_their_project(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """`otlp_proto`: the value is an ExportTraceServiceRequest, as every OTLP exporter makes it."""
    spans = f"{topic}-otlp_spans"
    shared_broker.create(topic)
    shared_broker.create(spans, 2)
    not_ours = protobuf([{"http.request.method": "GET"}], first_id=7)
    shared_broker.send(spans, protobuf([CHAT, CHAT], first_id=1), not_ours, partition=1)
    shared_broker.send(spans, b"", b"no request", compression="zstd")

    async def scenario() -> tuple[list[dict[str, Any]], list[tuple[Any, ...]], list[str]]:
        async with on_kafka(shared_broker)(
            kafka_collector_topics=f"{spans}=org_acme/shop"
        ) as receiver:
            await receiver.drain()
            folder = receiver.settings.data_dir / "quarantine"
            reasons = [json.loads(p.read_text())["reason"] for p in folder.glob("*.json")]
            return calls(receiver), outcomes(receiver), reasons

    began = time.time()
    rows, told, reasons = asyncio.run(scenario())
    assert sorted((row["org_id"], row["project_id"], row["span_id"]) for row in rows) == [
        ("org_acme", "shop", 1), ("org_acme", "shop", 2),
    ]  # fmt: skip
    assert all(began <= row["received_at"].timestamp() + 1 <= time.time() + 1 for row in rows)
    assert told == [
        ("org_acme", "shop", "not_genai", 1),
        ("org_acme", "shop", "quarantined", 1),
        ("org_acme", "shop", "stored", 2),
    ]
    assert len(reasons) == 1
    assert reasons[0].startswith(f"record 1 of {spans}/0: The body is not a protobuf")


def test_poison_is_quarantined_and_the_rest_is_loaded(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """What was altered, what is not ours, and what only the engine refuses."""
    shared_broker.create(topic)
    body = json_request([CHAT], first_id=5).replace(b'"300"', b"1e400")

    async def scenario() -> tuple[list[int], list[tuple[Any, ...]], int]:
        async with on_kafka(shared_broker)(spool_segment_max_seconds=600) as receiver:
            await receiver.accept(LOCAL, protobuf([CHAT, CHAT], first_id=1), PROTOBUF)
            await receiver.accept(LOCAL, body, JSON)
            altered = bytearray(shared_broker.records(topic)[0])
            altered[-1] ^= 1
            shared_broker.send(topic, bytes(altered), b"", b"not a record")
            shared_broker.send(topic, bytes(altered), headers={"ecomind-spans": b"9" * 5000})
            claims = About(LOCAL, 10**30, Kind.TRACES).headers()
            shared_broker.send(topic, bytes(altered), headers=dict(claims))
            await receiver.accept(LOCAL, protobuf([CHAT], first_id=9), PROTOBUF)
            await receiver.drain()
            kept = len(list((receiver.settings.data_dir / "quarantine").glob("*.seg")))
            assert kept == receiver.status().quarantined_records
            return sorted(row["span_id"] for row in calls(receiver)), outcomes(receiver), kept

    stored, told, kept = asyncio.run(scenario())
    assert stored == [1, 2, 9]
    assert kept == 6
    assert told == [
        ("", "", "quarantined", 1_000_004),  # nothing proves whose they were, or how many
        ("org_demo", "default", "quarantined", 1),
        ("org_demo", "default", "stored", 3),
    ]


def test_without_the_broker_requests_are_refused_and_afterwards_accepted(
    own_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    own_broker.create(topic)

    async def scenario() -> tuple[RequestRefused, list[dict[str, Any]]]:
        async with on_kafka(own_broker)() as receiver:
            await receiver.accept(LOCAL, protobuf([CHAT], first_id=1), PROTOBUF)
            await receiver.drain()
            await asyncio.to_thread(own_broker.kill)
            with pytest.raises(RequestRefused) as caught:
                await receiver.accept(LOCAL, protobuf([CHAT], first_id=2), PROTOBUF)
            status = receiver.status()
            assert not status.ready
            assert "Kafka" in status.spool_error
            assert status.acked_spans == 1
            await asyncio.to_thread(own_broker.start)
            await receiver.accept(LOCAL, protobuf([CHAT], first_id=3), PROTOBUF)
            await receiver.drain()
            assert receiver.status().ready
            return caught.value, calls(receiver)

    refused, rows = asyncio.run(scenario())
    assert refused.refusal is Refusal.UNAVAILABLE
    assert refused.message == "Not accepted now: Kafka has not confirmed it in time."
    assert {row["span_id"] for row in rows} >= {1, 3}
    assert len(rows) == len({row["span_id"] for row in rows})


def test_a_request_larger_than_the_topic_takes_is_refused_for_good(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    shared_broker.create(topic)
    noise = random.Random(1).randbytes(800_000).hex()  # compresses to half of it
    fits = protobuf([CHAT | {"p": noise}], first_id=1)
    too_large = protobuf([CHAT | {"p": noise}, CHAT | {"p": noise[::-1]}], first_id=2)

    async def scenario() -> RequestRefused:
        async with on_kafka(shared_broker)() as receiver:
            await receiver.accept(LOCAL, fits, PROTOBUF)
            with pytest.raises(RequestRefused) as caught:
                await receiver.accept(LOCAL, too_large, PROTOBUF)
            await receiver.drain()
            assert [row["span_id"] for row in calls(receiver)] == [1]
            return caught.value

    refused = asyncio.run(scenario())
    assert refused.refusal is Refusal.TOO_LARGE
    assert "max.message.bytes" in refused.message


def test_a_topic_that_is_not_there_is_named(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    async def scenario() -> tuple[str, RequestRefused, list[dict[str, Any]]]:
        async with on_kafka(shared_broker)() as receiver:
            with pytest.raises(RequestRefused) as caught:
                await receiver.accept(LOCAL, protobuf([CHAT], first_id=1), PROTOBUF)
            error = receiver.spool.error
            await asyncio.to_thread(shared_broker.create, topic)
            while receiver.spool.error:
                await asyncio.sleep(0.05)
            await receiver.accept(LOCAL, protobuf([CHAT], first_id=2), PROTOBUF)
            await receiver.drain()
            return error, caught.value, calls(receiver)

    error, refused, rows = asyncio.run(scenario())
    assert error == f"Kafka has no topic {topic}: create it. "
    assert refused.refusal is Refusal.UNAVAILABLE
    assert [row["span_id"] for row in rows] == [2]


def test_segments_of_the_local_spool_are_stored_before_kafka_takes_over(
    tmp_path: Path, shared_broker: KafkaBroker
) -> None:
    settings = make_settings(tmp_path, kafka_brokers=shared_broker.address)
    spool = settings.data_dir / "spool"
    spool.mkdir(parents=True)
    (spool / "00000000000000000001-0000000000000001.seg").write_bytes(b"anything")
    receiver = Receiver(settings, listeners=False)
    with pytest.raises(KafkaSettingError, match="Start once without ECOMIND_KAFKA_BROKERS"):
        asyncio.run(receiver.start())

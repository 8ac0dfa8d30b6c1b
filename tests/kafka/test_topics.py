"""What happens to topics while they are read: deleted data, another topic of the name, growth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer
from support.kafka_broker import KafkaBroker
from support.otlp import CHAT, protobuf
from support.receiver import Running, calls

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.kafka.watch import SPREAD_SECONDS
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import LOCAL

OnKafka = Callable[[KafkaBroker], Running]
_NS_PER_S = 1_000_000_000


def call(number: int) -> bytes:
    return protobuf([CHAT], first_id=number)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(90):
        while not condition():
            await asyncio.sleep(0.05)


def stored(receiver: Receiver) -> list[int]:
    return sorted(row["span_id"] for row in calls(receiver))


def test_what_kafka_deletes_before_it_is_stored_is_counted_and_told(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    spans = f"{topic}-spans"
    shared_broker.create(topic)
    shared_broker.create(spans)
    running = on_kafka(shared_broker)

    async def scenario() -> tuple[list[int], int, str]:
        async with running(kafka_collector_topics=f"{spans}=org_demo/default") as receiver:
            shared_broker.send(spans, call(1))
            await until(lambda: stored(receiver) == [1])
            await receiver.drain()
        shared_broker.send(spans, call(2), call(3), call(4))
        shared_broker.truncate(spans, 3)  # as retention does
        async with running(kafka_collector_topics=f"{spans}=org_demo/default") as receiver:
            await receiver.drain()
            told = receiver.status().topics
            assert told is not None
            return stored(receiver), told.lost, told.error

    found, lost, error = asyncio.run(scenario())
    assert (found, lost) == ([1, 4], 2)
    assert error.startswith("Kafka deleted 2 records before they were stored: raise the retention")


def test_a_topic_that_is_made_again_is_read_from_its_beginning(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """Its offsets are those of the old one, and its records are others."""
    spans = f"{topic}-spans"
    shared_broker.create(topic)
    shared_broker.create(spans)

    async def scenario() -> list[int]:
        async with on_kafka(shared_broker)(
            kafka_collector_topics=f"{spans}=org_demo/default"
        ) as receiver:
            shared_broker.send(spans, call(1), call(2))
            await until(lambda: stored(receiver) == [1, 2])
            await asyncio.to_thread(shared_broker.delete, spans)
            await until(lambda: "no topic" in receiver.spool.error)
            await asyncio.to_thread(shared_broker.create, spans)
            await asyncio.to_thread(shared_broker.send, spans, call(3), call(4))
            await until(lambda: len(stored(receiver)) == 4)
            await receiver.drain()
            return stored(receiver)

    assert asyncio.run(scenario()) == [1, 2, 3, 4]


def test_partitions_that_are_added_are_read(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str, tmp_path: Path
) -> None:
    spans = f"{topic}-spans"
    options = tmp_path / "options"
    options.write_text("topic.metadata.refresh.interval.ms = 1000\n")  # else seen after 30 s
    shared_broker.create(topic)
    shared_broker.create(spans)

    async def scenario() -> list[int]:
        async with on_kafka(shared_broker)(
            kafka_collector_topics=f"{spans}=org_demo/default", kafka_options_file=options
        ) as receiver:
            shared_broker.send(spans, call(1))
            await until(lambda: stored(receiver) == [1])
            await asyncio.to_thread(shared_broker.grow, spans, 2)
            await asyncio.to_thread(shared_broker.send, spans, call(2), partition=1)
            await until(lambda: len(stored(receiver)) == 2)
            return stored(receiver)

    assert asyncio.run(scenario()) == [1, 2]


def test_what_a_transaction_gave_up_is_not_read(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """Marks of transactions have offsets too: nothing waits behind the last of them."""
    spans = f"{topic}-spans"
    shared_broker.create(topic)
    shared_broker.create(spans)
    options = {"bootstrap.servers": shared_broker.address, "transactional.id": topic}
    producer = Producer(options)
    producer.init_transactions(30)
    for number, keep in ((1, True), (2, False), (3, True), (4, False)):
        producer.begin_transaction()
        producer.produce(spans, call(number), partition=0)
        producer.flush(30)
        (producer.commit_transaction if keep else producer.abort_transaction)(30)

    async def scenario() -> list[int]:
        async with on_kafka(shared_broker)(
            kafka_collector_topics=f"{spans}=org_demo/default"
        ) as receiver:
            await receiver.drain()
            assert receiver.status().topics == (0, 0, "")
            return stored(receiver)

    assert asyncio.run(scenario()) == [1, 3]


def test_windows_stay_open_for_what_waits_in_kafka(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """What was received by anybody and is not stored yet is never older than what is said."""
    shared_broker.create(topic, 2)
    running = on_kafka(shared_broker)

    async def scenario() -> None:
        async with running() as receiver:
            await receiver.accept(LOCAL, call(1), PROTOBUF)
            await receiver.drain()
            newest = receiver.store.query("SELECT max(newest_ns) AS ns FROM kafka_plans")[0]["ns"]
        # Written by a receiver that does not read: nobody stores it.
        async with running(spool_segment_max_seconds=600) as receiver:
            assert receiver.spool.oldest_ns() <= newest
            await receiver.accept(LOCAL, call(2), PROTOBUF)
            received_ns = receiver.store.query("SELECT toUnixTimestamp64Nano(now64(9)) AS n")[0][
                "n"
            ]
            for _ in range(40):
                assert receiver.spool.oldest_ns() < received_ns
                await asyncio.sleep(0.05)
            await receiver.drain()
            oldest_ns = receiver.spool.oldest_ns()
            assert oldest_ns > received_ns - (SPREAD_SECONDS + 5) * _NS_PER_S
            assert stored(receiver) == [1, 2]

    asyncio.run(scenario())

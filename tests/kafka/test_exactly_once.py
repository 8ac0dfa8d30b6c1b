"""Whatever stops between storing a batch and saying so, and whoever reads it next: stored once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from confluent_kafka import OFFSET_INVALID, Consumer, TopicPartition
from support.kafka_broker import KafkaBroker
from support.otlp import CHAT, protobuf
from support.receiver import Running, calls

from ecomind_receiver import loader, plan
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.kafka import consumer
from ecomind_receiver.kafka.batch import KafkaBatch, Reading, Superseded
from ecomind_receiver.kafka.buffer import KafkaBuffer
from ecomind_receiver.kafka.consumer import Reader
from ecomind_receiver.kafka.plans import Place, Plans, Standing
from ecomind_receiver.pipeline import Pipeline
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL

OnKafka = Callable[[KafkaBroker], Running]
TOTAL = "SELECT toInt64(sum(calls)) AS n FROM usage_hourly"


async def send(receiver: Receiver, *numbers: int) -> None:
    for number in numbers:
        await receiver.accept(LOCAL, protobuf([CHAT], first_id=number), PROTOBUF)


def stored(receiver: Receiver) -> list[int]:
    """Span ids as often as they are stored; the rollup must have as many."""
    found = [row["span_id"] for row in calls(receiver, "span_id, trace_hash, sign")]
    assert receiver.store.query(TOTAL)[0]["n"] == len(found)
    return sorted(found)


def plans(receiver: Receiver) -> list[tuple[int, int]]:
    rows = receiver.store.query(
        "SELECT first_offset, last_offset FROM kafka_plans ORDER BY partition, first_offset"
    )
    return [(row["first_offset"], row["last_offset"]) for row in rows]


@contextmanager
def without_commits() -> Iterator[None]:
    """What is stored meanwhile is not committed, as if the process ended in between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Reader, "_send_commits", lambda reader: None)
        yield


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def test_an_offset_that_kafka_refuses_is_sent_again(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is stored would be told as waiting until the next batch comes."""
    shared_broker.create(topic)
    refusals = 0

    def once_too_long(name: str, number: int, offset: int = OFFSET_INVALID) -> TopicPartition:
        nonlocal refusals
        made = TopicPartition(name, number, offset)
        if offset > 0 and not refusals:
            refusals += 1
            made.metadata = "x" * 5000  # a broker takes 4096
        return made

    async def scenario() -> list[int]:
        async with on_kafka(shared_broker)() as receiver:
            monkeypatch.setattr(consumer, "TopicPartition", once_too_long)
            await send(receiver, 1)
            async with asyncio.timeout(60):
                await receiver.drain()
            return stored(receiver)

    assert (asyncio.run(scenario()), refusals) == ([1], 1)


def test_a_batch_that_was_stored_and_not_committed_changes_nothing(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    shared_broker.create(topic)
    running = on_kafka(shared_broker)

    async def scenario() -> tuple[list[int], list[tuple[int, int]]]:
        with without_commits():
            async with running() as receiver:
                await send(receiver, 1, 2, 3)
                await until(lambda: receiver.status().stored_spans == 3)
        async with running() as receiver:
            await send(receiver, 4)
            await receiver.drain()
            return stored(receiver), plans(receiver)

    found, batches = asyncio.run(scenario())
    assert found == [1, 2, 3, 4]
    assert [last + 1 for _, last in batches[:-1]] == [first for first, _ in batches[1:]]


def test_the_borders_of_a_batch_are_those_of_the_first_who_read_it(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """The first try plans two records and fails to store them; the second finds five, later."""
    shared_broker.create(topic)
    running = on_kafka(shared_broker)

    async def scenario() -> tuple[list[int], list[tuple[int, int]]]:
        async with running(spool_segment_max_seconds=600) as receiver:
            await send(receiver, 1, 2)
            receiver.store.command("RENAME TABLE span_outcomes TO away")
            receiver.spool.seal()
            await until(lambda: bool(receiver.status().store_error))
            assert plans(receiver) == [(0, 1)]
            await send(receiver, 3, 4, 5)
            receiver.store.command("RENAME TABLE away TO span_outcomes")
        async with running() as receiver:
            await receiver.drain()
            return stored(receiver), plans(receiver)

    assert asyncio.run(scenario()) == ([1, 2, 3, 4, 5], [(0, 1), (2, 4)])


def test_of_two_plans_the_first_stands(settings: Settings) -> None:
    store = Store(settings)
    try:
        place, found = Place("c/t/id", "t", 0), Plans(store)
        now_ns = time.time_ns()
        first = Standing(10, 19, now_ns, 1, "{}")
        second = Standing(10, 25, now_ns + 1, 2, '{"a": 1}')
        assert found.settle(place, first) == first
        assert found.settle(place, second) == first
        assert found.settle(place._replace(topic_id="c/t/other"), second) == second
        assert found.settle(place, second._replace(first=20)) == second._replace(first=20)
        assert found.newest(place) == second._replace(first=20)
        assert found.before(place, 20) == first
        assert found.newest(place._replace(partition=1)) is None
    finally:
        store.close()


@pytest.mark.parametrize("creation", ["mcMiM/ELQMSqFTJDEKqonQ", "j/GZu+AmSay9/TZo2X0IRQ", "id"])
def test_a_topic_that_was_made_again_is_known_whatever_its_id_holds(
    settings: Settings, creation: str
) -> None:
    """Ids of creations are base64, and a slash in one is no border."""
    store = Store(settings)
    try:
        old, found = Place("cluster/spans/old", "spans", 0), Plans(store)
        made_again = old._replace(topic_id=f"cluster/spans/{creation}")
        assert not found.is_made_again(made_again)
        found.settle(old, Standing(0, 1, time.time_ns(), 1, "{}"))
        assert found.is_made_again(made_again)
        assert not found.is_made_again(old)
        for other in ("cluster/spans2", "other/spans", "cluster/span"):
            assert not found.is_made_again(old._replace(topic_id=f"{other}/{creation}"))
    finally:
        store.close()


def test_a_zombies_batch_gives_way(settings: Settings) -> None:
    """It read more than the one whose plan stands, and came later."""
    store = Store(settings)
    try:
        committed: list[int] = []
        secrets = Secrets(settings)
        reading = Reading(
            opener=None,  # type: ignore[arg-type]  # there are no records
            plans=Plans(store),
            pseudonym_key=secrets.pseudonym_key,
            commit=lambda place, offset: committed.append(offset),
        )
        place = Place("c/t/id", "t", 0)

        def batch(last: int, standing: Standing | None = None) -> KafkaBatch:
            return KafkaBatch(reading, place, (0, last), [], tenant=None, standing=standing)

        owner, zombie = batch(4), batch(9)
        owner.keep_plan(plan.Plan(poison=[1]))
        with pytest.raises(Superseded):
            zombie.keep_plan(plan.Plan())
        assert (owner.wanted, zombie.wanted) == (True, False)
        owner.destroy()
        assert committed == [5]
        standing = Plans(store).newest(place)
        assert standing is not None
        again = batch(4, standing)
        assert again.read_plan().poison == [1]
        assert again.segment_id == owner.segment_id != zombie.segment_id
        again.keep_plan(plan.Plan())  # nothing that is decided later changes what stands
        assert Plans(store).newest(place) == standing
    finally:
        store.close()


@pytest.mark.timeout(300)
def test_members_that_join_and_leave_lose_and_double_nothing(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """Two readers over one store, as two workers are; records come all the time."""
    shared_broker.create(topic, 4)

    async def scenario() -> tuple[list[int], int]:
        async with on_kafka(shared_broker)() as receiver:
            sent, stopping = 0, asyncio.Event()

            async def go_on() -> None:
                nonlocal sent
                while not stopping.is_set():
                    await send(receiver, sent + 1)
                    sent += 1

            sending = asyncio.create_task(go_on())
            for _ in range(3):
                second = await asyncio.to_thread(_Second, receiver)
                try:
                    await until(lambda: second.loader.segments > 2)  # noqa: B023  # awaited here
                finally:
                    await asyncio.to_thread(second.stop)
            stopping.set()
            await sending
            await receiver.drain()
            return stored(receiver), sent

    found, sent = asyncio.run(scenario())
    assert found == list(range(1, sent + 1))


class _Second:
    """Another member of the group, with a loader of its own, over the receiver's store."""

    def __init__(self, receiver: Receiver) -> None:
        settings = receiver.settings.model_copy(update={"loader_threads": 1})
        secrets = Secrets(settings)
        self._buffer = KafkaBuffer(settings, secrets, receiver.store)
        catalogue = Catalogue(receiver.store, receiver.factors, 1000)
        with pytest.MonkeyPatch.context() as patch:  # working tables that are not the first's
            patch.setattr(loader, "Pipeline", lambda n, *rest: Pipeline(n + 90, *rest))
            self.loader = loader.Loader(
                settings, receiver.store, self._buffer, secrets.spool, catalogue
            )

    def stop(self) -> None:
        self._buffer.close()
        self.loader.stop()


def test_a_store_that_is_behind_the_group_reads_again(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    """As after a restore: the group's offset is of what the store no longer holds."""
    shared_broker.create(topic)
    running = on_kafka(shared_broker)

    async def scenario() -> tuple[list[int], int]:
        async with running() as receiver:
            await send(receiver, 1, 2)
            await receiver.drain()
        shared_broker.send(topic, b"x", b"y")  # two offsets that nobody stored
        with Consumer({"bootstrap.servers": shared_broker.address, "group.id": topic}) as group:
            group.commit(offsets=[TopicPartition(topic, 0, 4)], asynchronous=False)
        async with running() as receiver:
            await send(receiver, 3)
            await receiver.drain()
            return stored(receiver), receiver.status().quarantined_records

    assert asyncio.run(scenario()) == ([1, 2, 3], 2)

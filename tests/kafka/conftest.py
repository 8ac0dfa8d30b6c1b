"""A real broker for a module, one of its own for a test that kills it, and receivers on them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.kafka_broker import KafkaBroker, kafka_broker, missing_kafka
from support.receiver import Running, make_settings

from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shared_broker() -> Iterator[KafkaBroker]:
    """One broker for the tests that leave it running."""
    if reason := missing_kafka():
        pytest.skip(reason)
    with kafka_broker() as broker:
        yield broker


@pytest.fixture
def own_broker() -> Iterator[KafkaBroker]:
    """A broker that the test may kill."""
    if reason := missing_kafka():
        pytest.skip(reason)
    with kafka_broker() as broker:
        yield broker


@pytest.fixture
def topic() -> str:
    """A name that no other test uses, for a topic and its group."""
    return f"ecomind-{next(_numbers)}"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def on_kafka(tmp_path: Path, topic: str) -> Callable[[KafkaBroker], Running]:
    """`on_kafka(broker)` gives `running`: receivers on one data directory and one topic."""

    def on(broker: KafkaBroker) -> Running:
        @asynccontextmanager
        async def run(**values: Any) -> AsyncIterator[Receiver]:
            kafka = {"kafka_brokers": broker.address, "kafka_topic": topic, "kafka_group": topic}
            receiver = Receiver(make_settings(tmp_path, **kafka, **values), listeners=False)
            await receiver.start()
            try:
                yield receiver
            finally:
                await receiver.stop()

        return run

    return on

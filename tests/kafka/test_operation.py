"""What an operator sees of Kafka: settings refused with a sentence, readiness, metrics, doctor."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.kafka_broker import KafkaBroker
from support.otlp import CHAT, protobuf
from support.receiver import Running, make_settings

from ecomind_query.commands import checks
from ecomind_query.health import readiness_of
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.kafka.config import (
    KafkaSettingError,
    consumer_options,
    parse_topics,
    producer_options,
    read_options,
)
from ecomind_receiver.server import Receiver
from ecomind_receiver.telemetry import prometheus_text
from ecomind_receiver.tenants import LOCAL, Tenant

OnKafka = Callable[[KafkaBroker], Running]


def test_topics_of_collectors_are_read_from_one_setting() -> None:
    assert parse_topics("") == {}
    assert parse_topics("a=org_a/web, b.c=org_b/api,") == {
        "a": Tenant("org_a", "web"),
        "b.c": Tenant("org_b", "api"),
    }


@pytest.mark.parametrize(
    "text", ["a", "a=org", "=org/p", "a=org/", "a=/p", "a=o/p/q", "a=o/p,a=o/q"]
)
def test_a_bad_topic_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValidationError, match=r"kafka_collector_topics(.|\n)*'a|'=org"):
        make_settings(tmp_path, kafka_collector_topics=text)


def test_options_of_the_operator_reach_the_client_and_ours_stay(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("# SASL\nsasl.mechanism = PLAIN\n\nsasl.password=a=b\nlinger.ms=7\n")
    settings = make_settings(tmp_path, kafka_brokers="k:9092", kafka_options_file=file)
    expected = {"sasl.mechanism": "PLAIN", "sasl.password": "a=b", "linger.ms": "7"}
    assert read_options(settings) == expected
    assert producer_options(settings).items() >= {**expected, "acks": "all"}.items()
    assert consumer_options(settings)["enable.auto.commit"] is False


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acks=1", "line 1: acks can't be set here; that nothing is lost depends on it"),
        ("\ngroup.id=x", "line 2: group.id can't be set here; set ECOMIND_KAFKA_GROUP instead"),
        ("no option", "line 1: write an option of librdkafka as name=value"),
    ],
)
def test_an_option_that_would_break_a_promise_is_refused(
    tmp_path: Path, text: str, expected: str
) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(text)
    with pytest.raises(KafkaSettingError, match=expected):
        read_options(make_settings(tmp_path, kafka_options_file=file))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, kafka_options_file=tmp_path / "none")
    with pytest.raises(KafkaSettingError, match=r"ECOMIND_KAFKA_OPTIONS_FILE\) can't be read"):
        read_options(settings)


def test_an_option_that_the_client_does_not_know_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("sasl.mechanisn=PLAIN\n")
    settings = make_settings(tmp_path, kafka_brokers="127.0.0.1:9", kafka_options_file=file)
    with pytest.raises(KafkaSettingError, match=r"OPTIONS_FILE says: .*sasl\.mechanisn"):
        asyncio.run(Receiver(settings, listeners=False).start())
    (found,) = checks.kafka(settings)
    assert "sasl.mechanisn" in found.detail


def told(receiver: Receiver) -> str:
    return readiness_of(receiver.status()).parts["kafka"].detail


def test_readiness_and_metrics_say_what_waits(
    shared_broker: KafkaBroker, on_kafka: OnKafka, topic: str
) -> None:
    shared_broker.create(topic)

    async def scenario() -> None:
        async with on_kafka(shared_broker)(spool_segment_max_seconds=600) as receiver:
            for number in (1, 2, 3):
                await receiver.accept(LOCAL, protobuf([CHAT], first_id=number), PROTOBUF)
            async with asyncio.timeout(60):
                while told(receiver) != "3 records wait to be stored":
                    await asyncio.sleep(0.05)
            assert readiness_of(receiver.status()).ready
            assert re.search(r"^ecomind_kafka_waiting{.*} 3\.0$", prometheus_text(receiver), re.M)
            assert re.search(
                r"^ecomind_kafka_lost_total{.*} 0\.0$", prometheus_text(receiver), re.M
            )
            assert receiver.status().load_lag_seconds > 0
            await receiver.drain()
            assert told(receiver) == "0 records wait to be stored"

    asyncio.run(scenario())


def test_doctor_looks_for_the_topics(
    shared_broker: KafkaBroker, tmp_path: Path, topic: str
) -> None:
    shared_broker.create(topic, 2)
    kafka = {"kafka_brokers": shared_broker.address, "kafka_topic": topic}
    settings = make_settings(tmp_path, **kafka, kafka_collector_topics="none=org_a/web")
    assert [(f.name, f.ok, f.detail) for f in checks.kafka(settings)] == [
        (f"topic {topic}", True, "2 partitions, 1 copies"),
        ("topic none", False, "is not there"),
    ]


def test_doctor_says_that_no_broker_answers(tmp_path: Path) -> None:
    (found,) = checks.kafka(make_settings(tmp_path, kafka_brokers="127.0.0.1:9"))
    assert (found.name, found.ok) == ("kafka", False)
    assert found.detail.startswith("127.0.0.1:9 can't be asked: ")
    assert list(checks.kafka(make_settings(tmp_path))) == []

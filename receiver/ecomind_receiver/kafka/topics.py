"""Whether the options are the client's, and what the brokers say of the configured topics."""

from __future__ import annotations

from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from ecomind_receiver.kafka.config import KafkaSettingError, admin_options, parse_topics
from ecomind_receiver.settings import Settings

_TIMEOUT_SECONDS = 5.0


def described(settings: Settings) -> dict[str, str]:
    """Each topic in words; empty if it is not there. Raises KafkaSettingError."""
    require_options(settings)
    names = [settings.kafka_topic, *parse_topics(settings.kafka_collector_topics)]
    try:
        found = AdminClient(admin_options(settings)).list_topics(timeout=_TIMEOUT_SECONDS).topics
    except KafkaException as error:
        raise KafkaSettingError(
            f"{settings.kafka_brokers} can't be asked: {error.args[0].str()}"
        ) from error
    return {name: _words(found[name].partitions) if name in found else "" for name in names}


def require_options(settings: Settings) -> None:
    """Raises KafkaSettingError if the client doesn't know an option, or not its value."""
    try:
        AdminClient(admin_options(settings))
    except KafkaException as error:
        raise KafkaSettingError(
            f"The Kafka client refuses what ECOMIND_KAFKA_OPTIONS_FILE says: {error.args[0].str()}."
        ) from error


def _words(partitions: Mapping[int, object]) -> str:
    copies = min(len(getattr(one, "replicas", ())) for one in partitions.values())
    return f"{len(partitions)} partitions, {copies} copies"

"""From settings to what librdkafka is told, for each of our three clients.

Whatever exactly-once hangs on is fixed here and refused in the options file; everything else
(SASL, TLS, sizes, timeouts of the network) is the operator's to set there.
"""

from __future__ import annotations

import logging
from typing import Any

from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import Tenant

log = logging.getLogger("ecomind.kafka")

DELIVERY_SECONDS = 8.0
"""How long a record may take to be durable: less than the 10 s that an OTLP exporter waits."""

QUEUE_MAX_BYTES = 128 * 1024 * 1024
"""Of requests, in clear, that wait for the brokers."""

_OURS = {
    "bootstrap.servers": "ECOMIND_KAFKA_BROKERS",
    "group.id": "ECOMIND_KAFKA_GROUP",
    **dict.fromkeys(
        (
            "acks", "request.required.acks", "enable.idempotence", "transactional.id",
            "message.timeout.ms", "delivery.timeout.ms", "queue.buffering.max.kbytes",
            "enable.auto.commit", "enable.auto.offset.store", "auto.offset.reset",
            "enable.partition.eof", "isolation.level", "partition.assignment.strategy",
            "group.protocol",
        ),
        "",
    ),
}  # fmt: skip
"""Options that are set here, and the setting that stands for one."""


class KafkaSettingError(ValueError):
    """Kafka can't be used as configured; the message says what to change."""


def parse_topics(text: str) -> dict[str, Tenant]:
    """Topics of Collectors and whose they are. Raises ValueError with a sentence."""
    found: dict[str, Tenant] = {}
    for written in filter(None, (part.strip() for part in text.split(","))):
        topic, _, whose = written.partition("=")
        org_id, _, project_id = whose.partition("/")
        if not (topic and org_id and project_id) or "/" in project_id:
            raise ValueError(
                f"{written!r} names no topic and project; write entries such as"
                " otlp_spans=org_acme/default, with commas between"
            )
        if topic in found:
            raise ValueError(f"{topic!r} is named twice; leave one of them out")
        found[topic] = Tenant(org_id, project_id)
    return found


def read_options(settings: Settings) -> dict[str, str]:
    """The options file. Raises KafkaSettingError."""
    path = settings.kafka_options_file
    if path is None:
        return {}
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise KafkaSettingError(
            f"{path} (ECOMIND_KAFKA_OPTIONS_FILE) can't be read: {reason}."
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = (part.strip() for part in line.partition("="))
        where = f"{path} (ECOMIND_KAFKA_OPTIONS_FILE), line {number}"
        if not equals or not name:
            raise KafkaSettingError(f"{where}: write an option of librdkafka as name=value.")
        if name in _OURS:
            instead = _OURS[name]
            fix = f"set {instead} instead" if instead else "that nothing is lost depends on it"
            raise KafkaSettingError(f"{where}: {name} can't be set here; {fix}.")
        found[name] = value
    return found


def producer_options(settings: Settings) -> dict[str, Any]:
    """Of a producer that calls a record sent when it is durable. Raises KafkaSettingError."""
    return {
        "message.max.bytes": min(_largest(settings), 1_000_000_000),  # the topic has its own limit
        "linger.ms": 5,
        **_common(settings),
        "acks": "all",
        "enable.idempotence": True,
        "message.timeout.ms": int(DELIVERY_SECONDS * 1000),
        "queue.buffering.max.kbytes": 2 * QUEUE_MAX_BYTES // 1024,  # ours is reached before
    }


def consumer_options(settings: Settings) -> dict[str, Any]:
    """Of a consumer that begins and commits where it is told to. Raises KafkaSettingError."""
    largest = max(_largest(settings), 52_428_800)
    return {
        "fetch.message.max.bytes": 4 * 1024 * 1024,
        "fetch.max.bytes": largest,
        "receive.message.max.bytes": largest + 1024 * 1024,
        "queued.max.messages.kbytes": 16 * 1024,  # a pause throws them away
        "topic.metadata.refresh.interval.ms": 30_000,
        "session.timeout.ms": 10_000,  # whose process was killed is missed for so long
        **_common(settings),
        "group.id": settings.kafka_group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
    }


def admin_options(settings: Settings) -> dict[str, Any]:
    """Of a client that only asks. Raises KafkaSettingError."""
    return _common(settings)


def import_client() -> None:
    """Raises KafkaSettingError if the client library is not installed."""
    try:
        import confluent_kafka  # noqa: F401  # whether it is there is all that is asked
    except ImportError:
        raise KafkaSettingError(
            "ECOMIND_KAFKA_BROKERS is set, and the Kafka client is not installed. Run:"
            " pip install 'ecomind[kafka]'"
        ) from None


def _largest(settings: Settings) -> int:
    """Bytes of the largest record: a request that can't be compressed, and what is around it."""
    return settings.request_max_bytes + 1024 * 1024


def _common(settings: Settings) -> dict[str, Any]:
    return {
        "client.id": "ecomind",
        "reconnect.backoff.max.ms": 1000,
        "log_level": 2,  # each refused connection is a line; that Kafka is away, we say once
        **read_options(settings),
        "bootstrap.servers": settings.kafka_brokers,
        "logger": log,
    }

"""A real Apache Kafka for tests: one broker in KRaft mode, on loopback, on disk, killed at will."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

JARS = Path(__file__).parents[1] / "kafka/jars"
_JAVA = shutil.which("java")
_START_SECONDS = 60.0

_CONFIGURATION = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={folder}/data
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=500
log.retention.check.interval.ms=500
log.initial.task.delay.ms=500
"""


def missing_kafka() -> str:
    """Why there is no Kafka to start; empty if there is one."""
    if _JAVA is None:
        return "Java is not installed; on Debian: apt-get install default-jre-headless"
    if not any(JARS.glob("kafka_*.jar")):
        return "Kafka's jars are not there; run `make kafka-jars`, which needs Maven"
    return ""


class KafkaBroker:
    """A broker that a test may kill and start again on the same port and folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        port, controller = _free_ports(2)
        self.address = f"127.0.0.1:{port}"
        self._configuration = folder / "server.properties"
        text = _CONFIGURATION.format(port=port, controller=controller, folder=folder)
        self._configuration.write_text(text)
        # A first byte of zero is an "A"; an id that begins with "-" is taken for an option.
        cluster = urlsafe_b64encode(b"\0" + uuid.uuid4().bytes[1:]).decode().rstrip("=")
        storage = ("kafka.tools.StorageTool", "format", "-t", cluster)
        done = subprocess.run(
            [*_java(), *storage, "-c", str(self._configuration)], capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self) -> None:
        """Return once it serves requests."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*_java(), "kafka.Kafka", str(self._configuration)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + _START_SECONDS
        admin = self.admin()
        while True:
            assert self._process.poll() is None, self.log()
            try:
                if admin.list_topics(timeout=1).brokers:
                    return
            except KafkaException:
                pass
            assert time.monotonic() < deadline, self.log()

    def kill(self) -> None:
        """End it at once (SIGKILL); what it had written stays."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it answer nothing, with its connections open."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        """The end of what it said."""
        return (self._folder / "log").read_text(errors="replace")[-3000:]

    def admin(self) -> AdminClient:
        """A plain client, to look and to change."""
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def create(self, topic: str, partitions: int = 1, **config: str) -> None:
        """Make a topic; `config` with underscores for dots."""
        options = {name.replace("_", "."): value for name, value in config.items()}
        made = NewTopic(topic, partitions, 1, config=options)
        admin = self.admin()  # held: its requests end with it
        admin.create_topics([made])[topic].result(30)

    def grow(self, topic: str, partitions: int) -> None:
        """Give a topic more partitions."""
        admin = self.admin()
        admin.create_partitions([NewPartitions(topic, partitions)])[topic].result(30)

    def delete(self, topic: str) -> None:
        """Delete a topic."""
        admin = self.admin()
        admin.delete_topics([topic])[topic].result(30)

    def truncate(self, topic: str, offset: int) -> None:
        """Delete what a partition of a topic holds before the offset."""
        admin, upto = self.admin(), TopicPartition(topic, 0, offset)
        for deleted in admin.delete_records([upto]).values():
            deleted.result(30)

    def send(
        self,
        topic: str,
        *values: bytes,
        partition: int = 0,
        compression: str = "none",
        headers: dict[str, str | bytes | None] | None = None,
    ) -> None:
        """Write plain records."""
        options = {"bootstrap.servers": self.address, "compression.type": compression}
        producer = Producer({"acks": "all", **options})
        for value in values:
            producer.produce(topic, value, partition=partition, headers=headers or {})
        assert producer.flush(30) == 0

    def records(self, topic: str, partition: int = 0) -> list[bytes]:
        """The values of a partition, from its beginning."""
        options = {
            "bootstrap.servers": self.address,
            "group.id": "inspector",
            "enable.auto.commit": "false",
            "enable.partition.eof": "true",
            "auto.offset.reset": "earliest",
        }
        with Consumer(options) as consumer:
            consumer.assign([TopicPartition(topic, partition, 0)])
            values = []
            while (message := consumer.poll(10)) is not None and not message.error():
                values.append(message.value() or b"")
            return values


@contextmanager
def kafka_broker() -> Iterator[KafkaBroker]:
    """A started broker, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="ecomind-kafka-") as folder:
        broker = KafkaBroker(Path(folder))
        broker.start()
        try:
            yield broker
        finally:
            broker.kill()


def _java() -> list[str]:
    assert _JAVA, missing_kafka()
    heap = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return [_JAVA, *heap, "-cp", f"{JARS}/*"]


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports

"""Requests become records; each is acknowledged when the brokers have confirmed it, and not before.

Two threads: one compresses, encrypts and produces whatever is pending, the other waits for delivery
reports. A record that is not confirmed in time is refused, so that its sender keeps it; if it had
been written all the same, the same spans come twice, which is what reconcile is for.
"""

from __future__ import annotations

import functools
import logging
import math
import threading
import time

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from ecomind_receiver.kafka.config import DELIVERY_SECONDS, QUEUE_MAX_BYTES, producer_options
from ecomind_receiver.kafka.record import About, Sealer, sent_by
from ecomind_receiver.kafka.watch import reason
from ecomind_receiver.kinds import Kind
from ecomind_receiver.pending import Pending, RecordTooLarge, SpoolFull, resolve
from ecomind_receiver.settings import Settings
from ecomind_receiver.shares import Shares
from ecomind_receiver.store import describe

log = logging.getLogger("ecomind.kafka")

_NS_PER_MS = 1_000_000
_WAIT_SECONDS, _LATE_SECONDS = 0.1, 10.0
_BATCH_BYTES = 1_000_000
"""What librdkafka may send as one; a record that is refused and smaller is not itself too large."""


class Sender:
    """The idempotent producer of one process, its threads, and what it holds."""

    def __init__(self, settings: Settings, spool_key: bytes, *, shared: bool = False) -> None:
        """`shared`: several organisations use it, and none may fill it for the others."""
        self.held_bytes = 0
        self._refused = ""
        self._refused_at = -math.inf
        self._topic = settings.kafka_topic
        self._options = producer_options(settings)
        self._sealer = Sealer(spool_key)
        self._shared = shared
        self._shares = Shares(QUEUE_MAX_BYTES)
        self._wake = threading.Condition()
        self._pending: list[Pending] = []
        self._closing = False
        self._is_broken = False
        self._producer = self._connect()
        self._threads = [
            threading.Thread(target=self._send, name="kafka-sender", daemon=True),
            threading.Thread(target=self._report, name="kafka-reports", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    @property
    def error(self) -> str:
        """Why what was sent of late was not confirmed; empty if it was, or nothing was sent."""
        is_late = time.monotonic() - self._refused_at < _LATE_SECONDS
        return self._refused if is_late else ""

    def require_room(self, org_id: str, size_bytes: int) -> None:
        """Raises SpoolFull if a record of this size would not be taken now."""
        if self.held_bytes + size_bytes > QUEUE_MAX_BYTES:
            raise SpoolFull("too much waits for Kafka to confirm it", "kafka")
        if self._shared and not self._shares.admits(org_id, size_bytes, self.held_bytes):
            raise SpoolFull(
                "much waits for Kafka to confirm it, most of it this organisation's", "spool_share"
            )

    async def append(self, org_id: str, record: list[bytes], spans: int, kind: Kind) -> None:
        """Return once the brokers have confirmed it. Raises SpoolFull or RecordTooLarge."""
        request = Pending.of(org_id, record, spans, kind)
        size = request.size_bytes
        self.require_room(org_id, size)
        with self._wake:
            if self._closing:
                raise SpoolFull("the receiver is stopping", "stopping")
            self._shares.hold(org_id, size)
            self.held_bytes += size
            self._pending.append(request)
            self._wake.notify()
        await request.done

    def close(self) -> None:
        """Take nothing more; return when what was taken is confirmed or refused."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        for thread in self._threads:
            thread.join()

    def _connect(self) -> Producer:
        return Producer({**self._options, "error_cb": self._noticed})

    def _noticed(self, error: KafkaError) -> None:
        if error.fatal():
            self._is_broken = True  # it takes nothing any more; the next one starts afresh

    def _send(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._pending or self._closing)
                batch, self._pending = self._pending, []
                if not batch:
                    return
            for request in batch:
                try:
                    self._produce(request)
                except BufferError:
                    self._resolve(
                        request, SpoolFull("too much waits for Kafka to confirm it", "kafka")
                    )
                except Exception as error:
                    self._refuse(request, error)

    def _produce(self, request: Pending) -> None:
        tenant, received_ns = sent_by(request.parts)
        about = About(tenant, request.spans, request.kind)
        value = self._sealer.seal(b"".join(request.parts), about)
        self._producer.produce(
            self._topic,
            value,
            headers=[*about.headers()],
            timestamp=received_ns // _NS_PER_MS,
            on_delivery=functools.partial(self._delivered, request, len(value)),
        )

    def _report(self) -> None:
        while self._threads[0].is_alive() or len(self._producer):
            self._producer.poll(_WAIT_SECONDS)
            if self._is_broken:
                log.error("the producer is made anew")
                broken, self._producer, self._is_broken = self._producer, self._connect(), False
                broken.purge()
                broken.flush(DELIVERY_SECONDS)

    def _delivered(
        self, request: Pending, size_bytes: int, error: KafkaError | None, message: Message
    ) -> None:
        if error is None:
            self._refused = ""
            self._resolve(request, None)
        elif error.code() == KafkaError.MSG_SIZE_TOO_LARGE and size_bytes > _BATCH_BYTES:
            self._resolve(request, _too_large(size_bytes))
        else:
            self._refuse(request, KafkaException(error))

    def _refuse(self, request: Pending, error: Exception) -> None:
        told = reason(error) if isinstance(error, KafkaException) else describe(error)
        self._refused = f"Kafka does not confirm what is sent to it: {told}"
        self._refused_at = time.monotonic()
        # Where, and why, is for the operator: /ready and doctor say it.
        self._resolve(request, SpoolFull("Kafka has not confirmed it in time", "kafka"))

    def _resolve(self, request: Pending, error: Exception | None) -> None:
        with self._wake:
            self.held_bytes -= request.size_bytes
        self._shares.release({request.org_id: request.size_bytes})
        resolve([request], error)


def _too_large(size_bytes: int) -> RecordTooLarge:
    return RecordTooLarge(
        f"The request is larger ({size_bytes} bytes, compressed) than Kafka takes: send smaller"
        " batches, or raise max.message.bytes of the topic."
    )

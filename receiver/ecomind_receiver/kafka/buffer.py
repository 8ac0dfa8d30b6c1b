"""Kafka where the local spool would be: what a receiver appends to and a loader takes from.

Sending and reading are apart and meet only in the topic, so several receivers and several readers
share it; what waits is asked of Kafka itself and not counted here.
"""

from __future__ import annotations

import queue
import time

from ecomind_receiver.batch import Batch, Topics
from ecomind_receiver.kafka.batch import KafkaBatch
from ecomind_receiver.kafka.config import QUEUE_MAX_BYTES, KafkaSettingError, parse_topics
from ecomind_receiver.kafka.consumer import Reader
from ecomind_receiver.kafka.plans import Plans
from ecomind_receiver.kafka.producer import Sender
from ecomind_receiver.kafka.record import Opener
from ecomind_receiver.kafka.topics import require_options
from ecomind_receiver.kafka.watch import Watch
from ecomind_receiver.kinds import Kind
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Tenant

_NS_PER_S = 1_000_000_000


class KafkaBuffer:
    """The topic of one Ecomind, seen from one process; it offers what `Spool` does."""

    def __init__(
        self, settings: Settings, secrets: Secrets, store: Store, *, shared: bool = False
    ) -> None:
        """Raises KafkaSettingError. `shared`: several organisations send through it."""
        waiting = list((settings.data_dir / "spool").glob("*.seg"))
        if waiting:
            raise KafkaSettingError(
                f"{settings.data_dir / 'spool'} holds {len(waiting)} segments that are not stored."
                " Start once without ECOMIND_KAFKA_BROKERS and stop again: that stores them."
            )
        topics: dict[str, Tenant | None] = {settings.kafka_topic: None}
        topics |= parse_topics(settings.kafka_collector_topics)
        require_options(settings)
        plans = Plans(store)
        self.sealed: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self._touched_ns = time.time_ns()
        self._watch = Watch(settings, topics, plans)
        self._sender = Sender(settings, secrets.spool, shared=shared)
        opener = Opener(secrets.spool)
        self._reader = Reader(
            settings, opener, plans, secrets.pseudonym_key, self._watch, self.sealed, topics
        )

    @property
    def error(self) -> str:
        """Why nothing can be taken now; empty if all is well."""
        return self._watch.error or self._sender.error

    @property
    def topics(self) -> Topics:
        """What is in Kafka, of all receivers."""
        lost = self._reader.lost
        told = (
            f"Kafka deleted {lost} records before they were stored: raise the retention of"
            " its topics, and look why the store was behind."
        )
        error = self._reader.error or (told if lost else "")
        return Topics(self._watch.seen.waiting, lost, error)

    @property
    def segments(self) -> int:
        """Batches in hand."""
        return self._reader.segments

    @property
    def size_bytes(self) -> int:
        """Bytes that wait for Kafka to confirm them."""
        return self._sender.held_bytes

    @property
    def max_bytes(self) -> int:
        """How many may wait."""
        return QUEUE_MAX_BYTES

    @property
    def busy(self) -> bool:
        """Whether anything that was in Kafka when `seal` was called, or came since, may wait."""
        seen = self._watch.seen
        is_settled = seen.as_of_ns > self._touched_ns and not seen.waiting
        return bool(self._sender.held_bytes or self._reader.segments or not is_settled)

    async def append(self, org_id: str, record: list[bytes], spans: int, kind: Kind) -> None:
        """Return once Kafka has confirmed the record. Raises SpoolFull or RecordTooLarge."""
        await self._sender.append(org_id, record, spans, kind)
        self._touched_ns = time.time_ns()

    def require_room(self, org_id: str, size_bytes: int) -> None:
        """Raises SpoolFull if a record of this size would not be taken now."""
        self._sender.require_room(org_id, size_bytes)

    def seal(self) -> None:
        """Cut batches now, and look at what waits."""
        self._touched_ns = time.time_ns()
        self._reader.hurry()
        self._watch.hurry()

    def loaded(self, item: Batch) -> None:
        """The loader is done with a batch."""
        assert isinstance(item, KafkaBatch)
        self._reader.loaded(item)

    def postponed(self, item: Batch, seconds: float) -> None:
        """What waits in Kafka takes no room here, so nobody is told to wait for it."""

    def oldest_ns(self) -> int:
        """No record that is not stored yet, of any receiver, was received before; ns since 1970."""
        return self._watch.oldest_ns()

    def lag_seconds(self) -> float:
        """How long records wait at most to be stored; 0 if none does."""
        seen = self._watch.seen
        return max(time.time_ns() - seen.since_ns, 0) / _NS_PER_S if seen.waiting else 0.0

    def close(self) -> None:
        """Confirm what was taken, leave the group, end the queue."""
        self._sender.close()
        self._reader.close()
        self._watch.stop()
        self.sealed.put(None)

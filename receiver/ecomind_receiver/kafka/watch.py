"""How far Kafka is ahead of the store: over all partitions, whoever reads them.

Asked of the brokers every second, by offsets alone. A record is received before it is written, and
at most the time of a delivery before; so when a partition was seen with everything stored, or up to
when its last stored batch reaches, says since when what is not stored yet can have been received.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka import admin as kafka_admin

from ecomind_receiver.kafka.config import DELIVERY_SECONDS, admin_options, consumer_options
from ecomind_receiver.kafka.plans import Place, Plans
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import describe

log = logging.getLogger("ecomind.kafka")

SPREAD_SECONDS = 2 * DELIVERY_SECONDS
"""How much later than it was received a record may be written, a delivery that was given up and
came through all the same included."""

_SECONDS, _HURRIED_SECONDS, _HURRY_SECONDS, _TIMEOUT_SECONDS = 1.0, 0.05, 10.0, 5.0
_NS_PER_S = 1_000_000_000
OffsetSpec: Any = vars(kafka_admin)["OffsetSpec"]  # public, but neither typed nor in __all__


class Topic(NamedTuple):
    """One creation of a topic."""

    id: str
    partitions: tuple[int, ...]


class Seen(NamedTuple):
    """What was found, and when asking began."""

    as_of_ns: int = 0
    since_ns: int = 0  # no record that waits was written before
    waiting: int = 0  # offsets that are not stored yet


class Watch:
    """One thread that asks, and what it found last."""

    def __init__(self, settings: Settings, topics: Iterable[str], plans: Plans) -> None:
        self.error = "Kafka was not asked yet"
        self.seen = Seen()
        self.topics: Mapping[str, Topic] = {}
        self._names = list(topics)
        self._brokers = settings.kafka_brokers
        self._plans = plans
        self._group = Consumer(consumer_options(settings))  # never a member: it only asks
        self._admin = kafka_admin.AdminClient(admin_options(settings))
        self._cluster = ""
        self._empty_ns: dict[Place, int] = {}
        self._reached: dict[Place, tuple[int, int]] = {}
        self._woken = threading.Event()
        self._hurried_until = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="kafka-watch", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Look again now, and often for a while."""
        self._hurried_until = time.monotonic() + _HURRY_SECONDS
        self._woken.set()

    def oldest_ns(self) -> int:
        """No record that is not stored yet was received before; ns since 1970."""
        return max(self.seen.since_ns - int(SPREAD_SECONDS * _NS_PER_S), 0)

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._woken.set()
        self._thread.join()
        self._group.close()

    def look(self) -> None:
        """Ask once. Raises what the client or the store raises."""
        as_of_ns = time.time_ns()
        self.topics = self._describe()
        places = [
            Place(topic.id, name, number)
            for name, topic in self.topics.items()
            for number in topic.partitions
        ]
        ends = self._offsets(places, OffsetSpec.latest())
        committed = self._committed(places)
        new = [place for place in places if committed.get(_key(place), -1) < 0]
        starts = self._offsets(new, OffsetSpec.earliest()) if new else {}
        waiting, since_ns = 0, as_of_ns
        for place in places:
            stored = max(committed.get(_key(place), -1), starts.get(place, 0))
            end = ends[place]
            left = end - stored if stored <= end else end  # beyond: of a topic that was made anew
            if left:
                waiting += left
                since_ns = min(since_ns, self._reaches(place, stored))
            else:
                self._empty_ns[place] = as_of_ns
        self.seen = Seen(as_of_ns, since_ns, waiting)

    def _reaches(self, place: Place, stored: int) -> int:
        """When what lies before the offset `stored` had all been written."""
        known = self._reached.get(place)
        if known is None or known[0] != stored:
            found = self._plans.before(place, stored)
            known = self._reached[place] = stored, found.newest_ns if found else 0
        return max(known[1], self._empty_ns.get(place, 0))

    def _run(self) -> None:
        while not self._stopping:
            try:
                self.look()
                missing = sorted(set(self._names) - set(self.topics))
                self.error = "".join(f"Kafka has no topic {name}: create it. " for name in missing)
            except Exception as error:
                self._fail(error)
            hurried = time.monotonic() < self._hurried_until
            self._woken.wait(_HURRIED_SECONDS if hurried else _SECONDS)
            self._woken.clear()

    def _fail(self, error: Exception) -> None:
        told = reason(error)
        text = f"Kafka at {self._brokers} (ECOMIND_KAFKA_BROKERS) can't be asked: {told}"
        if text != self.error:
            log.warning("kafka can't be asked", extra={"error": told})
        self.error = text

    def _describe(self) -> dict[str, Topic]:
        """Those that are there."""
        if not self._cluster:
            self._cluster = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).cluster_id or ""
        asked = self._admin.describe_topics(
            TopicCollection(self._names), request_timeout=_TIMEOUT_SECONDS
        )
        found: dict[str, Topic] = {}
        for name, future in asked.items():
            try:
                told = future.result()
            except KafkaException as error:
                if is_unknown_topic(error):
                    continue
                raise
            numbers = tuple(sorted(partition.id for partition in told.partitions))
            found[name] = Topic(f"{self._cluster}/{name}/{told.topic_id}", numbers)
        return found

    def _offsets(self, places: list[Place], spec: Any) -> dict[Place, int]:
        by_key = {_key(place): place for place in places}
        asked = self._admin.list_offsets(
            {TopicPartition(*key): spec for key in by_key},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=_TIMEOUT_SECONDS,
        )
        return {by_key[p.topic, p.partition]: f.result().offset for p, f in asked.items()}

    def _committed(self, places: list[Place]) -> dict[tuple[str, int], int]:
        """Asked through a client with a group: an admin client crashes while a group is moved."""
        wanted = [TopicPartition(*_key(place)) for place in places]
        found = self._group.committed(wanted, timeout=_TIMEOUT_SECONDS) if wanted else []
        return {(p.topic, p.partition): p.offset for p in found}


def is_unknown_topic(error: KafkaException) -> bool:
    """Whether it says that there is no such topic."""
    return bool(error.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART)


def reason(error: Exception) -> str:
    """What an error of the client says; of others, what is safe to say."""
    return str(error.args[0].str()) if isinstance(error, KafkaException) else describe(error)


def _key(place: Place) -> tuple[str, int]:
    return place.topic, place.partition

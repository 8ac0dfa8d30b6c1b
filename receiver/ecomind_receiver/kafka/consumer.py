"""Reads the topics as a member of the group, and cuts what was read into batches.

One thread polls, always, so that the group never takes a slow store for a dead member: a partition
that is ahead of the loader is paused instead. No other thread touches the client, which may hang
when one does; loader threads leave word of what they have stored, and it is committed from here.
When a partition is taken away, its batch in hand is given a moment to be stored; if that is too
short, whoever gets the partition loads the same batch, and it is stored once all the same.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping

from confluent_kafka import (
    OFFSET_BEGINNING,
    OFFSET_INVALID,
    Consumer,
    KafkaError,
    Message,
    TopicPartition,
)

from ecomind_receiver.batch import Batch
from ecomind_receiver.kafka.batch import KafkaBatch, Reading
from ecomind_receiver.kafka.config import consumer_options
from ecomind_receiver.kafka.partition import Partition, begin
from ecomind_receiver.kafka.plans import Place, Plans
from ecomind_receiver.kafka.record import Opener
from ecomind_receiver.kafka.watch import Watch, reason
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import Tenant

log = logging.getLogger("ecomind.kafka")

_POLL_SECONDS, _POLL_RECORDS = 0.05, 1000
_ASK_SECONDS, _RETRY_SECONDS = 5.0, 1.0
_PASSING = (KafkaError._ALL_BROKERS_DOWN, KafkaError._TRANSPORT, KafkaError._RESOLVE)
"""Told by the watch, which also says when they have passed."""
_HAND_OVER_SECONDS, _HURRY_SECONDS = 10.0, 30.0
_NS_PER_S = 1_000_000_000
_SEGMENTS_IN_MEMORY = 3
"""How much is fetched at most, in sizes of a segment, in clear."""


class Reader:
    """The group's member in this process, and the batches it has in hand."""

    def __init__(
        self,
        settings: Settings,
        opener: Opener,
        plans: Plans,
        pseudonym_key: Callable[[str, int], tuple[int, int]],
        watch: Watch,
        sealed: queue.SimpleQueue[Batch | None],
        topics: Mapping[str, Tenant | None],
    ) -> None:
        """`topics`: those to read, and whose a Collector's topic is."""
        self.error = ""
        self.lost = 0  # offsets that Kafka deleted before they were stored
        self.segments = 0
        self._settings = settings
        self._reading = Reading(opener, plans, pseudonym_key, self._commit)
        self._plans = plans
        self._watch = watch
        self._sealed = sealed
        self._topics = topics
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._changed = threading.Condition()
        self._commits: dict[Place, int] = {}
        self._sent: dict[Place, int] = {}
        self._hurried_ns = 0
        self._closing = False
        self._retry_at = 0.0
        self._consumer = Consumer({**consumer_options(settings), "on_commit": self._committed})
        self._consumer.subscribe(
            list(topics), on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost
        )
        self._thread = threading.Thread(target=self._run, name="kafka-reader", daemon=True)
        self._thread.start()

    @property
    def size_bytes(self) -> int:
        """Bytes that were fetched and are not stored yet."""
        with self._changed:
            parts = list(self._partitions.values())
        return sum(p.size_bytes + (p.loading.size_bytes if p.loading else 0) for p in parts)

    def hurry(self) -> None:
        """Cut what is there, without waiting for its age, until it is stored."""
        self._hurried_ns = time.time_ns()

    def loaded(self, item: KafkaBatch) -> None:
        """A loader is done with a batch."""
        with self._changed:
            self.segments -= 1
            found = self._partitions.get((item.place.topic, item.place.partition))
            if found is not None and found.loading is item:
                found.loading = None
                if not item.wanted:
                    found.clear()  # another's plan stands: find it
            self._changed.notify_all()

    def close(self) -> None:
        """Give what is in hand a moment to be stored, then leave the group."""
        self._closing = True
        self._thread.join()

    def _run(self) -> None:
        while not self._closing:
            try:
                for message in self._consumer.consume(_POLL_RECORDS, _POLL_SECONDS):
                    self._take(message)
                self._send_commits()
                self._find_beginnings()
                self._cut()
                self._hold_back()
            except Exception as error:
                self._fail(f"Kafka can't be read: {reason(error)}")
                for found in self._partitions.values():
                    found.clear()  # some of what came may be missing: read on from what is stored
                time.sleep(_RETRY_SECONDS)
        self._await(list(self._partitions.values()))
        self._send_commits()
        self._consumer.close()

    def _take(self, message: Message) -> None:
        error = message.error()
        found = self._partitions.get((message.topic() or "", message.partition() or 0))
        if found is None:
            if error is not None and error.code() not in _PASSING:
                self._fail(f"Kafka can't be read: {error.str()}")
            return
        if error is None:
            self.error = ""
            found.add(message)
        elif error.code() == KafkaError._PARTITION_EOF:
            self.error = ""
            found.reach(message.offset() or 0)
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            found.moved = True  # what comes next is not there any more
        elif error.code() not in _PASSING:
            self._fail(f"{found.topic}/{found.number} can't be read: {error.str()}")

    def _find_beginnings(self) -> None:
        """Begin partitions that are new here, whose topic was made anew, or whose data is gone."""
        for found in self._partitions.values():
            topic = self._watch.topics.get(found.topic)
            if topic is not None and found.place is not None and found.place.topic_id != topic.id:
                found.moved = True
        wanted = [p for p in self._partitions.values() if p.idle and (p.moved or p.place is None)]
        if not wanted or time.monotonic() < self._retry_at:
            return
        self._retry_at = time.monotonic() + _RETRY_SECONDS
        seen = [(p, t) for p in wanted if (t := self._watch.topics.get(p.topic)) is not None]
        for found, topic in seen:
            self._begin(found, Place(topic.id, found.topic, found.number))
        if len(seen) == len(wanted):
            self.error = ""
            self._retry_at = 0.0

    def _begin(self, found: Partition, place: Place) -> None:
        asked = TopicPartition(found.topic, found.number)
        low, high = self._consumer.get_watermark_offsets(asked, timeout=_ASK_SECONDS)
        committed = self._consumer.committed([asked], timeout=_ASK_SECONDS)[0].offset
        if self._plans.is_made_again(place):
            committed = OFFSET_INVALID  # Kafka may not have forgotten the old topic's yet
        beginning = begin(self._plans.newest(place), committed, low, high)
        self._lose(place, beginning.lost)
        if beginning.fetch_from < committed:
            told = {"partition": str(place), "offset": beginning.first, "group": committed}
            log.warning("the store is behind the group's offset and reads again", extra=told)
        if any(_key(one) == _key(asked) for one in self._consumer.assignment()):
            self._consumer.incremental_unassign([asked])
        asked.offset = beginning.fetch_from
        self._consumer.incremental_assign([asked])
        self._consumer.resume([asked])
        found.start(place, beginning)
        found.paused = False
        if beginning.standing is None and committed != beginning.first:
            self._commit(place, beginning.first)  # how far the store is, for all to see

    def _cut(self) -> None:
        seen, hurried_ns = self._watch.seen, self._hurried_ns
        is_stored = seen.as_of_ns > hurried_ns and not seen.waiting  # what it was about
        is_recent = time.time_ns() - hurried_ns < _HURRY_SECONDS * _NS_PER_S
        hurry = is_recent and not is_stored
        for found in list(self._partitions.values()):
            if not found.is_due(self._settings, hurry) or found.place is None:
                continue
            if found.standing is not None:
                self._lose(found.place, found.standing.last + 1 - found.next)
            borders, records, standing, whole = found.cut()
            batch = KafkaBatch(
                self._reading,
                found.place,
                borders,
                records,
                tenant=found.tenant,
                standing=standing,
                whole=whole,
            )
            with self._changed:
                found.loading = batch
                self.segments += 1
            self._sealed.put(batch)
        for found in self._partitions.values():
            if found.place is not None and found.pass_marks():
                self._commit(found.place, found.first)

    def _hold_back(self) -> None:
        """Pause what is ahead of the loader, and let go on what is not."""
        most = _SEGMENTS_IN_MEMORY * self._settings.spool_segment_max_bytes
        too_much = self.size_bytes > most
        for found in self._partitions.values():
            ahead = found.loading is not None and found.is_full(self._settings)
            pause = too_much or ahead or found.place is None
            if pause != found.paused:
                found.paused = pause
                change = self._consumer.pause if pause else self._consumer.resume
                change([TopicPartition(found.topic, found.number)])

    def _commit(self, place: Place, offset: int) -> None:
        """Tell the group, as soon as the polling thread comes by."""
        with self._changed:
            self._commits[place] = offset

    def _send_commits(self) -> None:
        """The store knows already how far it is, so nobody waits for the answer."""
        with self._changed:
            commits, self._commits = self._commits, {}
        for place, offset in commits.items():
            if (place.topic, place.partition) not in self._partitions:
                continue  # another's by now, who may be further
            self._sent[place] = offset
            reached = TopicPartition(place.topic, place.partition, offset)
            self._consumer.commit(offsets=[reached], asynchronous=True)

    def _committed(self, error: KafkaError | None, partitions: list[TopicPartition]) -> None:
        """Send again what was refused, as while a group is moved: what waits is told by it."""
        for one in partitions:
            refused = error or one.error
            found = self._partitions.get(_key(one))
            if refused is None or found is None or found.place is None:
                continue
            log.warning("kafka refused an offset", extra={"error": refused.str()})
            if self._sent.get(found.place) == one.offset:
                with self._changed:
                    self._commits.setdefault(found.place, one.offset)

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        for one in partitions:
            tenant = self._topics[one.topic]
            with self._changed:
                self._partitions[one.topic, one.partition] = Partition(
                    one.topic, one.partition, tenant, paused=True
                )
            one.offset = OFFSET_BEGINNING  # until its beginning is found; nothing is taken before
        consumer.incremental_assign(partitions)
        consumer.pause(partitions)
        self._retry_at = 0.0

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._await([p for one in partitions if (p := self._partitions.get(_key(one)))])
        self._send_commits()
        self._lost(consumer, partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """They are another's by now; a batch that is being stored ends, and is not tried again."""
        with self._changed:
            for one in partitions:
                found = self._partitions.pop(_key(one), None)
                if found is not None and found.loading is not None:
                    found.loading.wanted = False
        consumer.incremental_unassign(partitions)

    def _await(self, parts: list[Partition]) -> None:
        """Give batches in hand a moment; what is not stored then is left to who comes next."""
        with self._changed:
            self._changed.wait_for(
                lambda: not any(p.loading for p in parts), timeout=_HAND_OVER_SECONDS
            )
            for found in parts:
                if found.loading is not None:
                    found.loading.wanted = False

    def _lose(self, place: Place, offsets: int) -> None:
        if offsets > 0:
            self.lost += offsets
            told = {"partition": str(place), "offsets": offsets}
            log.error("kafka deleted records before they were stored", extra=told)

    def _fail(self, error: str) -> None:
        if error != self.error:
            log.warning("kafka can't be read", extra={"error": error})
        self.error = error


def _key(partition: TopicPartition) -> tuple[str, int]:
    return partition.topic, partition.partition

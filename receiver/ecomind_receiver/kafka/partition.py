"""One assigned partition: what was fetched of it, and where its next batch begins and ends.

The borders of a batch must be those of whoever reads it again. So a partition begins where the
store says (`begin`), has one batch in hand at a time, and where a plan stands for a beginning, its
end is taken from it and not from what happens to be there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import NamedTuple

from confluent_kafka import Message

from ecomind_receiver.kafka.batch import KafkaBatch, headers_of
from ecomind_receiver.kafka.plans import Place, Standing
from ecomind_receiver.kafka.record import SPANS, clear_bytes
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import Tenant

_DIGITS = 10  # of a number that nothing has proven yet
_SPAN_BYTES = 128  # of a Collector's record, in which they are not counted yet


class Beginning(NamedTuple):
    """Where a partition's next batch begins."""

    first: int
    fetch_from: int  # after `first` if Kafka has deleted what was there
    standing: Standing | None
    lost: int  # offsets that were deleted before they were stored


def begin(newest: Standing | None, committed: int, low: int, high: int) -> Beginning:
    """Where to go on, from the store's newest plan and the group's offset (negative: none).

    The partition holds offsets from `low` on, and `high` will be the next. The store decides: what
    it has planned last is read again unless the group says that it is stored; an offset of the
    group that is further than the store (which then was restored from a backup) is passed over.
    """
    standing: Standing | None = None
    if newest is None:
        first = committed if 0 <= committed <= high else low
    elif committed > newest.last:
        first = newest.last + 1
    else:
        first, standing = newest.first, newest
    lost = max(low - first, 0)
    if standing is not None and standing.last < low:
        standing = None
    if lost and standing is None:
        first = low
    return Beginning(first, max(first, low), standing, lost)


@dataclass
class Partition:
    """What is known of one partition; `place` is None until its beginning is found."""

    topic: str
    number: int
    tenant: Tenant | None  # of a Collector's topic
    place: Place | None = None
    first: int = 0
    next: int = 0
    stored_ns: int = 0
    standing: Standing | None = None
    whole: bool = True
    records: list[Message] = field(default_factory=list)
    spans: int = 0
    size_bytes: int = 0
    opened: float = 0.0
    loading: KafkaBatch | None = None
    paused: bool = False
    moved: bool = False  # its beginning must be found again, once what is here is stored

    def start(self, place: Place, beginning: Beginning) -> None:
        """Begin there, with nothing fetched."""
        self.clear()
        self.place, self.first, self.next = place, beginning.first, beginning.fetch_from
        self.standing = beginning.standing
        self.whole = beginning.fetch_from == beginning.first
        self.moved = False

    def clear(self) -> None:
        """Forget what was fetched, and where it was."""
        self.place = None
        self.records, self.spans, self.size_bytes = [], 0, 0

    def add(self, message: Message) -> None:
        """Take a record, unless it was taken before."""
        offset = message.offset()
        if self.place is None or offset is None or offset < self.next:
            return
        if not self.records:
            self.opened = time.monotonic()
        self.records.append(message)
        self.next = offset + 1
        self._count(message)

    def reach(self, offset: int) -> None:
        """Nothing is left before this offset: what lies between are marks of transactions."""
        if self.place is not None:
            self.next = max(self.next, offset)

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in hand."""
        return self.loading is None and not self.records

    def is_full(self, settings: Settings) -> bool:
        """Whether what was fetched is a batch already."""
        return (
            self.spans >= settings.spool_segment_max_spans
            or self.size_bytes >= settings.spool_segment_max_bytes
        )

    def is_due(self, settings: Settings, hurry: bool) -> bool:
        """Whether a batch is to be cut now."""
        if self.place is None or self.loading is not None:
            return False
        if self.standing is not None:
            return self.moved or self.next > self.standing.last
        age_seconds = time.monotonic() - self.opened
        is_old = age_seconds >= settings.spool_segment_max_seconds
        return bool(self.records) and (hurry or self.moved or is_old or self.is_full(settings))

    def pass_marks(self) -> bool:
        """Begin behind marks of transactions if nothing else came; whether there were any."""
        is_clean = self.idle and self.standing is None and not self.moved
        if not is_clean or self.next == self.first:
            return False
        self.first = self.next
        return True

    def cut(self) -> tuple[tuple[int, int], list[Message], Standing | None, bool]:
        """The next batch: its borders, records and plan, and whether they are all there."""
        standing = self.standing
        last = self.next - 1 if standing is None else standing.last
        whole = self.whole and self.next > last
        taken = [m for m in self.records if (m.offset() or 0) <= last]
        left = self.records[len(taken) :]
        borders = self.first, last
        self.first, self.standing, self.whole = last + 1, None, True
        self.records, self.spans, self.size_bytes = left, 0, 0
        for message in left:
            self._count(message)
        return borders, taken, standing, whole

    def _count(self, message: Message) -> None:
        value = message.value() or b""
        self.size_bytes += max(len(value), clear_bytes(value))
        if self.tenant is not None:
            self.spans += 1 + len(value) // _SPAN_BYTES
            return
        said = dict(headers_of(message)).get(SPANS, b"")
        self.spans += int(said) if said.isdigit() and len(said) < _DIGITS else 1

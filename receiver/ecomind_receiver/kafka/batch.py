"""A range of one partition's offsets, loaded as one segment exactly once.

Its token is the topic's id, the partition and the range, so that the same range can be stored only
once and no other range is taken for it. A record that can't be read is set aside with its reason,
and the others are loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from confluent_kafka import Message

from ecomind_receiver import plan
from ecomind_receiver.frame import FrameError, count_protobuf
from ecomind_receiver.kafka.plans import Place, Plans, Standing
from ecomind_receiver.kafka.record import Headers, Opener, RecordError, read_headers
from ecomind_receiver.kinds import ALL, Kind
from ecomind_receiver.segment import Contents, Damaged
from ecomind_receiver.spool import envelope
from ecomind_receiver.tenants import Tenant

_CLAIMED_MAX_SPANS = 1_000_000
_NS_PER_MS, _NS_PER_S = 1_000_000, 1_000_000_000


class Superseded(Exception):
    """Another process has decided on this part of the topic, and its decision stands."""


@dataclass(frozen=True)
class Reading:
    """What every batch is read with."""

    opener: Opener
    plans: Plans
    pseudonym_key: Callable[[str, int], tuple[int, int]]  # of an organisation in a UTC year
    commit: Callable[[Place, int], None]  # everything of the partition before this offset is stored


class KafkaBatch:
    """Offsets `first` to `last`, and what Kafka still holds of them."""

    def __init__(
        self,
        reading: Reading,
        place: Place,
        borders: tuple[int, int],
        records: list[Message],
        *,
        tenant: Tenant | None,
        standing: Standing | None,
        whole: bool = True,
    ) -> None:
        """`tenant`: of a Collector's topic, whose it is. `standing`: the plan that rules here.

        Not `whole`: Kafka has deleted records of a planned batch before they were stored.
        """
        self.place = place
        self.first, self.last = borders
        self.size_bytes = sum(map(len, records))
        self.wanted = True
        self.newest_ns = 0
        self._reading = reading
        self._records = records
        self._tenant = tenant
        self._standing = standing
        self._whole = whole
        self._planned_ns = standing.planned_ns if standing else time.time_ns()

    @property
    def name(self) -> str:
        """Its topic, partition and offsets."""
        return f"{self.place}:{self.first}-{self.last}"

    @property
    def segment_id(self) -> int:
        """The number under which it is stored."""
        token = f"{self.place.topic_id}/{self.place.partition}/{self.first}-{self.last}"
        return int.from_bytes(hashlib.blake2b(token.encode(), digest_size=8).digest(), "little")

    def kinds(self) -> Kind:
        """What its records say."""
        found = Kind(0)
        if self._tenant is None:
            for message in self._records:
                with contextlib.suppress(RecordError):
                    found |= read_headers(headers_of(message)).kinds & ALL
        return found or Kind.TRACES

    def read(self, sink: Callable[[bytes], object]) -> Contents:
        """Write the envelopes of its records into `sink`."""
        damaged: list[Damaged] = []
        spans, kinds, newest_ns = 0, Kind(0), 0
        read = self._read_own if self._tenant is None else self._read_collectors
        for message in self._records:
            try:
                envelopes, held, kind = read(message)
            except (RecordError, FrameError) as error:
                damaged.append(self._damaged(message, str(error)))
                spans += damaged[-1].spans
                continue
            sink(envelopes)
            spans += held
            kinds |= kind
            newest_ns = max(newest_ns, message.timestamp()[1] * _NS_PER_MS)
        self.newest_ns = self._planned_ns
        if self._tenant is None:  # whatever a clock says that wrote it
            self.newest_ns = min(newest_ns, self._planned_ns)
        return Contents(self.segment_id, spans, kinds, damaged)

    def read_plan(self) -> plan.Plan:
        """What stands for it."""
        if self._standing is None or not self._standing.plan:
            return plan.Plan()
        found = plan.loads(self._standing.plan)
        if not self._whole:
            found.poison = []  # these are places in the whole batch
        return found

    def keep_plan(self, decided: plan.Plan) -> None:
        """Make it stand. Raises Superseded if another one does."""
        if self._standing is None:
            text = plan.dumps(decided)
            proposed = Standing(self.first, self.last, self._planned_ns, self.newest_ns, text)
            if self._reading.plans.settle(self.place, proposed) != proposed:
                self.wanted = False
                raise Superseded(self.name)
            self._standing = proposed

    def written_at(self) -> datetime:
        """When it was planned."""
        return datetime.fromtimestamp(self._planned_ns / _NS_PER_S, UTC)

    def destroy(self) -> None:
        """Tell Kafka that all up to here is stored."""
        self.keep_plan(plan.Plan())  # of a batch without spans: the chain has no gaps
        if self.wanted:
            self._reading.commit(self.place, self.last + 1)

    def _read_own(self, message: Message) -> tuple[bytes, int, Kind]:
        opened = self._reading.opener.open(message.value() or b"", headers_of(message))
        return opened.envelopes, opened.about.spans, opened.about.kinds

    def _read_collectors(self, message: Message) -> tuple[bytes, int, Kind]:
        """An export request as it stands, received when the batch was planned."""
        assert self._tenant is not None
        body = message.value() or b""
        items = count_protobuf(body).items
        year = time.gmtime(self._planned_ns // _NS_PER_S).tm_year
        key = self._reading.pseudonym_key(self._tenant.org_id, year)
        parts = envelope(self._tenant, self._planned_ns, key, body, Kind.TRACES)
        return b"".join(parts), items, Kind.TRACES

    def _damaged(self, message: Message, reason: str) -> Damaged:
        """Of our own topic, who sent it is not proven, and how much it held only claimed."""
        told = f"record {message.offset()} of {self.place}: {reason}"
        value = message.value() or b""
        if self._tenant is not None:
            return Damaged(value, told, *self._tenant, spans=1)
        try:
            spans = read_headers(headers_of(message)).spans
        except RecordError:
            spans = 1
        return Damaged(value, told, spans=min(max(spans, 1), _CLAIMED_MAX_SPANS))


def headers_of(message: Message) -> Headers:
    """Those that hold bytes."""
    pairs: Any = message.headers() or []
    return [(name, value) for name, value in pairs if isinstance(value, bytes)]

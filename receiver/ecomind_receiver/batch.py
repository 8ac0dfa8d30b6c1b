"""What stands between the receiver and the loader: a buffer of requests, handed on as batches.

There are two: the local spool, and Kafka. Whoever accepts appends to a buffer and knows nothing of
batches; whoever loads takes batches and knows nothing of where they wait. What both need of each
other is here and nothing else, so that a request is loaded by the same steps wherever it waited.
"""

from __future__ import annotations

import queue
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple, Protocol

from ecomind_receiver.kinds import Kind
from ecomind_receiver.plan import Plan
from ecomind_receiver.segment import Contents


class Batch(Protocol):
    """A part of a buffer with fixed borders, loaded as one, however often it must be tried."""

    @property
    def name(self) -> str:
        """What it is called in logs."""

    @property
    def wanted(self) -> bool:
        """Whether it is still this process that must store it."""

    def kinds(self) -> Kind:
        """What it holds, and maybe more than that; never nothing. Raises StoreError or OSError."""

    def read(self, sink: Callable[[bytes], object]) -> Contents:
        """Write its envelopes in clear into `sink`, the same ones each time. Raises StoreError."""

    def read_plan(self) -> Plan:
        """What was decided for it before; an empty plan if nothing was."""

    def keep_plan(self, plan: Plan) -> None:
        """Return once the plan is durable, and stands. Raises whatever prevents it."""

    def written_at(self) -> datetime:
        """When its last record was written, as near as it is known."""

    def destroy(self) -> None:
        """It is stored: let go of it."""


class Topics(NamedTuple):
    """How far Kafka is ahead of the store, over all partitions."""

    waiting: int  # records that are not stored yet
    lost: int  # records that Kafka deleted before they were stored, since start
    error: str  # why they can't be read, or that some were lost; empty if all is well


class Buffer(Protocol):
    """Where accepted requests wait until they are stored."""

    sealed: queue.SimpleQueue[Batch | None]
    """What waits for a loader; None ends it."""

    @property
    def error(self) -> str:
        """Why nothing can be taken; empty if all is well."""

    @property
    def segments(self) -> int:
        """Batches that were sealed and are not stored yet."""

    @property
    def topics(self) -> Topics | None:
        """What is in Kafka, if that is where they wait."""

    @property
    def size_bytes(self) -> int:
        """Bytes that are held and not stored yet."""

    @property
    def max_bytes(self) -> int:
        """How many may be held; above it, nothing is taken."""

    @property
    def busy(self) -> bool:
        """Whether anything accepted is not stored yet."""

    async def append(self, org_id: str, record: list[bytes], spans: int, kind: Kind) -> None:
        """Return once the record is durable. Raises SpoolFull or RecordTooLarge."""

    def require_room(self, org_id: str, size_bytes: int) -> None:
        """Raises SpoolFull if a record of this size would not be taken now."""

    def seal(self) -> None:
        """Hand what has been accepted so far to the loader without waiting."""

    def loaded(self, item: Batch) -> None:
        """The loader is done with a batch: it is stored, or no longer wanted."""

    def postponed(self, item: Batch, seconds: float) -> None:
        """The loader could not store a batch, and tries again in so many seconds."""

    def oldest_ns(self) -> int:
        """No record that is not stored yet was received before; ns since 1970."""

    def lag_seconds(self) -> float:
        """Age in seconds of the oldest accepted record that is not stored yet; 0 if none waits."""

    def close(self) -> None:
        """Take nothing more, make durable what was taken, and end the queue."""

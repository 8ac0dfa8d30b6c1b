"""The batch of the local spool: a segment that is complete and waits for a loader."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from ecomind_receiver import plan, segment
from ecomind_receiver.kinds import Kind
from ecomind_receiver.store import StoreError


@dataclass(frozen=True)
class Sealed:
    """A segment file, and what is known of it."""

    path: Path
    spans: int
    size_bytes: int
    key: bytes = field(repr=False)
    held: Mapping[str, int] = field(default_factory=dict)  # organisation → bytes, if known
    wanted = True

    @property
    def name(self) -> str:
        """Its file's."""
        return self.path.name

    def kinds(self) -> Kind:
        """What its chunks say."""
        return segment.read_kinds(self.path) or Kind.TRACES

    def read(self, sink: Callable[[bytes], object]) -> segment.Contents:
        """Decrypt it into `sink`. Raises StoreError or OSError."""
        try:
            return segment.read_segment(self.path, self.key, sink, self.spans)
        except segment.SegmentError as error:
            raise StoreError(f"Spool segment {self.path} can't be read: {error}") from error

    def read_plan(self) -> plan.Plan:
        """What was decided for it before."""
        return plan.read(self.path)

    def keep_plan(self, decided: plan.Plan) -> None:
        """Sync the plan beside the segment."""
        plan.write(self.path, decided)

    def written_at(self) -> datetime:
        """When its last chunk was written."""
        return datetime.fromtimestamp(self.path.stat().st_mtime, UTC)

    def destroy(self) -> None:
        """Shred it, then forget its plan."""
        segment.shred(self.path)
        plan.path_beside(self.path).unlink(missing_ok=True)

"""What the server asks of a plug-in beyond its answers: a life, and a word on how it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from ecomind_processor.hourly import HourlyGrid, Kind


class GridStatus(NamedTuple):
    """How a plug-in is. An empty error means all is well; counts are since start."""

    name: str
    kind: Kind
    zones: tuple[str, ...]
    hours: int
    error: str
    counts: Mapping[str, int]


class Plugin(HourlyGrid, Protocol):
    """A plug-in with a thread that keeps it fresh."""

    def start(self) -> None:
        """Begin to keep what is known fresh; without it, it stays as it was read."""

    def stop(self) -> None:
        """End that. May be called without `start`."""

    def status(self) -> GridStatus:
        """How it is now."""

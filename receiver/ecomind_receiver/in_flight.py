"""How much of requests is in memory at once: what is being received, inflated and written down.

Each request holds its bytes from before they come until it is answered, so that many at a time
can't make the process larger than it may be. A length that is announced is held at once: who would
be refused at the end is refused at the start. One organisation can't hold all of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.shares import Shares

_WAIT_SECONDS = 1.0
"""Requests pass in milliseconds; a second later others are here."""


class InFlight:
    """Bytes of requests that are not answered yet. For one event loop."""

    def __init__(self, max_bytes: int, *, shared: bool = False) -> None:
        """`shared`: several organisations send, and none may hold all of it."""
        self.size_bytes = 0
        self._max_bytes = max_bytes
        self._shares = Shares(max_bytes) if shared else None

    @contextmanager
    def request(self, org_id: str) -> Iterator[Held]:
        """What one request holds, until it is answered."""
        held = Held(self, org_id)
        try:
            yield held
        finally:
            self._release(held)

    def hold(self, held: Held, size_bytes: int) -> None:
        """Raises RequestRefused if it is too much now; a request alone always passes."""
        if self.size_bytes > held.size_bytes and not self._admits(held.org_id, size_bytes):
            raise RequestRefused(
                Refusal.UNAVAILABLE,
                "Not accepted now: requests in memory are at their limit"
                " (ECOMIND_IN_FLIGHT_MAX_BYTES).",
                _WAIT_SECONDS,
                cause="in_flight",
            )
        held.size_bytes += size_bytes
        self.size_bytes += size_bytes
        if self._shares:
            self._shares.hold(held.org_id, size_bytes)

    def _admits(self, org_id: str, size_bytes: int) -> bool:
        if self.size_bytes + size_bytes > self._max_bytes:
            return False
        return self._shares is None or self._shares.admits(org_id, size_bytes, self.size_bytes)

    def _release(self, held: Held) -> None:
        self.size_bytes -= held.size_bytes
        if self._shares:
            self._shares.release({held.org_id: held.size_bytes})


class Held:
    """The bytes that one request holds."""

    def __init__(self, in_flight: InFlight, org_id: str) -> None:
        self.org_id = org_id
        self.size_bytes = 0
        self._in_flight = in_flight

    def grow_to(self, size_bytes: int) -> None:
        """Hold at least so many bytes. Raises RequestRefused if that is too much now."""
        if size_bytes > self.size_bytes:
            self._in_flight.hold(self, size_bytes - self.size_bytes)

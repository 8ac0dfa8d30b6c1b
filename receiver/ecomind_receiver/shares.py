"""Whose the bytes in the spool are, so that one organisation can't fill it for all.

Up to four fifths of the high-water mark whoever comes is taken. Above, an organisation that already
holds as much as it could if one more shared with it is told to wait, and the rest stays free for
those who hold less. So a sender without bounds slows itself down, not the others.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

_FREE_FOR_ALL = 0.8


class Shares:
    """Bytes held by each organisation. Safe to use from several threads."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._held: dict[str, int] = {}
        self._guard = threading.Lock()

    def admits(self, org_id: str, size_bytes: int, spool_bytes: int) -> bool:
        """Whether the organisation may add so much to a spool of `spool_bytes`."""
        if spool_bytes + size_bytes <= _FREE_FOR_ALL * self._max_bytes:
            return True
        return self.beyond(org_id, size_bytes, spool_bytes)[1] <= 0

    def beyond(self, org_id: str, size_bytes: int, spool_bytes: int) -> tuple[float, float]:
        """By how many bytes that is too much: for a spool that takes whoever comes, for its share.

        One of the two must go before it is taken.
        """
        with self._guard:
            others = len(self._held) - (org_id in self._held)
            held = self._held.get(org_id, 0)
        whole = spool_bytes + size_bytes - _FREE_FOR_ALL * self._max_bytes
        return whole, held + size_bytes - self._max_bytes / (others + 2)

    def hold(self, org_id: str, size_bytes: int) -> None:
        """The organisation has so much more in the spool."""
        with self._guard:
            self._held[org_id] = self._held.get(org_id, 0) + size_bytes

    def release(self, held: Mapping[str, int]) -> None:
        """These bytes are stored, or were never taken."""
        with self._guard:
            for org_id, size_bytes in held.items():
                left = self._held.get(org_id, 0) - size_bytes
                if left > 0:
                    self._held[org_id] = left
                else:
                    self._held.pop(org_id, None)

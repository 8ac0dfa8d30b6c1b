"""Who writes to the store passes together; who wants it to hold still waits for them.

A backup must see either all that a segment, a window or a closing day writes, or nothing of it. So
each of these passes the gate as one, and the gate is shut for the moment of the snapshot.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Lets any number of writers through, or nobody. A writer must not pass it twice at once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._writers = 0
        self._shut = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Write in here; waits while the gate is shut."""
        with self._changed:
            self._changed.wait_for(lambda: not self._shut)
            self._writers += 1
        try:
            yield
        finally:
            with self._changed:
                self._writers -= 1
                self._changed.notify_all()

    @contextmanager
    def shut(self, timeout_seconds: float) -> Iterator[None]:
        """Nobody writes in here; new writers wait. One caller at a time.

        Raises TimeoutError if those who write now do not end in time.
        """
        try:
            with self._changed:
                self._shut = True
                if not self._changed.wait_for(lambda: not self._writers, timeout_seconds):
                    raise TimeoutError
            yield
        finally:
            with self._changed:
                self._shut = False
                self._changed.notify_all()

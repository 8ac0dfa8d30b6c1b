"""Hands plaintext to the engine through a pipe: it lies nowhere, and both sides work at once."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ecomind_receiver.store import StoreError

Sink = Callable[[bytes], object]
T = TypeVar("T")
_PIPE_BYTES = 1024 * 1024


def feed(write: Callable[[Sink], T], read: Callable[[str], object]) -> tuple[T, Exception | None]:
    """What `write` returned, and what `read` raised, which is given the path to read from.

    They run side by side. `write` always runs to its end, and what it raises is raised here.
    """
    failure: Exception | None = None
    reading, writing = os.pipe()
    sink = _PipeSink(writing)
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as pool:
        written = pool.submit(sink.take, write)
        try:
            read(f"/proc/self/fd/{reading}")
        except Exception as error:
            failure = error
        finally:
            os.close(reading)  # whoever still writes learns that nobody reads
    if sink.is_broken and failure is None:
        failure = StoreError("the engine did not read a segment to its end")
    return written.result(), failure


class _PipeSink:
    """The end to write to. When nobody reads any more, what is written goes nowhere."""

    def __init__(self, descriptor: int) -> None:
        self.is_broken = False
        self._descriptor = descriptor
        with contextlib.suppress(OSError):  # a system may give no more than its default
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def take(self, write: Callable[[Sink], T]) -> T:
        """Run `write`, then close."""
        try:
            return write(self._write)
        finally:
            os.close(self._descriptor)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view and not self.is_broken:
                view = view[os.write(self._descriptor, view) :]
        except BrokenPipeError:
            self.is_broken = True

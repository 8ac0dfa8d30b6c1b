"""The thread behind a plug-in: does one step, rests, and can be woken or stopped at any time."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

log = logging.getLogger("ecomind.grids")

_STOP_SECONDS = 2.0
_AFTER_A_FAULT_SECONDS = 60.0


class Rest(NamedTuple):
    """How long to rest whatever happens, and how long if nobody wakes it."""

    at_least_seconds: float
    at_most_seconds: float


class Worker:
    """Runs `step` again and again in a daemon thread, from `start` to `stop`."""

    def __init__(self, name: str, step: Callable[[], Rest]) -> None:
        self._step = step
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """Whether it was stopped, for a step that takes long."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Begin with the first step, at once."""
        self._thread.start()

    def stop(self) -> None:
        """End after the current step; one that waits for the network is left to end alone."""
        self._stopping.set()
        self._woken.set()
        if self._thread.ident is not None:
            self._thread.join(_STOP_SECONDS)

    def wake(self) -> None:
        """There is something to do."""
        self._woken.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._woken.clear()
            rest = self._do_step()
            if not self._stopping.wait(rest.at_least_seconds):
                self._woken.wait(max(0.0, rest.at_most_seconds - rest.at_least_seconds))

    def _do_step(self) -> Rest:
        try:
            return self._step()
        except Exception:  # a fault of ours must not end what keeps the figures fresh
            log.exception("a grid plug-in failed and will be tried again")
            return Rest(_AFTER_A_FAULT_SECONDS, _AFTER_A_FAULT_SECONDS)

"""The running total of a `track()` block, and where the running one is found.

A tally only notes finished calls; what they mean and cost is worked out when somebody reads a
figure, or once every few hundred calls, and only then are the factors imported. Tallies nest
through the OpenTelemetry context, which follows asyncio tasks: a call counts in the inner block
and in the outer one.
"""

from __future__ import annotations

import threading
from collections import deque
from contextvars import Token
from typing import TYPE_CHECKING

from opentelemetry import context as otel
from opentelemetry.context import Context

from ecomind.note import Note

if TYPE_CHECKING:
    from ecomind.meter import Figures, Meter
    from ecomind_processor.footprint import Range

PENDING_MAX = 256
"""Calls noted before they are metered in between."""

_KEY = otel.create_key("ecomind-tally")


class Tally:
    """The calls that ended inside one `track()` block, and their footprint.

    Figures grow as calls end, and stay readable after the block. Safe to read from any thread.
    """

    def __init__(self, owner: object, attributes: dict[str, str], outer: Tally | None) -> None:
        self.owner = owner
        self.attributes = attributes
        self._token: Token[Context] | None = None
        self._outer = outer
        self._pending: deque[Note] = deque()
        self._meter: Meter | None = None
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        """Calls counted so far; calls whose instrumentation gave no usage are not among them."""
        return self.figures().calls

    @property
    def energy_wh(self) -> Range:
        """Energy in Wh, data-centre overhead included."""
        return self.figures().energy_wh

    @property
    def co2e_g(self) -> Range:
        """Operational, location-based emissions in grams of CO2e."""
        return self.figures().co2e_g

    @property
    def water_ml(self) -> Range:
        """Water in millilitres, on site and off site."""
        return self.figures().water_ml

    def figures(self) -> Figures:
        """Return all of them at one moment."""
        with self._lock:
            return self._settled().figures()

    def add(self, note: Note) -> None:
        """Note a finished call here and in the tallies around this one."""
        self._pending.append(note)
        if len(self._pending) >= PENDING_MAX:
            with self._lock:
                self._settled()
        if self._outer is not None:
            self._outer.add(note)

    def _settled(self) -> Meter:
        if self._meter is None:
            from ecomind.meter import Meter

            self._meter = Meter()
        while self._pending:
            self._meter.add(self._pending.popleft())
        return self._meter


def current_tally(parent_context: Context | None = None) -> Tally | None:
    """Return the innermost tally of a span's parent context, else of the running one."""
    found = otel.get_value(_KEY, parent_context) or otel.get_value(_KEY)
    return found if isinstance(found, Tally) else None


def enter(tally: Tally) -> None:
    """Make `tally` the running one."""
    tally._token = otel.attach(otel.set_value(_KEY, tally))


def leave(tally: Tally) -> None:
    """Make the tally around `tally` the running one again."""
    if tally._token is not None:
        otel.detach(tally._token)

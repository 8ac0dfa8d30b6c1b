"""The coefficients that rows refer to, kept by content address.

A `coef_id` is the hash of its numbers, so a row of the table never changes and may be kept for the
life of the process. Beside the coefficients stands the footprint of one watt-hour of IT energy
under them, worked out by the processor's own formulas: everything after the IT energy is a
multiple of it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from threading import Lock
from typing import NamedTuple

from ecomind_processor.footprint import Coefficients, Footprint, Quantities, footprint
from ecomind_query.queries import Queries

_KEPT = 50_000
_NO_IT_ENERGY = {
    "wh_per_input_token": 0.0,
    "wh_per_input_token_over_32k": 0.0,
    "wh_per_cache_read_token": 0.0,
    "wh_per_cache_write_token": 0.0,
    "wh_per_output_token": 0.0,
    "wh_per_reasoning_token": 0.0,
    "wh_per_measured_mj": 0.0,
}


class Entry(NamedTuple):
    """Coefficients and the footprint of 1 Wh of IT energy under them."""

    coefficients: Coefficients
    per_it_wh: Footprint


def entry(coefficients: Coefficients) -> Entry:
    """The entry of these coefficients."""
    one_wh = replace(coefficients, wh_per_call=1.0, **_NO_IT_ENERGY)  # type: ignore[arg-type]
    return Entry(coefficients, footprint(Quantities(), one_wh))


class CoefficientBook:
    """Coefficients by id, read from the store once each. Safe to share between threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._guard = Lock()

    def entries(self, queries: Queries, ids: Iterable[int]) -> dict[int, Entry]:
        """The entries of `ids`. Raises LookupError if the store lacks one: it would be damaged."""
        wanted = set(ids)
        with self._guard:
            found = {id: self._entries[id] for id in wanted if id in self._entries}
        missing = sorted(wanted - found.keys())
        if missing:
            read = {id: entry(row) for id, row in queries.coefficients(missing).items()}
            self._keep(read)
            found |= read
        if len(found) != len(wanted):
            raise LookupError(f"coefficients {sorted(wanted - found.keys())} are not in the store")
        return found

    def _keep(self, entries: dict[int, Entry]) -> None:
        with self._guard:
            self._entries.update(entries)
            while len(self._entries) > _KEPT:
                self._entries.popitem(last=False)

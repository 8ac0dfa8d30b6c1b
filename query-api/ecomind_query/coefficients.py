"""The coefficients that rows refer to, kept by content address.

A `coef_id` is the hash of its numbers, so a row of the table never changes and may be kept for the
life of the process.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from ecomind_processor.footprint import Coefficients
from ecomind_query.queries import Queries

_KEPT = 50_000


class CoefficientBook:
    """Coefficients by id, read from the store once each. Safe to share between threads."""

    def __init__(self) -> None:
        self._entries: OrderedDict[int, Coefficients] = OrderedDict()
        self._guard = Lock()

    def entries(self, queries: Queries, ids: Iterable[int]) -> dict[int, Coefficients]:
        """Those of `ids`. Raises LookupError if the store lacks one: it would be damaged."""
        wanted = set(ids)
        with self._guard:
            found = {id: self._entries[id] for id in wanted if id in self._entries}
        missing = sorted(wanted - found.keys())
        if missing:
            read = queries.coefficients(missing)
            self._keep(read)
            found |= read
        if len(found) != len(wanted):
            raise LookupError(f"coefficients {sorted(wanted - found.keys())} are not in the store")
        return found

    def _keep(self, entries: dict[int, Coefficients]) -> None:
        with self._guard:
            self._entries.update(entries)
            while len(self._entries) > _KEPT:
                self._entries.popitem(last=False)

"""How many different names an organisation may use in a day, so that a rollup stays a rollup.

A client that puts a random id into its model or service name would otherwise make a row, and a
resolution, of every call. The first values of a day are kept, 200 of a kind unless set otherwise;
the rest become `__other__`, their quantities still counted. What was admitted is decided per
segment and kept in its plan.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

from ecomind_receiver.store import Store, render

OTHER = "__other__"
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "model": ("request_model", "response_model"),
    "team": ("team",),
    "service": ("service",),
    "place": ("place",),
}
"""Dimension → the columns that share its allowance."""
_MAX_DAYS = 1_000


COLUMNS = {column: name for name, columns in DIMENSIONS.items() for column in columns}
"""Column of staging → the dimension it belongs to."""


class Cap(NamedTuple):
    """The values one organisation may use of one dimension on one day: all others become OTHER."""

    org_id: str
    day: str  # ISO
    dimension: str
    values: list[str]


class Cardinality:
    """What was admitted so far, read from the rollup for a new day. Shared by threads."""

    def __init__(self, store: Store, max_values: int) -> None:
        self._store = store
        self._max_values = max_values
        self._admitted: OrderedDict[tuple[str, date], dict[str, set[str]]] = OrderedDict()
        self._guard = threading.Lock()

    def caps(self, staging: str) -> list[Cap]:
        """The caps to apply to a staging table; empty when every value fits, as it usually does."""
        limit = self._max_values + 2  # one too many, and ""
        sql = render("names.sql", staging=staging, dimensions=DIMENSIONS, limit=limit)
        with self._guard:
            return [cap for row in self._store.engine.query(sql) for cap in self._admit(row)]

    def _admit(self, row: dict[str, Any]) -> Iterator[Cap]:
        for name, values in self._known(row["org_id"], row["day"]).items():
            fresh = sorted(set(row[name]) - values - {""})
            room = self._max_values - len(values)
            values.update(fresh[:room])
            if len(fresh) > room:
                yield Cap(row["org_id"], str(row["day"]), name, sorted(values))

    def _known(self, org_id: str, day: date) -> dict[str, set[str]]:
        key = (org_id, day)
        found = self._admitted.get(key)
        if found is None:
            sql = render("names_of_a_day.sql", dimensions=DIMENSIONS)
            row = self._store.query(sql, {"org": org_id, "day": day})[0]
            found = {name: set(row[name]) - {OTHER, ""} for name in DIMENSIONS}
            self._admitted[key] = found
        self._admitted.move_to_end(key)
        if len(self._admitted) > _MAX_DAYS:
            self._admitted.popitem(last=False)
        return found

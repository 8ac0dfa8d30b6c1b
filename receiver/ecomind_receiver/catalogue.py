"""Coefficients for the loader: resolved once per distinct key, stored once per content.

Calls of organisations with terms of their own have keys of their own; all others share theirs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import COEFFICIENT_NAMES, SPANNED, Coefficients
from ecomind_processor.hourly import Grids
from ecomind_processor.resolution import CallKey, in_hour, resolve
from ecomind_processor.terms import NO_TERMS, Terms
from ecomind_receiver.connections import Connections
from ecomind_receiver.store import Store, render

NO_GRIDS = Grids()
COEFFICIENT_NUMBERS = COEFFICIENT_NAMES[COEFFICIENT_NAMES.index("wh_per_call") :]
NULLABLE_NUMBERS = ("co2e_g_per_kwh_market", *(f"{name}_high" for name in SPANNED))


class Catalogue:
    """The resolver's memory and what the table `coefficients` already holds. Shared by threads."""

    def __init__(
        self,
        store: Store,
        factors: FactorSet,
        max_entries: int,
        terms: Callable[[], Mapping[str, Terms]] = dict,
        grids: Grids = NO_GRIDS,
    ) -> None:
        """`terms` gives those of each organisation that has any, as they are now."""
        self.terms = terms
        self.grids = grids
        self.by_hour = grids.has("average")
        self._store = store
        self._factors = factors
        self._max_entries = max_entries
        self._resolved: dict[tuple[CallKey, int], Coefficients] = {}
        self._stored: set[int] | None = None
        self._guard = threading.Lock()

    def coefficients(self, key: CallKey, terms: Terms = NO_TERMS) -> Coefficients:
        """The coefficients of a call; never fails."""
        found = self._resolved.get((key, terms.id))
        if found is None:
            if len(self._resolved) >= self._max_entries:
                self._resolved.clear()
            found = resolve(key, self._factors, terms=terms)
            self._resolved[key, terms.id] = found
        return found

    def resolve_keys(
        self,
        engine: Connections,
        staging: str,
        known: dict[int, Coefficients],
        terms: Mapping[str, Terms],
        by_hour: bool,
    ) -> set[int]:
        """Add to `known` each distinct key of a staging table, or part of one, that it lacks.

        `terms` and `by_hour` are those that the keys were made with. The ids of terms that were
        used.
        """
        by_id = {each.id: each for each in terms.values()} | {NO_TERMS.id: NO_TERMS}
        used: set[int] = set()
        sql = render("distinct_keys.sql", staging=staging, terms=ids(terms))
        for found in engine.query(sql):
            number, terms_id = found.pop("resolve_key"), found.pop("terms_id")
            started_s = found.pop("started_s")
            used.add(terms_id)
            if number not in known:
                resolved = self.coefficients(CallKey(**found), by_id[terms_id])
                if by_hour:
                    began = datetime.fromtimestamp(started_s, UTC)
                    resolved = in_hour(resolved, began, self.grids, self._factors)
                known[number] = resolved
        return used

    def fill(self, engine: Connections, keys: str, known: dict[int, Coefficients]) -> None:
        """Put coefficients where statements look for them, made durable before they are used."""
        self.store({c.coef_id: c for c in known.values()})
        rows = [[key, c.coef_id, *row(c, COEFFICIENT_NUMBERS)] for key, c in known.items()]
        if rows:
            engine.insert(keys, ["resolve_key", "coef_id", *COEFFICIENT_NUMBERS], rows)

    def store(self, used: dict[int, Coefficients]) -> None:
        """Put those that are new into the table, so that every `coef_id` can be looked up."""
        with self._guard:
            if self._stored is None:
                rows = self._store.query("SELECT DISTINCT coef_id FROM coefficients")
                self._stored = {row["coef_id"] for row in rows}
            fresh = {i: c for i, c in used.items() if i not in self._stored}
            if fresh:
                columns = ["coef_id", *COEFFICIENT_NAMES]
                rows_ = [[i, *row(c, COEFFICIENT_NAMES)] for i, c in sorted(fresh.items())]
                self._store.insert("coefficients", columns, rows_)
                self._stored |= fresh.keys()


def ids(terms: Mapping[str, Terms]) -> dict[str, int]:
    """Organisation → the id of its terms, as statements put it into keys."""
    return {org_id: terms[org_id].id for org_id in sorted(terms)}


def row(coefficients: Coefficients, names: tuple[str, ...]) -> list[object]:
    """The values of these fields, in order."""
    return [getattr(coefficients, name) for name in names]

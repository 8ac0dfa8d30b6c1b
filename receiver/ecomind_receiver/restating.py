"""Restatement: closed days under another factor set or method, beside the originals.

A row of the rollup keeps what the resolver was given, so a new set resolves it again exactly as it
would have at the time; only the coefficients are new, the integers stay. A method that bounds the
time of each call is not linear in the rollup: it can be worked out while every single call is kept,
and is refused afterwards. What the organisation has approved by now holds on the days that it
names. Nothing is changed: the result is rows of their own.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any, NamedTuple

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.ledger import line, root
from ecomind_processor.resolution import (
    NOT_LINEAR,
    CallKey,
    in_hour,
    method_on,
    resolve,
    takes_hours,
)
from ecomind_processor.terms import NO_TERMS, Terms
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.closing import DAY, KEYS, SUMS
from ecomind_receiver.connections import Connections
from ecomind_receiver.store import Store, render

CLOSED, CALLS = "closed", "calls"
HOUR_KEYS_MAX = 1_000_000
"""Keys times hours of one restatement; they are held in memory, some 200 bytes each."""


class RestateError(Exception):
    """A restatement that is not possible; the message says why and what is."""


class Request(NamedTuple):
    """What is to be restated: [from, to) of an organisation, under which set and method.

    An empty method is the organisation's on each day, or the set's.
    """

    org_id: str
    from_day: date
    to_day: date
    factors: FactorSet
    method: str


class Moved(NamedTuple):
    """Integer sums whose coefficients change, from the old ones to the new."""

    provider: str
    model: str
    old_coef_id: int
    new_coef_id: int
    sums: dict[str, int]


class Resolved(NamedTuple):
    """The new coefficients by key, and the keys that are told apart by the hour.

    Kept from trying to keeping: a plug-in may have learnt something in between.
    """

    by_key: dict[int, Coefficients]
    hourly: frozenset[int]
    unknown_hours: int
    """Of zones that are known by the hour: hours with calls that took the year's intensity."""


class Plan(NamedTuple):
    """What a restatement comes to before anything is written."""

    request: Request
    basis: str
    moved: tuple[Moved, ...]
    closes_root: str
    resolved: Resolved
    terms: Terms = NO_TERMS

    @property
    def methods(self) -> str:
        """The method, or those of the organisation in the order of their days."""
        return ", ".join(_methods(self.request, self.terms))


class Restater:
    """Works out restatements of one store and keeps them. Methods block."""

    def __init__(self, store: Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    def plan(self, request: Request) -> Plan:
        """Resolve every row again and add up both. Raises RestateError."""
        terms = self._catalogue.terms().get(request.org_id, NO_TERMS)
        closes = self._closes(request)
        basis = self._basis(request, terms)
        mapping = f"restate_{secrets.token_hex(8)}"
        try:
            resolved = self._resolve(request, basis, mapping, terms)
            rows = self._ask("restate_rows.sql", request, basis, terms, into=False, mapping=mapping)
        finally:
            self._store.command(f"DROP TABLE IF EXISTS {mapping}")
        return Plan(request, basis, tuple(map(_moved, rows)), closes, resolved, terms)

    def keep(self, plan: Plan, reason: str, requested_by: str, difference: str) -> str:
        """Write the restated rows and the restatement; its id."""
        with self._store.gate.writing():
            return self._keep(plan, reason, requested_by, difference)

    def _keep(self, plan: Plan, reason: str, requested_by: str, difference: str) -> str:
        request, mapping = plan.request, f"restate_{secrets.token_hex(8)}"
        made_at = datetime.now(UTC)
        id = f"rs_{made_at:%Y%m%d%H%M%S}_{secrets.token_hex(4)}"
        node = self._store.node(id)
        try:
            self._make(node, mapping)
            self._fill(node, mapping, plan.resolved.by_key, plan.resolved.hourly)
            self._write(plan, mapping, id)
        finally:
            node.command(f"DROP TABLE IF EXISTS {mapping}")
        counted = self._store.query(
            "SELECT count() AS n, sum(calls) AS calls FROM restated_usage"
            " WHERE org_id = {org:String} AND restatement_id = {id:String}",
            {"org": request.org_id, "id": id},
        )[0]
        row = {
            "restatement_id": id,
            "org_id": request.org_id,
            "from_day": request.from_day,
            "to_day": request.to_day,
            "factor_set": request.factors.id,
            "factor_set_sha256": request.factors.sha256,
            "method": plan.methods,
            "basis": plan.basis,
            "reason": reason,
            "requested_by": requested_by,
            "created_at": made_at,
            "rows": counted["n"],
            "calls": counted["calls"],
            "closes_root": plan.closes_root,
            "difference": difference,
        }
        self._store.insert("restatements", list(row), [list(row.values())], id)
        return id

    def _closes(self, request: Request) -> str:
        """The root over the closes of the days asked for. Raises RestateError if one is open."""
        closed = self._store.query("SELECT max(day) AS last, count() AS n FROM closed_days")[0]
        if request.from_day >= request.to_day:
            raise RestateError("--to must lie after --from; both are UTC days, --to exclusive.")
        if not closed["n"] or request.to_day > closed["last"] + DAY:
            last = f"the last closed day is {closed['last']}" if closed["n"] else "none is closed"
            until = f"; end --to at {closed['last'] + DAY}" if closed["n"] else ""
            raise RestateError(
                f"Only closed days can be restated, and {last}. A day closes two days after its"
                f" end, once all of it is reconciled{until}."
            )
        rows = self._store.query(
            "SELECT day, max(c.generation) AS generation, argMax(c.root, c.generation) AS root"
            " FROM day_closes AS c WHERE org_id = {org:String} AND day >= {from:Date}"
            " AND day < {to:Date} GROUP BY day ORDER BY day",
            _bound(request),
        )
        return root(line([str(r["day"]), int(r["generation"]), r["root"]]) for r in rows)

    def _basis(self, request: Request, terms: Terms) -> str:
        """Closed rows, or single calls where the method needs them. Raises RestateError."""
        timed = [name for name in _methods(request, terms) if name in NOT_LINEAR]
        if not timed:
            return CLOSED
        kept = self._store.query(
            "SELECT sum(toInt64(sign)) AS calls FROM calls WHERE org_id = {org:String} AND counted"
            " AND start_time >= toDateTime64({from:Date}, 6, 'UTC')"
            " AND start_time < toDateTime64({to:Date}, 6, 'UTC')",
            _bound(request),
        )[0]["calls"]
        closed = self._store.query(
            "SELECT sum(calls) AS calls FROM closed_usage WHERE org_id = {org:String}"
            " AND day >= {from:Date} AND day < {to:Date}",
            _bound(request),
        )[0]["calls"]
        if kept != closed:
            raise RestateError(
                f"{timed[0]} bounds the time of each call, so it is worked out from single"
                f" calls; of the {closed:,} in these days {kept:,} are kept"
                " (ECOMIND_RETENTION_DAYS). Restate a later period, or with another method."
            )
        return CALLS

    def _resolve(self, request: Request, basis: str, mapping: str, terms: Terms) -> Resolved:
        """The new coefficients of every key, in a table of that name as well. Raises RestateError.

        Keys in zones that are known by the hour are told apart by it, and no others: there are
        8,760 hours in a year.
        """
        by_key: dict[int, Coefficients] = {}
        for row in self._ask("restate_keys.sql", request, basis, terms):
            key = CallKey(
                row["provider"], row["request_model"], row["response_model"], row["place"],
                row["service_tier"], row["first_day"], bool(row["is_measured"]),
                row["usage_quality"], bool(row["has_units"]), bool(row["has_spend"]),
            )  # fmt: skip
            by_key[row["new_key"]] = resolve(key, request.factors, request.method, terms)
        zones = self._catalogue.grids.zones("average")
        hourly = frozenset(k for k, c in by_key.items() if c.zone in zones and takes_hours(c))
        self._make(self._store, mapping)
        self._fill(self._store, mapping, by_key, hourly)
        if not hourly:
            return Resolved(by_key, hourly, 0)
        hours = self._hours(request, basis, mapping, terms)
        grids, factors, unknown = self._catalogue.grids, request.factors, set()
        by_hour = {}
        for row in hours:
            yearly, hour = by_key[row["new_key"]], _utc(row["hour"])
            by_hour[row["hour_key"]] = found = in_hour(yearly, hour, grids, factors)
            if found is yearly:
                unknown.add((yearly.zone, hour))
        self._fill(self._store, mapping, by_hour, frozenset())
        return Resolved(by_key | by_hour, hourly, len(unknown))

    def _hours(
        self, request: Request, basis: str, mapping: str, terms: Terms
    ) -> list[dict[str, Any]]:
        rows = self._ask(
            "restate_hours.sql", request, basis, terms, mapping=mapping, limit=HOUR_KEYS_MAX + 1
        )
        if len(rows) > HOUR_KEYS_MAX:
            raise RestateError(
                f"Grids that are known by the hour make more than {HOUR_KEYS_MAX:,} different"
                " coefficients of these days. Restate a shorter period, one after the other."
            )
        return rows

    def _make(self, node: Connections, mapping: str) -> None:
        node.command(
            f"CREATE TABLE {mapping} (new_key UInt64, coef_id UInt64, timed UInt8, first Float64,"
            " each Float64, each_high Float64, by_hour UInt8) ENGINE = Memory"
        )

    def _fill(
        self,
        node: Connections,
        mapping: str,
        by_key: dict[int, Coefficients],
        hourly: frozenset[int],
    ) -> None:
        """Put coefficients where statements look for them, made durable before they are used."""
        self._catalogue.store({c.coef_id: c for c in by_key.values()})
        rows = [_mapped(key, c, key in hourly) for key, c in by_key.items()]
        if rows:
            columns = ["new_key", "coef_id", "timed", "first", "each", "each_high", "by_hour"]
            node.insert(mapping, columns, rows)

    def _ask(
        self, template: str, request: Request, basis: str, terms: Terms, **values: object
    ) -> list[dict[str, Any]]:
        text = render(template, basis=basis, keys=KEYS, sums=SUMS, **values)
        return self._store.query(text, _bound(request, terms))

    def _write(self, plan: Plan, mapping: str, id: str) -> None:
        """The rows under their new coefficients."""
        text = render(
            "restate_rows.sql", basis=plan.basis, keys=KEYS, sums=SUMS, into=True, mapping=mapping
        )
        columns = ["org_id", "restatement_id", "day", *KEYS, *SUMS]
        bound = _bound(plan.request, plan.terms) | {"id": id}
        self._store.add("restated_usage", columns, text, id, bound)


def _methods(request: Request, terms: Terms) -> list[str]:
    """The methods that hold on some day of the request, in the order of their first days."""
    if request.method:
        return [request.method]
    within = (day for day in terms.epochs if request.from_day < day < request.to_day)
    days = (request.from_day, *within)
    return list(dict.fromkeys(method_on(day, request.factors, terms) for day in days))


def _bound(request: Request, terms: Terms = NO_TERMS) -> dict[str, object]:
    return {
        "org": request.org_id,
        "from": request.from_day,
        "to": request.to_day,
        "epochs": sorted({*request.factors.epochs, *terms.epochs}),
    }


def _mapped(key: int, c: Coefficients, by_hour: bool) -> list[object]:
    return [
        key,
        c.coef_id,
        int(c.has_seconds),
        c.seconds_to_first_token,
        c.seconds_per_output_token,
        c.largest.seconds_per_output_token,
        int(by_hour),
    ]


def _utc(hour: datetime) -> datetime:
    return hour.replace(tzinfo=UTC)


def _moved(row: dict[str, Any]) -> Moved:
    sums = {name: int(row[name]) for name in SUMS}
    return Moved(row["provider"], row["model"], row["old_coef_id"], row["new_coef_id"], sums)


def coef_ids(moved: Iterable[Moved]) -> set[int]:
    """Every coefficient that the rows have or get."""
    return {id for row in moved for id in (row.old_coef_id, row.new_coef_id)}

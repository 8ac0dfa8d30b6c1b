"""Restatements as people see them: what changes, by how much, and whether it is material.

The receiver resolves and adds up; here the sums become figures with their ranges, side by side.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from ecomind_processor.footprint import Coefficients
from ecomind_query.coefficients import CoefficientBook
from ecomind_query.errors import BadParameter
from ecomind_query.explaining import check_method, factor_set
from ecomind_query.models import (
    Change,
    Close,
    Closes,
    Difference,
    ModelChange,
    Range,
    Restatement,
    Restatements,
    Totals,
)
from ecomind_query.queries import Queries
from ecomind_query.shapes import RestatementOrder
from ecomind_query.totals import Part, Sums, totals
from ecomind_receiver.restating import Moved, Plan, Request, RestateError, Restater, coef_ids

MAX_DAYS = 3660
_MOST_MODELS = 50
_FIGURES = (
    "energy_wh", "co2e_g_location", "co2e_g_embodied", "water_ml_onsite", "water_ml_offsite",
)  # fmt: skip


def restate(
    restater: Restater,
    queries: Queries,
    book: CoefficientBook,
    order: RestatementOrder,
    threshold_percent: float,
) -> Restatement:
    """Work a restatement out, and keep it unless it is only tried. Raises BadParameter."""
    factors = factor_set(order.factor_set)
    check_method(order.method, factors)
    asked = Request(queries.reach.org_id, order.from_, order.to, factors, order.method)
    if (order.to - order.from_).days > MAX_DAYS:
        raise BadParameter("from", f"the range may be at most {MAX_DAYS} days long.")
    try:
        plan = restater.plan(asked)
    except RestateError as error:
        raise BadParameter("from", str(error)) from error
    known = book.entries(queries, coef_ids(plan.moved))
    difference = compare(plan.moved, known, threshold_percent)
    sets = sorted({f"{known[m.old_coef_id].factor_set}, {known[m.old_coef_id].method}"
                   for m in plan.moved})  # fmt: skip
    if order.dry_run:
        return _tried(plan, order, sets, difference)
    kept = {
        "original_sets": sets,
        "unknown_hours": plan.resolved.unknown_hours,
        "difference": difference.model_dump(mode="json"),
    }
    id = restater.keep(plan, order.reason, order.requested_by, json.dumps(kept))
    return listed(queries, id).restatements[0]


def _tried(
    plan: Plan, order: RestatementOrder, sets: list[str], difference: Difference
) -> Restatement:
    return Restatement(
        id="",
        from_=order.from_,
        to=order.to,
        original_sets=sets,
        factor_set=plan.request.factors.id,
        factor_set_sha256=plan.request.factors.sha256,
        method=plan.methods,
        basis=plan.basis,
        reason=order.reason,
        requested_by=order.requested_by,
        created_at=None,
        closes_root=plan.closes_root,
        unknown_hours=plan.resolved.unknown_hours,
        difference=difference,
    )


def compare(
    moved: Iterable[Moved], known: Mapping[int, Coefficients], threshold_percent: float
) -> Difference:
    """The totals before and after, and by model."""
    rows = list(moved)
    before, after = (_totals(rows, known, old=old) for old in (True, False))
    by_model: dict[tuple[str, str], list[Moved]] = defaultdict(list)
    for row in rows:
        by_model[row.provider, row.model].append(row)
    models = [_model(*name, group, known) for name, group in by_model.items()]
    models.sort(key=lambda m: -abs(m.co2e_g_location.restated.mid - m.co2e_g_location.original.mid))
    changes = {name: change(getattr(before, name), getattr(after, name)) for name in _FIGURES}
    market = None
    if before.co2e_g_market is not None and after.co2e_g_market is not None:
        market = change(before.co2e_g_market, after.co2e_g_market)
    moves = [abs(c.percent) for c in changes.values() if c.percent is not None]
    return Difference(
        calls=before.calls,
        co2e_g_market=market,
        by_model=models[:_MOST_MODELS],
        material=max(moves, default=0.0) >= threshold_percent,
        threshold_percent=threshold_percent,
        **changes,
    )


def change(original: Range, restated: Range) -> Change:
    """Both, and by how much the mid value moves."""
    percent = (restated.mid / original.mid - 1) * 100 if original.mid else None
    return Change(original=original, restated=restated, percent=percent)


def _model(
    provider: str, model: str, rows: list[Moved], known: Mapping[int, Coefficients]
) -> ModelChange:
    before, after = (_totals(rows, known, old=old) for old in (True, False))
    return ModelChange(
        provider=provider,
        model=model,
        calls=before.calls,
        energy_wh=change(before.energy_wh, after.energy_wh),
        co2e_g_location=change(before.co2e_g_location, after.co2e_g_location),
    )


def _totals(rows: Iterable[Moved], known: Mapping[int, Coefficients], *, old: bool) -> Totals:
    parts = []
    for row in rows:
        sums = Sums(*(row.sums[name] for name in Sums._fields))
        coefficients = known[row.old_coef_id if old else row.new_coef_id]
        parts.append(Part("reported", sums, coefficients, None))
    return totals(parts)


def listed(queries: Queries, id: str = "", limit: int = 100) -> Restatements:
    """Restatements that were kept, newest first."""
    return Restatements(restatements=[_kept(row) for row in queries.restatements(limit, id)])


def _kept(row: Mapping[str, Any]) -> Restatement:
    kept = json.loads(row["difference"])
    copied = ("factor_set", "factor_set_sha256", "method", "basis", "reason", "requested_by")
    return Restatement(
        id=row["restatement_id"],
        from_=row["from_day"],
        to=row["to_day"],
        created_at=row["created_at"],
        closes_root=row["closes_root"],
        original_sets=kept["original_sets"],
        unknown_hours=kept.get("unknown_hours", 0),
        difference=Difference(**kept["difference"]),
        **{name: row[name] for name in copied},
    )


def closes(queries: Queries, first: date, end: date) -> Closes:
    """The closes of the days [first, end). Raises BadParameter."""
    if not 0 < (end - first).days <= MAX_DAYS:
        raise BadParameter("from", f"the range must be 1 to {MAX_DAYS} days long.")
    found = queries.closes(first, end, 20 * MAX_DAYS)
    return Closes(closes=[Close(**row) for row in found])

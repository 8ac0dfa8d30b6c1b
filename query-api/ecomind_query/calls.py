"""`GET /v1/calls` and `/v1/calls/{id}`: single calls, as they stand after corrections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ecomind_processor.derivation import Step
from ecomind_processor.dialect import bands
from ecomind_processor.explain import explain
from ecomind_processor.footprint import Coefficients, Footprint, Quantities, footprint
from ecomind_processor.footprint import Range as Band
from ecomind_query import cursors
from ecomind_query.coefficients import CoefficientBook
from ecomind_query.errors import BadParameter
from ecomind_query.explaining import as_range, steps
from ecomind_query.models import CallDetail, CallRow, Calls, Count
from ecomind_query.periods import moment
from ecomind_query.queries import CALL_FILTERS, Place, Queries, checked
from ecomind_receiver.counting import VERSION
from ecomind_receiver.tenants import Reach
from ecomind_semconv.units import US_PER_MS
from ecomind_semconv.usage import STATE_BITS, STATES

MAX_LIMIT = 500
_COUNTED = {"true": 1, "1": 1, "false": 0, "0": 0}
_COPIED = (
    "start_time", "received_at", "team", "service", "environment", "provider", "request_model",
    "response_model", "place", "operation", "scope", "signal", "input_tokens", "cache_read_tokens",
    "cache_write_tokens", "output_tokens", "reasoning_tokens", "usage_quality", "reason",
)  # fmt: skip


def list_calls(
    queries: Queries,
    book: CoefficientBook,
    *,
    cursor: str | None = None,
    limit: int = 50,
    filters: Mapping[str, str] | None = None,
) -> Calls:
    """One page of calls, newest first. Raises BadParameter."""
    if not 1 <= limit <= MAX_LIMIT:
        raise BadParameter("limit", f"{limit} must lie between 1 and {MAX_LIMIT}.")
    before = cursors.decode(queries.reach, cursor) if cursor else None
    rows = queries.calls(bound_filters(filters or {}), before, limit + 1)
    entries = book.entries(queries, (row["coef_id"] for row in rows))
    shown = rows[:limit]
    return Calls(
        calls=[call_row(row, entries[row["coef_id"]]) for row in shown],
        next_cursor=_cursor_after(queries.reach, shown[-1]) if len(rows) > limit else None,
    )


def call_detail(queries: Queries, book: CoefficientBook, id: str) -> CallDetail | None:
    """One call with its ranges and derivation; None if there is no such call within reach."""
    identity = cursors.parse_call_id(id)
    rows = queries.call(*identity) if identity else []
    if not rows:
        return None
    row, cancelled = standing(rows), cancelled_rows(rows)
    coefficients = book.entries(queries, [row["coef_id"]])[row["coef_id"]]
    result = _footprint(row, coefficients)
    market = result.co2e_g_market
    return CallDetail(
        call=call_row(row, coefficients),
        counts=counts(row),
        energy_wh=as_range(result.energy_wh),
        co2e_g_location=as_range(result.co2e_g_location),
        co2e_g_market=None if market is None else as_range(market),
        co2e_g_embodied=as_range(result.co2e_g_embodied),
        water_ml_onsite=as_range(result.water_ml_onsite),
        water_ml_offsite=as_range(result.water_ml_offsite),
        coefficients={"coef_id": f"{row['coef_id']:016x}", **vars_of(coefficients)},
        derivation=steps(
            explain(quantities(row), coefficients).steps
            if row["counted"]
            else (not_counted(row["reason"]),)
        ),
        cancelled_by_reconcile=bool(cancelled)
        and (not row["counted"] or _row_key(row) in cancelled),
    )


def not_counted(reason: str) -> Step:
    """The only step of a call that has no footprint of its own."""
    formula = f"no billable call of its own, so no footprint of its own; reason: {reason}"
    return Step("Not counted", formula, 0.0, "Wh, g, mL", "docs/api.md, why a call does not count")


def bound_filters(filters: Mapping[str, str]) -> dict[str, object]:
    """The filters with their values as the store compares them. Raises BadParameter."""
    checked("filter", filters, CALL_FILTERS)
    bound: dict[str, object] = dict(filters)
    for name in ("from", "to"):
        if name in filters:
            bound[name] = moment(name, filters[name])
    if "counted" in filters:
        value = _COUNTED.get(filters["counted"].lower())
        if value is None:
            raise BadParameter("counted", f"{filters['counted'][:40]!r} must be true or false.")
        bound["counted"] = value
    return bound


def standing(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """The row that stands for a call: not cancelled, counted if one is; else the newest."""
    cancelled = cancelled_rows(rows)
    originals = [row for row in rows if row["sign"] > 0] or list(rows)
    return max(originals, key=lambda row: (_row_key(row) not in cancelled, row["counted"]))


def cancelled_rows(rows: Sequence[Mapping[str, Any]]) -> set[tuple[object, ...]]:
    """What tells the cancelled rows of a call from its others."""
    return {_row_key(row) for row in rows if row["sign"] < 0}


def _row_key(row: Mapping[str, Any]) -> tuple[object, ...]:
    return tuple(row[name] for name in ("segment_id", "counted", "reason", *VERSION))


def quantities(row: Mapping[str, Any]) -> Quantities:
    """What the call consumed."""
    return Quantities(*(int(row[name]) for name in Quantities._fields))


def counts(row: Mapping[str, Any]) -> list[Count]:
    """Each count of a call with its quality and its bounds."""
    states = int(row["usage_states"])
    ranges = bands(quantities(row), states)
    return [
        Count(
            name=name, quality=STATES[states >> STATE_BITS * place & 3], low=low, mid=mid, high=high
        )
        for place, (name, (low, mid, high)) in enumerate(ranges.items())
    ]


def call_row(row: Mapping[str, Any], coefficients: Coefficients) -> CallRow:
    """A call as listed; its figures are worked out from the integers."""
    result = _footprint(row, coefficients)
    return CallRow(
        id=cursors.call_id(row["trace_hash"], row["span_id"]),
        project=row["project_id"],
        duration_ms=row["duration_us"] / US_PER_MS,
        adjusted_calls=row["adjusted_calls_milli"] / 1000,
        counted=bool(row["counted"]),
        energy_wh=result.energy_wh.mid,
        co2e_g=result.co2e_g_location.mid,
        water_ml=result.water_ml_onsite.mid + result.water_ml_offsite.mid,
        method=coefficients.method,
        model_tier=coefficients.model_tier,
        **{name: row[name] for name in _COPIED},
    )


def vars_of(coefficients: Coefficients) -> dict[str, str | float | None]:
    """Every coefficient by name."""
    return {name: getattr(coefficients, name) for name in coefficients.__dataclass_fields__}


def _footprint(row: Mapping[str, Any], coefficients: Coefficients) -> Footprint:
    """The footprint of a call; one that is not counted has none of its own."""
    result = footprint(quantities(row), coefficients)
    if row["counted"]:
        return result
    none = Band(0.0, 0.0, 0.0)
    market = None if result.co2e_g_market is None else none
    return Footprint(none, none, market, none, none, none)


def _cursor_after(reach: Reach, row: Mapping[str, Any]) -> str:
    place = Place(row["start_time"], row["trace_hash"], row["span_id"], row["segment_id"])
    return cursors.encode(reach, place)

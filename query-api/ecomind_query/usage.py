"""`GET /v1/usage`: totals of a period, by any mix of dimensions.

The store answers with integer sums by group, price key and coefficients; everything that is not an
integer is worked out here, by `totals.py` and `prices.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from ecomind_query.coefficients import CoefficientBook
from ecomind_query.errors import BadParameter
from ecomind_query.models import Usage, UsageRow
from ecomind_query.periods import DAY, Period
from ecomind_query.prices import cost_usd
from ecomind_query.queries import TIME_DIMENSIONS, Queries
from ecomind_query.totals import Part, Sums, totals

DEFAULT_LENGTH = 7 * DAY
MAX_ROWS = 50_000
"""Most rows of integer sums that one answer is made from; it bounds memory and time."""

Groups = dict[tuple[str, ...], list[Part]]


def usage(
    queries: Queries,
    book: CoefficientBook,
    period: Period,
    group_by: Sequence[str] = (),
    filters: Mapping[str, str] | None = None,
    restatement: str = "",
) -> Usage:
    """Totals of the period by group, or those of a restatement. Raises BadParameter."""
    groups = parts_by_group(queries, book, period, group_by, filters or {}, restatement)
    rows = [UsageRow(group=dict(zip(group_by, values, strict=True)), totals=totals(parts))
            for values, parts in groups.items()]  # fmt: skip
    return Usage(
        from_=period.start,
        to=period.end,
        group_by=list(group_by),
        rows=ordered(rows, group_by),
        total=totals([part for parts in groups.values() for part in parts]),
        provisional_from=None if restatement else provisional_from(queries, period),
        restatement=restatement,
    )


def parts_by_group(
    queries: Queries,
    book: CoefficientBook,
    period: Period,
    group_by: Sequence[str],
    filters: Mapping[str, str],
    restatement: str = "",
) -> Groups:
    """Sums, coefficients and prices of the period by the values of `group_by`."""
    rows = queries.usage(period, group_by, filters, MAX_ROWS + 1, restatement)
    if len(rows) > MAX_ROWS:
        raise BadParameter(
            "group_by",
            f"the answer would be made from more than {MAX_ROWS:,} rows. Ask for a shorter range,"
            " fewer dimensions, or day instead of hour.",
        )
    entries = book.entries(queries, (row["coef_id"] for row in rows))
    groups: Groups = defaultdict(list)
    for row in rows:
        sums = Sums(*(int(row[name]) for name in Sums._fields))
        coefficients = entries[row["coef_id"]]
        if row["hourly_g"] is not None:
            coefficients = replace(coefficients, co2e_g_per_kwh_location=row["hourly_g"])
        part = Part(row["usage_quality"], sums, coefficients, _price(row, sums))
        groups[tuple(row["group"])].append(part)
    return groups


def ordered(rows: list[UsageRow], group_by: Sequence[str]) -> list[UsageRow]:
    """By time where time is a dimension, then by CO2e, the largest first."""
    times = [name for name in TIME_DIMENSIONS if name in group_by]
    return sorted(
        rows,
        key=lambda row: (
            *(row.group[name] for name in times),
            -row.totals.co2e_g_location.mid,
            *row.group.values(),
        ),
    )


def daily(queries: Queries, book: CoefficientBook, period: Period) -> Usage:
    """Totals of each UTC day that the period touches; days without calls are there with zeros."""
    answer = usage(queries, book, period, ["day"])
    by_day = {row.group["day"]: row for row in answer.rows}
    rows = [by_day.get(day) or _empty(day) for day in days(period)]
    return answer.model_copy(update={"rows": rows})


def days(period: Period) -> list[str]:
    """The UTC days that the period touches, as 2026-11-01."""
    last = period.end - timedelta(microseconds=1)
    count = (last.date() - period.start.date()).days + 1
    return [(period.start + index * DAY).date().isoformat() for index in range(count)]


def provisional_from(queries: Queries, period: Period) -> datetime | None:
    """Where the period's figures may still change; None if all its windows are reconciled.

    While no window is, that is the first call, or now if there is none: never before it.
    """
    until = queries.reconciled_until()
    if until is None:
        first = queries.first_received()
        until = min(first, period.end) if first else None
    if until is None:
        return None
    return max(until, period.start) if until < period.end else None


def _empty(day: str) -> UsageRow:
    return UsageRow(group={"day": day}, totals=totals([]))


def _price(row: Mapping[str, Any], sums: Sums) -> float | None:
    """The price that held on the first day of the month of the calls."""
    models = (row["response_model"], row["request_model"])
    return cost_usd(row["provider"], models, sums, row["month"])

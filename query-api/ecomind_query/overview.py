"""What the front page shows, put together from the same questions that the API answers."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from ecomind_query.calls import list_calls
from ecomind_query.coefficients import CoefficientBook
from ecomind_query.models import CallRow, LiveCall, Overview, TierShare, TrendPoint, UsageRow
from ecomind_query.periods import DAY, Period, midnight
from ecomind_query.queries import Queries
from ecomind_query.totals import Part, totals
from ecomind_query.ui.equivalents import equivalents_for
from ecomind_query.usage import Groups, ordered, parts_by_group, provisional_from

TREND_MODELS = 6
OTHER = "other"
TOP_ROWS = 8
LIVE_CALLS = 12
MINUTES = 30


def overview(queries: Queries, book: CoefficientBook, trend_days: int, now: datetime) -> Overview:
    """Everything on the front page at `now`; rankings and the trend cover `trend_days` UTC days."""
    start = midnight(now)
    end = max(now, start + timedelta(microseconds=1))
    span = Period(start - (trend_days - 1) * DAY, end)
    today = _parts(queries, book, Period(start, end))
    trend = parts_by_group(queries, book, span, ["day", "model"], {})
    day = totals(today)
    open_from = provisional_from(queries, span)
    return Overview(
        org_id=queries.reach.org_id,
        now=now,
        today=day,
        yesterday_same_hours=totals(_parts(queries, book, Period(start - DAY, end - DAY))),
        trend_days=trend_days,
        trend=trend_points(trend),
        top_teams=top(parts_by_group(queries, book, span, ["team"], {}), "team"),
        top_services=top(parts_by_group(queries, book, span, ["service"], {}), "service"),
        top_models=top(_without_day(trend), "model"),
        tiers=tier_shares(today),
        live=_live(queries, book, open_from),
        calls_per_minute=_minutes(queries, now),
        provisional_from=open_from,
        equivalents=equivalents_for(day),
        factor_set=factor_set(today or [part for parts in trend.values() for part in parts]),
    )


def trend_points(groups: Groups) -> list[TrendPoint]:
    """One point a day and model; models beyond the largest are added up as "other"."""
    largest = {row.group["model"] for row in top(_without_day(groups), "model")[:TREND_MODELS]}
    series: Groups = defaultdict(list)
    for (day, model), parts in groups.items():
        series[day, model if model in largest else OTHER] += parts
    return [_point(day, name, parts) for (day, name), parts in sorted(series.items())]


def top(groups: Groups, dimension: str) -> list[UsageRow]:
    """The groups with the most CO2e, the largest first."""
    rows = [UsageRow(group={dimension: values[0]}, totals=totals(parts))
            for values, parts in groups.items()]  # fmt: skip
    return ordered(rows, [dimension])[:TOP_ROWS]


def tier_shares(parts: Sequence[Part]) -> list[TierShare]:
    """Calls and energy by the evidence they rest on, the best first."""
    by_tier: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        by_tier[part.coefficients.model_tier].append(part)
    sums = {tier: totals(by_tier[tier]) for tier in sorted(by_tier)}
    whole = math.fsum(each.energy_wh.mid for each in sums.values())
    return [
        TierShare(
            tier=tier,
            calls=each.calls,
            energy_wh=each.energy_wh.mid,
            share=each.energy_wh.mid / whole if whole else 0.0,
        )
        for tier, each in sums.items()
    ]


def factor_set(parts: Sequence[Part]) -> str:
    """The factor set behind most of the calls; empty without calls."""
    calls: Counter[str] = Counter()
    for part in parts:
        calls[part.coefficients.factor_set] += part.sums.calls
    return max(calls, key=lambda name: (calls[name], name)) if calls else ""


def _parts(queries: Queries, book: CoefficientBook, period: Period) -> list[Part]:
    return parts_by_group(queries, book, period, [], {}).get((), [])


def _without_day(groups: Groups) -> Groups:
    models: Groups = defaultdict(list)
    for (_, model), parts in groups.items():
        models[model,] += parts
    return models


def _point(day: str, series: str, parts: Sequence[Part]) -> TrendPoint:
    sums = totals(parts)
    return TrendPoint(
        start=datetime.fromisoformat(day).replace(tzinfo=UTC),
        series=series,
        calls=sums.calls,
        energy_wh=sums.energy_wh.mid,
        co2e_g=sums.co2e_g_location.mid,
        water_ml=sums.water_ml.mid,
    )


def _live(queries: Queries, book: CoefficientBook, open_from: datetime | None) -> list[LiveCall]:
    return [_live_call(call, open_from)
            for call in list_calls(queries, book, limit=LIVE_CALLS).calls]  # fmt: skip


def _live_call(call: CallRow, open_from: datetime | None) -> LiveCall:
    return LiveCall(
        id=call.id,
        start_time=call.start_time,
        team=call.team,
        service=call.service,
        provider=call.provider,
        model=call.request_model or call.response_model,
        operation=call.operation,
        output_tokens=call.output_tokens,
        energy_wh=call.energy_wh,
        co2e_g=call.co2e_g,
        counted=call.counted,
        reason=call.reason,
        provisional=open_from is not None and call.received_at >= open_from,
    )


def _minutes(queries: Queries, now: datetime) -> list[int]:
    this_minute = now.replace(second=0, microsecond=0)
    by_age = queries.calls_per_minute(Period(this_minute - timedelta(minutes=MINUTES - 1), now))
    return [by_age.get(age, 0) for age in range(MINUTES - 1, -1, -1)]

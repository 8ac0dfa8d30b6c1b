"""From the API's shapes to what the templates print: charts, formatted figures, rows in order.

Templates only lay out; every choice of wording that depends on a number is made here, where it
can be tested without a browser. Each function returns the context of one template.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from markupsafe import Markup

from ecomind_query.models import CallDetail, Count, Overview, Range, Totals, UsageRow
from ecomind_query.ui import charts, format
from ecomind_query.ui.tiers import tiers
from ecomind_query.ui.trend import UNNAMED, trend_context
from ecomind_semconv.units import SECONDS_PER_MINUTE
from ecomind_semconv.usage import STATES


@dataclass(frozen=True)
class Card:
    """One of the three big figures."""

    label: str
    figure: format.Figure
    change: str
    whisker: Markup
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Ranked:
    """A row of a ranking: `value` is what to filter calls by, "" for what is no single value.

    `meter` shows its length against the first row.
    """

    name: str
    value: str
    figure: format.Figure
    meter: Markup


def is_empty(overview: Overview) -> bool:
    """Whether nothing has ever come in, as far as the front page can tell."""
    seen = (overview.today.calls, overview.yesterday_same_hours.calls, *overview.calls_per_minute)
    return not any(seen) and not overview.live and not any(p.calls for p in overview.trend)


def overview_context(overview: Overview) -> dict[str, Any]:
    """Context of the front page when there is something to show."""
    return {
        "overview": overview,
        "cards": cards(overview),
        "tiers": tiers_context(overview),
        "counted": counted_words(overview.today),
        "minutes": minutes_context(overview),
        "rankings": [
            ("Teams", "team", ranking(overview.top_teams)),
            ("Services", "service", ranking(overview.top_services)),
            ("Models", "model", ranking(overview.top_models)),
        ],
        "tokens": overview.today.input_tokens + overview.today.output_tokens,
        **trend_context(overview),
    }


def cards(overview: Overview) -> list[Card]:
    """Energy, CO2e and water of today, each against the same hours of yesterday."""
    now, before = overview.today, overview.yesterday_same_hours
    market = now.co2e_g_market
    per_call_wh = now.energy_wh.mid / now.calls if now.calls else 0.0
    return [
        _card(
            "energy", "Energy", format.energy, now.energy_wh, before.energy_wh,
            ("Per call", str(format.energy(per_call_wh))),
            ("Cost", "not available" if now.cost_usd is None else format.money(now.cost_usd)),
        ),
        _card(
            "co2e", "CO₂e", format.carbon, now.co2e_g_location, before.co2e_g_location,
            ("Market-based", "not available" if market is None else str(format.carbon(market.mid))),
            ("Embodied, not added", str(format.carbon(now.co2e_g_embodied.mid))),
        ),
        _card(
            "water", "Water", format.water, now.water_ml, before.water_ml,
            ("On site", str(format.water(now.water_ml_onsite.mid))),
            ("At power plants", str(format.water(now.water_ml_offsite.mid))),
        ),
    ]  # fmt: skip


def _card(
    key: str,
    label: str,
    show: Callable[[float], format.Figure],
    now: Range,
    before: Range,
    *facts: tuple[str, str],
) -> Card:
    change = format.change(now.mid, before.mid)
    told = f"{change} on yesterday by this hour" if change else "nothing yesterday by this hour"
    whisker = range_whisker(f"{label} today", show, now, id=f"range-{key}", before=before.mid)
    return Card(label, show(now.mid), told, whisker, facts)


def range_whisker(
    label: str,
    show: Callable[[float], format.Figure],
    figure: Range,
    *,
    id: str,
    before: float | None = None,
) -> Markup:
    """A figure's band as a chart that says it in words too."""
    told = f"{label}: {show(figure.mid)}, between {show(figure.low)} and {show(figure.high)}"
    low, high = (str(show(end)).removesuffix(" CO₂e") for end in (figure.low, figure.high))
    compared = "" if before is None else f" The same hours yesterday: {show(before)}."
    return charts.whisker(
        figure.low,
        figure.mid,
        figure.high,
        (low, high),
        before=before,
        id=id,
        title=told,
        desc=f"The range is a judgement, not a confidence interval.{compared}",
    )


def tiers_context(overview: Overview) -> dict[str, Any]:
    """The share bar of the quality tiers and what each letter means, best evidence first."""
    shares, known = {tier.tier: tier for tier in overview.tiers}, tiers()
    lengths = [shares[t.letter].share if t.letter in shares else 0.0 for t in known]
    rows = [
        (tier, format.percent(share), format.integer(shares[tier.letter].calls) if share else "0")
        for tier, share in zip(known, lengths, strict=True)
    ]
    told = [f"{tier.letter}, {tier.name}\t{share}" for tier, share, _ in rows]
    chart = charts.share_bar(
        lengths,
        told,
        id="tiers",
        title="Share of today's energy by quality of evidence",
        desc="; ".join(line.replace("\t", ": ") for line in told),
    )
    return {"chart": chart, "rows": rows}


def counted_words(today: Totals) -> str:
    """How many of the calls were seen, and of how many the token counts were reported."""
    if not today.calls:
        return "No call is counted yet."
    quality = today.usage_quality
    shares = {name: format.percent(quality.get(name, 0) / today.calls) for name in STATES}
    told = (
        f"Token counts of today's calls: {shares['reported']} reported,"
        f" {shares['partial']} in part, {shares['estimated']} estimated."
    )
    if today.coverage == 1:
        return f"{told} Every call is seen: no trace was sampled."
    return (
        f"{told} Traces are sampled: these calls stand for {format.number(today.adjusted_calls)},"
        f" a coverage of {format.percent(today.coverage)}. Totals are of the calls seen."
    )


def minutes_context(overview: Overview) -> dict[str, Any]:
    """The last half hour minute by minute; those not yet reconciled are marked provisional."""
    counts = overview.calls_per_minute or [0]
    provisional = provisional_minutes(overview)
    tips = []
    for index, count in enumerate(counts):
        minute = overview.now - timedelta(minutes=len(counts) - 1 - index)
        mark = "\nprovisional" if index >= len(counts) - provisional else ""
        tips.append(f"{minute:%H:%M}\t{format.integer(count)} calls{mark}")
    chart = charts.sparkline(
        counts,
        tips,
        provisional=len(counts) - provisional,
        id="minutes",
        title=f"Calls per minute, the last {len(counts)} minutes",
        desc=f"From {min(counts)} to {max(counts)} calls; the last {provisional} are provisional.",
    )
    recent = counts[-5:]
    return {
        "chart": chart,
        "rate": format.number(sum(recent) / len(recent)),
        "provisional": provisional,
        "total": format.integer(sum(counts)),
        "span": len(counts),
    }


def provisional_minutes(overview: Overview) -> int:
    """How many of the minutes shown lie in windows that are not reconciled yet."""
    if overview.provisional_from is None:
        return 0
    open_seconds = (overview.now - overview.provisional_from).total_seconds()
    minutes = math.ceil(open_seconds / SECONDS_PER_MINUTE)
    return min(max(minutes, 0), len(overview.calls_per_minute))


def ranking(rows: Sequence[UsageRow]) -> list[Ranked]:
    """Rows by CO2e; each has one dimension, whose value is its name."""
    largest = max((row.totals.co2e_g_location.mid for row in rows), default=0.0) or 1.0
    return [_ranked(next(iter(row.group.values())), row, largest) for row in rows]


def _ranked(value: str, row: UsageRow, largest_co2e_g: float) -> Ranked:
    co2e_g = row.totals.co2e_g_location.mid
    return Ranked(
        name=UNNAMED.get(value, value),
        value="" if value in UNNAMED else value,
        figure=format.mass(co2e_g),
        meter=charts.meter(co2e_g / largest_co2e_g),
    )


def call_context(detail: CallDetail) -> dict[str, Any]:
    """Context of the page of one call."""
    water = (detail.water_ml_onsite, detail.water_ml_offsite)
    figures = (
        ("Energy", format.energy, detail.energy_wh),
        ("CO₂e", format.carbon, detail.co2e_g_location),
        ("Water", format.water, _sum(*water)),
    )
    beside = (
        ("CO₂e, market-based", format.mass, detail.co2e_g_market),
        ("CO₂e, embodied; not added", format.mass, detail.co2e_g_embodied),
        ("Water on site", format.water, water[0]),
        ("Water at power plants", format.water, water[1]),
    )
    return {
        "detail": detail,
        "figures": [
            (label, show(figure.mid), range_whisker(label, show, figure, id=f"range-{index}"))
            for index, (label, show, figure) in enumerate(figures)
        ],
        "beside": beside,
        "tokens": {count.name: _counted(count) for count in detail.counts},
        "tier": next((tier for tier in tiers() if tier.letter == detail.call.model_tier), None),
    }


def _counted(count: Count) -> str:
    """A count, and how far it may be off where it was not reported."""
    if count.quality == "reported":
        return format.integer(count.mid)
    low, mid, high = map(format.integer, (count.low, count.mid, count.high))
    return f"{mid} ({count.quality}: {low} to {high})"


def _sum(first: Range, second: Range) -> Range:
    """Errors of shared factors are fully correlated: lows add to lows, highs to highs."""
    return Range(
        low=first.low + second.low, mid=first.mid + second.mid, high=first.high + second.high
    )

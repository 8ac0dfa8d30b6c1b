"""`GET /v1/whatif` and `ecomind whatif`: the same calls on another model, in another place or hour.

Both sides are resolved now, under one factor set, so that the difference is that of the change and
not of two sets; what the organisation has approved of factors holds on both. The token counts stay
as they were: that another model would have needed other ones is the caveat that every answer
carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients
from ecomind_processor.hourly import Grids
from ecomind_processor.resolution import (
    MEASURED,
    NOT_LINEAR,
    SPEND,
    CallKey,
    in_hour,
    method_on,
    resolve,
)
from ecomind_processor.terms import NO_TERMS, Terms
from ecomind_query.errors import BadParameter
from ecomind_query.models import WhatIf
from ecomind_query.parameters import WhatIfQuery
from ecomind_query.periods import Period
from ecomind_query.queries import Queries
from ecomind_query.restatements import compare
from ecomind_receiver.closing import SUMS
from ecomind_receiver.restating import Moved

MAX_ROWS = 50_000
CAVEATS = {
    "model": "Another model answers otherwise: quality differs, and so would the number of tokens"
    " and of tries. These are the tokens of the calls as they were.",
    "place": "Prices, latency, law and available models differ by region.",
    "hour": "Only work that can wait can be moved; the average intensity of an hour is not what one"
    " more kWh in it causes.",
    "year": "Both sides have the grids' yearly figures, not those of the calls' hours.",
}


def whatif(
    queries: Queries,
    grids: Grids,
    query: WhatIfQuery,
    period: Period,
    filters: Mapping[str, str],
    terms: Terms = NO_TERMS,
) -> WhatIf:
    """The calls of the period as they were and as they might have been. Raises BadParameter."""
    if not (query.to_model or query.to_provider or query.to_region or query.to_hour is not None):
        raise BadParameter("to_model", "is missing; give it, to_provider, to_region or to_hour.")
    factors = FactorSet.load()
    if factors.method in NOT_LINEAR:
        raise BadParameter("from", f"{factors.method} needs single calls; it has no what-if.")
    epochs = tuple(sorted({*factors.epochs, *terms.epochs}))
    rows = queries.resolvable(
        period, filters, epochs, MAX_ROWS + 1, by_hour=query.to_hour is not None
    )
    if len(rows) > MAX_ROWS:
        raise BadParameter("from", f"more than {MAX_ROWS:,} rows; ask for a shorter range.")
    known: dict[int, Coefficients] = {}
    moved: list[Moved] = []
    methods, taken = set(), set()
    for row in rows:
        measured = bool(row["is_measured"])
        own = method_on(row["first_hour"].date(), factors, terms)
        method = factors.method if own in NOT_LINEAR else own
        methods.add(method if method == own else f"{method} in place of {own}")
        before = resolve(_key(row, measured), factors, method, terms)
        after = resolve(_changed(row, query, measured), factors, method, terms)
        if query.to_model and after.method not in (SPEND, MEASURED):
            taken.add(f"{after.model} ({after.model_match}), tier {after.model_tier}")
        if query.to_hour is not None:
            hour = row["first_hour"]
            before = _at(before, hour, grids, factors)
            after = _at(after, hour.replace(hour=query.to_hour), grids, factors)
        known |= {before.coef_id: before, after.coef_id: after}
        sums = {name: int(row[name]) for name in SUMS}
        model = row["request_model"] or row["response_model"]
        moved.append(Moved(row["provider"], model, before.coef_id, after.coef_id, sums))
    return WhatIf(
        from_=period.start,
        to=period.end,
        to_model=query.to_model,
        to_provider=query.to_provider,
        to_region=query.to_region,
        to_hour=query.to_hour,
        factor_set=factors.id,
        method=", ".join(sorted(methods)) or factors.method,
        difference=compare(moved, known, 0.0),
        caveats=_caveats(query, sorted(taken), hourly=grids.has("average")),
    )


def _key(row: Mapping[str, Any], measured: bool) -> CallKey:
    return CallKey(
        row["provider"], row["request_model"], row["response_model"], row["place"],
        row["service_tier"], row["first_hour"].date(), measured, row["usage_quality"],
        any(row[name] for name in ("images", "audio_ms", "video_ms")), bool(row["spend_microusd"]),
    )  # fmt: skip


def _changed(row: Mapping[str, Any], query: WhatIfQuery, measured: bool) -> CallKey:
    """The key of the call as it might have been; a measurement holds for its own model only."""
    key = _key(row, measured and not query.to_model)
    if query.to_model:
        key = key._replace(request_model="", response_model=query.to_model)
    if query.to_provider:
        place = "" if query.to_provider != key.provider else key.place
        key = key._replace(provider=query.to_provider, place=place)
    return key._replace(place=query.to_region) if query.to_region else key


def _at(c: Coefficients, hour: datetime, grids: Grids, factors: FactorSet) -> Coefficients:
    """With the grid's average intensity in the hour. Raises BadParameter if it is not known."""
    if grids.average(c.zone, hour) is None:
        raise BadParameter(
            "to_hour",
            f"no intensity is known for the grid {c.zone} in the hour {hour:%Y-%m-%d %H}:00 UTC;"
            " name a source that has it (ECOMIND_GRID_HOURLY).",
        )
    return in_hour(c, hour, grids, factors)


def _caveats(query: WhatIfQuery, taken: list[str], *, hourly: bool) -> list[str]:
    asked = {
        "model": bool(query.to_model),
        "place": bool(query.to_region or query.to_provider),
        "hour": query.to_hour is not None,
        "year": hourly and query.to_hour is None,
    }
    names = [f"{query.to_model} is taken for {each}." for each in taken]
    return names + [CAVEATS[name] for name, is_asked in asked.items() if is_asked]

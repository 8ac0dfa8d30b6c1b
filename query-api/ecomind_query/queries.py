"""Every question of the read side to the store, and the only place that asks it.

A `Queries` belongs to one reach, an organisation or one project of it, and no method takes another.
Each text, here and in `arrivals`, says `{own}` wherever it reads rows of a tenant, and
`held.within` alone puts the condition there. No text of a caller becomes SQL: values are bound on
the server side, and columns and conditions come from the tables `DIMENSIONS` and `FILTERS`.
Corrections of the reconcile job are rows with sign −1, so sums carry the sign and lists leave
cancelled rows out; nothing reads with FINAL.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, NamedTuple, Protocol

from ecomind_processor.footprint import COEFFICIENT_NAMES, Coefficients
from ecomind_processor.resolution import HOURLY
from ecomind_query import arrivals
from ecomind_query.errors import BadParameter
from ecomind_query.held import COLUMNS, LIMITS, STATEMENT, tables_within, within
from ecomind_query.periods import Period
from ecomind_query.totals import TERMS
from ecomind_receiver.closing import SUMS
from ecomind_receiver.counting import VERSION
from ecomind_receiver.tenants import Reach

DIMENSIONS: dict[str, str] = {
    "model": "if(request_model != '', request_model, response_model)",
    "provider": "provider",
    "team": "team",
    "project": "project_id",
    "service": "service",
    "environment": "environment",
    "region": "place",
    "hour": "formatDateTime(hour, '%Y-%m-%dT%H:00:00Z', 'UTC')",
    "day": "formatDateTime(hour, '%Y-%m-%d', 'UTC')",
    "month": "formatDateTime(hour, '%Y-%m', 'UTC')",
}
"""Dimension of a grouping → its expression over the rows of `_USAGE_ROWS`."""

Values = Mapping[str, object]
TIME_DIMENSIONS = ("hour", "day", "month")

FILTERS: dict[str, str] = {
    "model": "{model:String} IN (request_model, response_model)",
    "provider": "provider = {provider:String}",
    "team": "team = {team:String}",
    "project": "project_id = {project:String}",
    "service": "service = {service:String}",
    "environment": "environment = {environment:String}",
    "region": "place = {region:String}",
    "usage_quality": "usage_quality = {usage_quality:String}",
}
"""Filter of totals and lists → its condition; the value is bound under the filter's name."""

CALL_FILTERS: dict[str, str] = FILTERS | {
    "counted": "counted = {counted:UInt8}",
    "reason": "reason = {reason:String}",
    "from": "start_time >= {from:DateTime64(6, 'UTC')}",
    "to": "start_time < {to:DateTime64(6, 'UTC')}",
}
"""What `FILTERS` has and what only a single call can be asked for."""

_USAGE_ROWS = """
    SELECT project_id, team, service, environment, provider, request_model, response_model, place,
           hour, usage_quality, coef_id, calls, adjusted_calls_milli, input_tokens,
           cache_read_tokens, cache_write_tokens, output_tokens,
           reasoning_tokens, uncached_tokens, input_tokens_over_32k, measured_energy_mj,
           images, audio_ms, video_ms, spend_microusd, generation_us, generation_us_high
    FROM usage_hourly
    WHERE {own}
      AND hour >= {whole_from:DateTime('UTC')} AND hour < {whole_to:DateTime('UTC')} {filters}
    UNION ALL
    SELECT project_id, team, service, environment, provider, request_model, response_model, place,
           toStartOfHour(toDateTime(start_time, 'UTC')) AS hour, usage_quality, coef_id,
           toInt64(sign), sign * toInt64(adjusted_calls_milli),
           sign * toInt64(c.input_tokens), sign * toInt64(c.cache_read_tokens),
           sign * toInt64(c.cache_write_tokens), sign * toInt64(c.output_tokens),
           sign * toInt64(c.reasoning_tokens), sign * greatest(uncached, 0),
           sign * greatest(uncached - 32000, 0), sign * toInt64(c.measured_energy_mj),
           sign * toInt64(c.images), sign * toInt64(c.audio_ms), sign * toInt64(c.video_ms),
           sign * toInt64(c.spend_microusd),
           sign * toInt64(c.generation_us), sign * toInt64(c.generation_us_high)
    FROM (
        SELECT *, toInt64(input_tokens) - cache_read_tokens - cache_write_tokens AS uncached
        FROM calls
        WHERE {own} AND counted
          AND ((start_time >= {from:DateTime64(6, 'UTC')}
                AND start_time < {edge_from:DateTime64(6, 'UTC')})
            OR (start_time >= {edge_to:DateTime64(6, 'UTC')}
                AND start_time < {to:DateTime64(6, 'UTC')})) {filters}
    ) AS c
"""

_RESTATED_ROWS = """
    SELECT project_id, team, service, environment, provider, request_model, response_model, place,
           hour, usage_quality, coef_id, calls, adjusted_calls_milli, input_tokens,
           cache_read_tokens, cache_write_tokens, output_tokens,
           reasoning_tokens, uncached_tokens, input_tokens_over_32k, measured_energy_mj,
           images, audio_ms, video_ms, spend_microusd, generation_us, generation_us_high
    FROM restated_usage
    WHERE {own} AND restatement_id = {restatement:String}
      AND hour >= {whole_from:DateTime('UTC')} AND hour < {whole_to:DateTime('UTC')} {filters}
"""

USAGE = """
SELECT CAST([{groups}], 'Array(String)') AS group, provider,
       request_model, response_model, toDateTime(toStartOfMonth(hour), 'UTC') AS month,
       usage_quality, min(r.coef_id) AS coef_id, {hourly_g} AS hourly_g, sum(r.calls) AS calls,
       sum(r.adjusted_calls_milli) AS adjusted_calls_milli, sum(r.input_tokens) AS input_tokens,
       sum(r.cache_read_tokens) AS cache_read_tokens,
       sum(r.cache_write_tokens) AS cache_write_tokens, sum(r.output_tokens) AS output_tokens,
       sum(r.reasoning_tokens) AS reasoning_tokens, sum(r.uncached_tokens) AS uncached_tokens,
       sum(r.input_tokens_over_32k) AS input_tokens_over_32k,
       sum(r.measured_energy_mj) AS measured_energy_mj, sum(r.images) AS images,
       sum(r.audio_ms) AS audio_ms, sum(r.video_ms) AS video_ms,
       sum(r.spend_microusd) AS spend_microusd,
       sum(r.generation_us) AS generation_us, sum(r.generation_us_high) AS generation_us_high
FROM ({rows}) AS r {hourly}
GROUP BY group, provider, request_model, response_model, month, usage_quality, {family}
HAVING calls != 0
LIMIT {limit:UInt32}
"""

_IS_HOURLY = f"position(zone_match, '{HOURLY}') > 0"

HOURLY_ONES = f"SELECT 1 AS one FROM coefficients WHERE {_IS_HOURLY} LIMIT 1"

_OF_HOUR = ("co2e_g_per_kwh_location", "grid_year", "zone_match")
_OF_FAMILY = ", ".join(name for name in COEFFICIENT_NAMES if name not in _OF_HOUR)

_IT_WH = " + ".join(f"r.{sums} * h.{each} / {per}" for sums, each, per in TERMS)

_BY_COEFFICIENT = {"{family}": "r.coef_id", "{hourly}": "", "{hourly_g}": "NULL"}

_BY_FAMILY = {
    "{family}": "if(h.coef_id = 0, r.coef_id, h.family)",
    "{hourly}": "LEFT ANY JOIN ({families}) AS h ON r.coef_id = h.coef_id",
    "{families}": f"""
        SELECT coef_id, cityHash64(toString(tuple({_OF_FAMILY}))) AS family,
               co2e_g_per_kwh_location AS g, {", ".join(each for _, each, _ in TERMS)}
        FROM coefficients WHERE {_IS_HOURLY}""",
    "{hourly_g}": f"""if(any(h.coef_id) = 0, NULL,
       toFloat64(sum(toInt128(round(({_IT_WH}) * h.g * 1e15))))
       / nullIf(toFloat64(sum(toInt128(round(({_IT_WH}) * 1e15)))), 0))""",
}
"""Where grids are known by the hour, a call's coefficients are one of thousands that differ in that
alone: they are added up together, with the intensity that their energy had on average. Added as
integers, so that it is the same in any order."""

COEFFICIENTS = f"""
SELECT coef_id, {", ".join(COEFFICIENT_NAMES)}
FROM coefficients
WHERE coef_id IN {{ids:Array(UInt64)}}
LIMIT 1 BY coef_id
"""

_CALL_COLUMNS = """
    start_time, received_at, duration_us, project_id, team, service, environment, provider,
    request_model, response_model, place, operation, scope, trace_hash, span_id, segment_id,
    input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
    measured_energy_mj, images, audio_ms, video_ms, spend_microusd, usage_quality, usage_states,
    adjusted_calls_milli, signal, counted, reason, sign, coef_id
"""

_VERSION = ", ".join(VERSION)

CALLS = f"""
SELECT {_CALL_COLUMNS}
FROM calls
WHERE {{own}} AND sign = 1
  AND (trace_hash, span_id, segment_id, counted, {_VERSION}) NOT IN (
      SELECT trace_hash, span_id, segment_id, counted, {_VERSION}
      FROM calls WHERE {{own}} AND sign = -1 {{filters}})
  {{filters}}
ORDER BY start_time DESC, trace_hash DESC, span_id DESC, segment_id DESC
LIMIT {{limit:UInt32}}
"""

_BEFORE = """
  AND start_time <= {at:DateTime64(6, 'UTC')}
  AND (start_time, trace_hash, span_id, segment_id)
      < ({at:DateTime64(6, 'UTC')}, {trace_hash:UInt64}, {span_id:UInt64}, {segment_id:UInt64})
"""

CALL = f"""
SELECT {_CALL_COLUMNS}
FROM calls
WHERE {{own}}
  AND trace_hash = {{trace_hash:UInt64}} AND span_id = {{span_id:UInt64}}
ORDER BY received_at DESC, segment_id DESC
LIMIT 1000
"""

_SUMS = ", ".join(f"sum(u.{name}) AS {name}" for name in SUMS)

RESOLVABLE = f"""
SELECT provider, request_model, response_model, place, service_tier, usage_quality,
       coef_id IN (SELECT coef_id FROM coefficients WHERE method = 'measured') AS is_measured,
       arrayCount(start -> start <= toDate(u.hour, 'UTC'), {{epochs:Array(Date)}}) AS epoch,
       toUnixTimestamp(u.hour) * {{by_hour:UInt8}} AS slot, min(u.hour) AS first_hour, {_SUMS}
FROM usage_hourly AS u
WHERE {{own}}
  AND hour >= {{whole_from:DateTime('UTC')}} AND hour < {{whole_to:DateTime('UTC')}} {{filters}}
GROUP BY provider, request_model, response_model, place, service_tier, usage_quality, is_measured,
         epoch, slot
LIMIT {{limit:UInt32}}
"""

RESTATEMENTS = """
SELECT * EXCEPT (project_id)
FROM restatements
WHERE {own} AND ({restatement:String} = '' OR restatement_id = {restatement:String})
ORDER BY created_at DESC, restatement_id
LIMIT {limit:UInt32}
"""

CLOSES = """
SELECT day, generation, closed_at, rows, calls, root
FROM day_closes
WHERE {own} AND day >= {from:Date} AND day < {to:Date}
ORDER BY day, generation
LIMIT {limit:UInt32}
"""


class Rows(Protocol):
    """The part of the store that reading needs."""

    def query(
        self, sql: str, params: Values | None = None, settings: Values | None = None
    ) -> list[dict[str, Any]]:
        """Rows of a SELECT as dicts; `{name:Type}` is bound from `params`."""


class Place(NamedTuple):
    """Where a list of calls goes on: the last call that was shown."""

    at: datetime
    trace_hash: int
    span_id: int
    segment_id: int


class Queries:
    """The questions that may be asked within one reach. Methods block."""

    def __init__(self, rows: Rows, reach: Reach) -> None:
        self._rows = rows
        self.reach = reach

    def usage(
        self,
        period: Period,
        group_by: Sequence[str],
        filters: Mapping[str, str],
        limit: int,
        restatement: str = "",
    ) -> list[dict[str, Any]]:
        """Integer sums by group, price key, month and coefficients; at most `limit` rows.

        `hourly_g`: that many gCO2e a kWh instead of the coefficients' own, where it isn't None.
        With a restatement's id: those of its rows, which has whole hours only.
        """
        known = [DIMENSIONS[name] for name in checked("group_by", group_by, DIMENSIONS)]
        source = _RESTATED_ROWS if restatement else _USAGE_ROWS
        rows = source.replace("{filters}", _conditions(filters, FILTERS))
        groups = ", ".join(f"toString({part})" for part in known)
        text = USAGE.replace("{groups}", groups).replace("{rows}", rows)
        is_hourly = bool(self._ask(HOURLY_ONES))
        for name, part in (_BY_FAMILY if is_hourly else _BY_COEFFICIENT).items():
            text = text.replace(name, part)
        whole = period.whole_hours()
        bound = {"from": period.start, "to": period.end, "limit": limit, **filters}
        if restatement:
            bound["restatement"] = restatement
        return self._ask(
            text,
            **bound,
            whole_from=whole.start,
            whole_to=whole.end,
            edge_from=whole.start,
            edge_to=whole.end,
        )

    def resolvable(
        self,
        period: Period,
        filters: Mapping[str, str],
        epochs: Sequence[date],
        limit: int,
        *,
        by_hour: bool = False,
    ) -> list[dict[str, Any]]:
        """Integer sums by what the resolver is given, of whole hours; at most `limit` rows."""
        text = RESOLVABLE.replace("{filters}", _conditions(filters, FILTERS))
        bound = {"whole_from": period.start, "whole_to": period.end, "by_hour": int(by_hour)}
        return self._ask(text, **filters, **bound, epochs=list(epochs), limit=limit)

    def restatements(self, limit: int, id: str = "") -> list[dict[str, Any]]:
        """Restatements, newest first; with an id, that one."""
        return self._ask(RESTATEMENTS, restatement=id, limit=limit)

    def closes(self, first: date, end: date, limit: int) -> list[dict[str, Any]]:
        """The closes of the days [first, end), every generation."""
        return self._ask(CLOSES, **{"from": first, "to": end, "limit": limit})

    def coefficients(self, ids: Iterable[int]) -> dict[int, Coefficients]:
        """The coefficients with these ids; they belong to no organisation."""
        rows = self._ask(COEFFICIENTS, ids=list(ids))
        return {row.pop("coef_id"): Coefficients(**row) for row in rows}

    def calls(
        self, filters: Mapping[str, object], before: Place | None, limit: int
    ) -> list[dict[str, Any]]:
        """Calls that stand after corrections, newest first, older than `before`."""
        conditions = _conditions(filters, CALL_FILTERS)
        bound = dict(filters)
        if before is not None:
            conditions += _BEFORE
            bound |= before._asdict()
        return self._ask(CALLS.replace("{filters}", conditions), **bound, limit=limit)

    def call(self, trace_hash: int, span_id: int) -> list[dict[str, Any]]:
        """Every row of one call: stored, cancelled and replaced alike."""
        return self._ask(CALL, trace_hash=trace_hash, span_id=span_id)

    def is_stored(self, trace_hash: int, span_id: int) -> bool:
        """Whether a call with this identity is in the store."""
        return bool(self._ask(arrivals.IS_STORED, trace_hash=trace_hash, span_id=span_id))

    def calls_per_minute(self, period: Period) -> dict[int, int]:
        """Counted calls by age in whole minutes before the period's end."""
        rows = self._ask(arrivals.CALLS_PER_MINUTE, **{"from": period.start, "to": period.end})
        return {int(row["age_minutes"]): int(row["calls"]) for row in rows}

    def reconciled_until(self) -> datetime | None:
        """The end of the last closed window; None while none is closed."""
        row = self._ask(arrivals.RECONCILED_UNTIL)[0]
        return row["until"] if row["windows"] else None

    def first_received(self) -> datetime | None:
        """When the first call that is kept was received; None if there is none."""
        return next((row["first"] for row in self._ask(arrivals.FIRST_RECEIVED)), None)

    def recent_spans(self, limit: int) -> list[dict[str, Any]]:
        """The last spans received, newest first, and what became of each."""
        return self._ask(arrivals.RECENT_SPANS, limit=limit)

    def counted_since(self, since: datetime) -> list[dict[str, Any]]:
        """Calls received since then and their tokens, by whether and why they count."""
        return self._ask(arrivals.COUNTED_SINCE, **{"from": since})

    def outcomes(self, since: datetime) -> dict[str, int]:
        """Acknowledged spans by what became of them."""
        rows = self._ask(arrivals.OUTCOMES, **{"from": since})
        return {row["outcome"]: int(row["spans"]) for row in rows}

    def statement(self, checked_text: str, limit: int) -> list[dict[str, Any]]:
        """Rows of a user's SELECT that `sql.bound` has checked and bound to this reach."""
        text = STATEMENT.replace("{statement}", checked_text)
        return self._run(text, {"limit": limit}, LIMITS)

    def columns(self, table: str) -> list[str]:
        """The columns that a table of a user's statement has."""
        rows = self.statement(COLUMNS.replace("{rows}", tables_within(self.reach)[table]), 1)
        return [name.removeprefix("any(").removesuffix(")") for row in rows for name in row]

    def _ask(self, text: str, **params: object) -> list[dict[str, Any]]:
        return self._run(within(text, self.reach), params)

    def _run(self, text: str, params: Values, under: Values | None = None) -> list[dict[str, Any]]:
        bound = {**params, "org": self.reach.org_id}
        if self.reach.project_id is not None:
            bound["own_project"] = self.reach.project_id
        rows = self._rows.query(text, bound, under)
        return [{name: _aware(value) for name, value in row.items()} for row in rows]


def checked(parameter: str, names: Iterable[str], known: Iterable[str]) -> list[str]:
    """The names, each known and none twice. Raises BadParameter, which names those allowed."""
    listed = list(names)
    allowed = list(known)
    for name in listed:
        if name not in allowed:
            raise BadParameter(parameter, f"{name[:40]!r} is not one of {', '.join(allowed)}.")
    if len(set(listed)) != len(listed):
        raise BadParameter(parameter, "names a dimension twice; name each once.")
    return listed


def _conditions(filters: Mapping[str, object], known: Mapping[str, str]) -> str:
    names = checked("filter", filters, known)
    return "".join(f"\n  AND {known[name]}" for name in names)


def _aware(value: object) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value

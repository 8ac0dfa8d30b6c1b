"""The read side of one store: what the page, the API and the command line ask, in the API's shapes.

Methods block, so a server calls them in a thread. What the caller may read is an argument of every
method and goes straight into a `Queries`, which binds it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from ecomind_processor.hourly import Grids
from ecomind_processor.terms import NO_TERMS, Terms
from ecomind_query import restatements, sql
from ecomind_query.calls import call_detail, list_calls
from ecomind_query.coefficients import CoefficientBook
from ecomind_query.errors import BadParameter
from ecomind_query.models import (
    CallDetail,
    Calls,
    Closes,
    Overview,
    Restatement,
    Restatements,
    Totals,
    Usage,
    WhatIf,
)
from ecomind_query.overview import overview
from ecomind_query.parameters import WhatIfQuery
from ecomind_query.periods import DAY, HOUR, Period, full_hour, midnight, period
from ecomind_query.queries import Queries, Rows
from ecomind_query.shapes import Received, ReceivedSpan, RestatementOrder, SqlResult
from ecomind_query.usage import DEFAULT_LENGTH, daily, usage
from ecomind_query.whatif import whatif
from ecomind_receiver.restating import Restater
from ecomind_receiver.tenants import Reach

TREND_DAYS = (7, 30)
MAX_DAYS = 3660


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class Reader:
    """Answers from one store, at the time that `clock` tells."""

    def __init__(
        self, rows: Rows, *, retention_days: int, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._rows = rows
        self._retention = timedelta(days=retention_days)
        self._clock = clock
        self._book = CoefficientBook()

    def overview(self, reach: Reach, trend_days: int) -> Overview:
        """Everything on the front page; `trend_days` is 7 or 30."""
        if trend_days not in TREND_DAYS:
            raise BadParameter("trend_days", f"{trend_days} must be 7 or 30.")
        return overview(self._queries(reach), self._book, trend_days, self._clock())

    def usage(
        self,
        reach: Reach,
        *,
        start: str | None = None,
        end: str | None = None,
        group_by: Sequence[str] = (),
        filters: Mapping[str, str] | None = None,
        restatement: str = "",
    ) -> Usage:
        """Totals of [start, end), by default the last seven days, by group. Raises BadParameter.

        Of a restatement, by default its whole period.
        """
        queries = self._queries(reach)
        if restatement:
            asked = self._restated(queries, restatement, start, end)
        else:
            asked = self._period(start, end, DEFAULT_LENGTH)
        return usage(queries, self._book, asked, group_by, filters, restatement)

    def restate(
        self, restater: Restater, reach: Reach, order: RestatementOrder, threshold_percent: float
    ) -> Restatement:
        """Closed days under another set or method, tried or kept. Raises BadParameter."""
        queries = self._queries(reach)
        return restatements.restate(restater, queries, self._book, order, threshold_percent)

    def restatements(self, reach: Reach, id: str = "") -> Restatements:
        """Restatements that were kept, newest first; with an id, that one."""
        return restatements.listed(self._queries(reach), id)

    def whatif(
        self, reach: Reach, query: WhatIfQuery, grids: Grids, terms: Terms = NO_TERMS
    ) -> WhatIf:
        """The same calls on another model, in another place or hour. Raises BadParameter."""
        asked = self._period(query.from_, query.to, 30 * DAY)
        if query.to is None:  # the hour that has begun counts too
            asked = asked._replace(end=full_hour(asked.end) + HOUR)
        filters, queries = query.filters(), self._queries(reach)
        return whatif(queries, grids, query, asked.whole_hours(), filters, terms)

    def closes(self, reach: Reach, *, first: date | None = None, end: date | None = None) -> Closes:
        """The closes of the days [first, end), by default the last 90. Raises BadParameter."""
        until = end or self._clock().date() + DAY
        return restatements.closes(self._queries(reach), first or until - 90 * DAY, until)

    def daily(self, reach: Reach, *, start: str | None = None, end: str | None = None) -> Usage:
        """Totals of each UTC day of [start, end), by default the last 30. Raises BadParameter."""
        if start is None and end is None:
            now = self._clock()
            asked = Period(midnight(now) - 29 * DAY, max(now, midnight(now) + _INSTANT))
        else:
            asked = self._period(start, end, 30 * DAY)
        if asked.end - asked.start > MAX_DAYS * DAY:
            raise BadParameter("from", f"the range may be at most {MAX_DAYS} days long.")
        return daily(self._queries(reach), self._book, asked)

    def today(self, reach: Reach) -> Totals:
        """Totals since 00:00 UTC."""
        now = self._clock()
        asked = Period(midnight(now), max(now, midnight(now) + _INSTANT))
        return usage(self._queries(reach), self._book, asked).total

    def calls(
        self,
        reach: Reach,
        *,
        cursor: str | None = None,
        limit: int = 50,
        filters: Mapping[str, str] | None = None,
    ) -> Calls:
        """One page of calls, newest first. Raises BadParameter."""
        return list_calls(
            self._queries(reach), self._book, cursor=cursor, limit=limit, filters=filters
        )

    def call(self, reach: Reach, id: str) -> CallDetail | None:
        """One call with its derivation; None for an id that is not within reach."""
        return call_detail(self._queries(reach), self._book, id)

    def is_stored(self, reach: Reach, trace_hash: int, span_id: int) -> bool:
        """Whether a call with this identity is within reach."""
        return self._queries(reach).is_stored(trace_hash, span_id)

    def received(self, reach: Reach, limit: int) -> Received:
        """The last spans received and why each counted or not; outcomes of the last 24 hours."""
        queries = self._queries(reach)
        spans = [ReceivedSpan(**row) for row in queries.recent_spans(limit)]
        return Received(spans=spans, outcomes_24h=queries.outcomes(self._clock() - DAY))

    def sql(self, reach: Reach, statement: str) -> SqlResult:
        """The result of one SELECT over the rows within reach. Raises QueryError."""
        return sql.run(self._queries(reach), statement)

    def _queries(self, reach: Reach) -> Queries:
        return Queries(self._rows, reach)

    def _restated(self, queries: Queries, id: str, start: str | None, end: str | None) -> Period:
        found = restatements.listed(queries, id).restatements
        if not found:
            raise BadParameter("restatement", f"{id[:60]!r} is not one of this organisation's.")
        whole = (f"{day.isoformat()}T00:00:00Z" for day in (found[0].from_, found[0].to))
        first, last = whole
        asked = period(start or first, end or last, default_length=DAY, now=self._clock())
        if asked != asked.whole_hours():
            raise BadParameter("from", "and to must be full hours: a restatement has no others.")
        return asked

    def _period(self, start: str | None, end: str | None, length: timedelta) -> Period:
        asked = period(start, end, default_length=length, now=self._clock())
        whole, oldest = asked.whole_hours(), self._clock() - self._retention
        for name, edge, is_whole in (
            ("from", asked.start, asked.start == whole.start),
            ("to", asked.end, asked.end == whole.end),
        ):
            if edge < oldest and not is_whole:
                raise BadParameter(
                    name,
                    f"{edge.isoformat()} must be a full hour, because single calls are kept for"
                    f" {self._retention.days} days only and older figures by the hour.",
                )
        return asked


_INSTANT = timedelta(microseconds=1)

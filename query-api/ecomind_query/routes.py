"""The routes under /v1: a shape checks what comes in, the reader answers.

The reader blocks, so each question goes through the desk. Who asks comes from `callers.py` alone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.exceptions import HTTPException

from ecomind_processor.factors import FactorSet
from ecomind_query import event
from ecomind_query.backups import backup_router
from ecomind_query.callers import API_KEY, KEYS, Reading, Responses, Restating, Writing
from ecomind_query.cursors import call_id
from ecomind_query.desk import Desk
from ecomind_query.explaining import explained
from ecomind_query.models import (
    CallDetail,
    Calls,
    Closes,
    Explained,
    Overrides,
    Overview,
    Restatement,
    Restatements,
    Totals,
    Usage,
    WhatIf,
)
from ecomind_query.once import Once
from ecomind_query.overrides import listed
from ecomind_query.parameters import (
    CallsQuery,
    ClosesQuery,
    Days,
    ExplainQuery,
    OverviewQuery,
    SpansQuery,
    UsageQuery,
    WhatIfQuery,
)
from ecomind_query.reader import Reader
from ecomind_query.shapes import (
    Accepted,
    Event,
    Problem,
    Received,
    RestatementOrder,
    SqlResult,
    SqlStatement,
)
from ecomind_receiver.control.errors import ControlError
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import Reach

_INVALID: Responses = {422: {"model": Problem, "description": "A value can't be used; see detail."}}
_UNKNOWN: Responses = {404: {"model": Problem, "description": "There is no such call."}}
_BUSY: Responses = {
    429: {"model": Problem, "description": "Over the quota; see Retry-After."},
    503: {"model": Problem, "description": "Not durable now; see Retry-After."},
}
_AWAY: Responses = {503: {"model": Problem, "description": "The control store is away."}}
_REFUSED: Responses = {400: {"model": Problem, "description": "The statement is not possible."}}


CallId = Annotated[
    str,
    Path(
        pattern="^[0-9a-f]{32}$",
        description="The id that a list or an acknowledgement gave.",
        examples=["7c1de0a59d3f2b1400f067aa0ba902b7"],
    ),
]


def api_router(receiver: Receiver, reader: Reader, desk: Desk, settings: Settings) -> APIRouter:
    """Every route under /v1."""
    router = APIRouter(prefix="/v1", dependencies=[Depends(API_KEY)], responses=KEYS)
    router.include_router(_figures(receiver, reader, desk))
    router.include_router(_calls(reader, desk))
    router.include_router(_ingest(receiver, reader, desk, settings))
    router.include_router(_closed(receiver, reader, desk, settings))
    router.include_router(_tools(reader, desk))
    router.include_router(backup_router(receiver.backups))
    return router


def _figures(receiver: Receiver, reader: Reader, desk: Desk) -> APIRouter:
    router = APIRouter(tags=["figures"], responses=_INVALID)

    @router.get("/usage", summary="Totals by any mix of dimensions")
    async def usage(reach: Reading, query: Annotated[UsageQuery, Query()]) -> Usage:
        """Calls, tokens, energy, CO2e, water and cost, by group and in total."""
        return await desk.ask(
            reader.usage,
            reach,
            start=query.from_,
            end=query.to,
            group_by=query.group_by,
            filters=query.filters(),
            restatement=query.restatement,
        )

    @router.get("/today", summary="Totals since 00:00 UTC")
    async def today(reach: Reading) -> Totals:
        """Totals of the current UTC day until now."""
        return await desk.ask(reader.today, reach)

    @router.get("/aggregate/daily", summary="Totals by day")
    async def daily(reach: Reading, query: Annotated[Days, Query()]) -> Usage:
        """Totals of each UTC day, by default of the last 30; days without calls have zeros."""
        return await desk.ask(reader.daily, reach, start=query.from_, end=query.to)

    @router.get("/explain", summary="The footprint of a call that you describe, step by step")
    async def explain(reach: Reading, query: Annotated[ExplainQuery, Query()]) -> Explained:
        """Every factor with its source, the arithmetic and the range. Nothing is unknown.

        What your organisation has approved of factors holds here as on its calls.
        """
        terms = receiver.agreements.of(reach.org_id)
        return explained(query, datetime.now(UTC).date(), receiver.grids, terms)

    @router.get("/overrides", summary="What your organisation states of factors", responses=_AWAY)
    async def overrides(reach: Reading) -> Overrides:
        """What is proposed and what is approved, with the evidence and who decided."""

        def read(reach: Reach) -> Overrides:
            return listed(receiver.agreements.shown(reach.org_id))

        try:
            return await desk.ask(read, reach)
        except ControlError as error:
            sentence = "What organisations state can't be read now."
            raise RequestRefused(Refusal.UNAVAILABLE, sentence) from error

    @router.get("/whatif", summary="The same calls on another model, in another place or hour")
    async def whatif(reach: Reading, query: Annotated[WhatIfQuery, Query()]) -> WhatIf:
        """Both sides under one factor set, with their ranges and what the comparison leaves out."""
        terms = receiver.agreements.of(reach.org_id)
        return await desk.ask(reader.whatif, reach, query, receiver.grids, terms)

    @router.get("/overview", summary="What the front page shows")
    async def overview(reach: Reading, query: Annotated[OverviewQuery, Query()]) -> Overview:
        """Today against yesterday, the trend, rankings, evidence and what is coming in."""
        return await desk.ask(reader.overview, reach, query.trend_days)

    return router


def _calls(reader: Reader, desk: Desk) -> APIRouter:
    router = APIRouter(tags=["calls"], responses=_INVALID)

    @router.get("/calls", summary="Single calls, newest first")
    async def calls(reach: Reading, query: Annotated[CallsQuery, Query()]) -> Calls:
        """Calls as they stand after corrections, counted or not, with the reason where not."""
        return await desk.ask(
            reader.calls, reach, cursor=query.cursor, limit=query.limit, filters=query.filters()
        )

    @router.get(
        "/calls/{id}", summary="One call and how its figures came about", responses=_UNKNOWN
    )
    async def call(reach: Reading, id: CallId) -> CallDetail:
        """The call with its ranges, its coefficients and each formula with the numbers put in."""
        detail = await desk.ask(reader.call, reach, id)
        if detail is None:
            raise HTTPException(404, "No call with this id.")
        return detail

    return router


def _ingest(receiver: Receiver, reader: Reader, desk: Desk, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["ingest"], responses=_INVALID | _BUSY)
    factors, once = FactorSet.load(), Once()

    @router.post("/ingest", status_code=202, summary="Report one call as JSON")
    async def ingest(grant: Writing, body: Event) -> Accepted:
        """The event is durable when the answer comes, and takes the path of every OTLP span.

        Repeat it with the same `event_id` as often as you like: it is stored once.
        """
        tenant, now = grant.writes(), datetime.now(UTC)
        event.check(body, factors, now=now, retention_days=settings.retention_days)
        ignored = event.claims(body, tenant)
        receiver.ignore_claims("body", len(ignored))
        identity = event.identify(body, tenant)
        hashes = identity.trace_hash, identity.span_number
        span = event.to_otlp(body, identity, now)
        accept = partial(receiver.accept, tenant, span, PROTOBUF, quotas=grant.quotas)
        if body.event_id is None:  # its id is random: nobody repeats it
            await accept()
            known = False
        else:
            known = await desk.ask(reader.is_stored, Reach(*tenant), *hashes)
            known = known or await once.write(identity, accept)
        return Accepted(id=call_id(*hashes), duplicate=known, ignored=ignored)

    return router


def _closed(receiver: Receiver, reader: Reader, desk: Desk, settings: Settings) -> APIRouter:
    router = APIRouter(tags=["closed days"], responses=_INVALID)

    @router.get("/closes", summary="Closed days and their digests")
    async def closes(reach: Reading, query: Annotated[ClosesQuery, Query()]) -> Closes:
        """Every generation of a day: how many rows of integers, and the root of the tree over them.

        Only for a key of the whole organisation; a project's key sees none.
        """
        return await desk.ask(reader.closes, reach, first=query.from_, end=query.to)

    @router.get("/restatements", summary="Restatements, newest first")
    async def restatements(reach: Reading) -> Restatements:
        """What was restated, why, on which closes it rests, and what changed."""
        return await desk.ask(reader.restatements, reach)

    @router.post("/restatements", summary="Restate closed days, or try it")
    async def restate(caller: Restating, body: RestatementOrder) -> Restatement:
        """Closed days under another factor set or method, beside the originals.

        With `dry_run` the difference is shown and nothing is kept.
        """
        asked = partial(reader.restate, receiver.restater)
        order = body.model_copy(update={"requested_by": body.requested_by or caller.key_id})
        return await desk.ask(asked, caller.reach, order, settings.materiality_percent)

    return router


def _tools(reader: Reader, desk: Desk) -> APIRouter:
    router = APIRouter(tags=["tools"], responses=_INVALID)

    @router.get("/diagnostics/spans", summary="The last spans received and what became of them")
    async def spans(reach: Reading, query: Annotated[SpansQuery, Query()]) -> Received:
        """Every span, GenAI or not, with its outcome and why it is not counted."""
        return await desk.ask(reader.received, reach, query.limit)

    @router.post("/sql", summary="One SELECT over your own rows", responses=_REFUSED)
    async def sql(reach: Reading, body: SqlStatement) -> SqlResult:
        """Reads calls, calls_footprint, usage_hourly, span_outcomes and coefficients.

        At most 10,000 rows and ten seconds. Corrections are rows with sign −1: sum `sign`.
        """
        return await desk.ask(reader.sql, reach, body.sql)

    return router

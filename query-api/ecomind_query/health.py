"""Is the process alive, can it take a durable write, and what do its counters say.

Probes come without a key, so whether it is ready is for everybody. Where keys are asked for, what
ails it (paths, hosts, database users) and its counters are for this machine and for admins.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse

from ecomind_query.callers import API_KEY, KEYS, operates, operating
from ecomind_query.shapes import HIDDEN, Alive, Part, Readiness
from ecomind_receiver.batch import Topics
from ecomind_receiver.server import Receiver, Status
from ecomind_receiver.telemetry import prometheus_text

_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"model": Readiness, "description": "A durable write is not possible; the parts say why."}
}


def health_router(receiver: Receiver) -> APIRouter:
    """The routes of `receiver`."""
    router = APIRouter(tags=["health"])

    @router.get("/health", summary="The process answers")
    async def health() -> Alive:
        """200 while the process is alive; says nothing about its parts."""
        return Alive()

    @router.get("/ready", summary="A durable write is possible", responses=_NOT_READY)
    async def ready(request: Request, response: Response) -> Readiness:
        """200 if an acknowledged span would be durable now, else 503; each part says how it is.

        While only the store fails, spans are still taken into the spool. Beyond loopback, the
        details are hidden from whoever has no key with the scope admin.
        """
        readiness = readiness_of(receiver.status())
        response.status_code = 200 if readiness.ready else 503
        return readiness if await operates(request) else _without_details(readiness)

    @router.get(
        "/metrics",
        summary="Metrics",
        response_class=PlainTextResponse,
        responses=KEYS,
        dependencies=[Depends(API_KEY), Depends(operating)],
    )
    async def metrics() -> PlainTextResponse:
        """The receiver's counters in Prometheus' text format; beyond loopback for admins only."""
        return PlainTextResponse(
            prometheus_text(receiver), media_type="text/plain; version=0.0.4; charset=utf-8"
        )

    return router


def _without_details(readiness: Readiness) -> Readiness:
    parts = {name: Part(ready=part.ready, detail=HIDDEN) for name, part in readiness.parts.items()}
    return Readiness(ready=readiness.ready, parts=parts)


def readiness_of(status: Status) -> Readiness:
    """What the receiver's status means for someone who wants to send."""
    used = f"{status.spool_bytes:,} of {status.spool_max_bytes:,} bytes used"
    lag = f"{status.load_lag_seconds:.1f} s behind"
    parts = {
        "spool": Part(ready=not status.spool_error, detail=status.spool_error or used),
        "store": Part(ready=not status.store_error, detail=status.store_error or lag),
    }
    if status.topics is not None:
        parts["kafka"] = _kafka(status.topics)
    if status.control_error is not None:
        error = status.control_error
        parts["control"] = Part(ready=not error, detail=error or "keys are up to date")
    parts["terms"] = _terms(status.terms_error)
    if status.quarantine_kept:
        detail = f"{status.quarantine_kept:,} records that could not be decoded are in quarantine/"
        reasons = "in the data directory, each with its reason beside it"
        parts["quarantine"] = Part(ready=False, detail=f"{detail} {reasons}")
    if status.clock_behind_seconds:
        parts["clock"] = Part(ready=False, detail=_behind(status.clock_behind_seconds))
    return Readiness(ready=status.ready, parts=parts)


def _kafka(topics: Topics) -> Part:
    """What waits in Kafka; whether it takes more is what the part `spool` says."""
    waiting = f"{topics.waiting:,} records wait to be stored"
    return Part(ready=not topics.error, detail=topics.error or waiting)


def _behind(seconds: float) -> str:
    return (
        f"the clock is {seconds:,.0f} s before what is closed already: until it is there again,"
        " calls are stored and counted, and stay provisional"
    )


def _terms(error: str) -> Part:
    """What organisations approved of factors: calls go on by what was last read of it."""
    if not error:
        return Part(ready=True, detail="what organisations approved is up to date")
    return Part(
        ready=False,
        detail=f"what organisations approved can't be read; the last known holds: {error}",
    )

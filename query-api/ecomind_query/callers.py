"""Who asks the API and the page, from the request's headers alone.

A route says by the type of its argument what a key must be good for: `Reading` is what the caller
may read, `Writing` where and at whose cost it may write.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from ecomind_query.shapes import Problem
from ecomind_receiver.authentication import Door, Grant, OpenDoor
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.tenants import ANYONE, Caller, Reach, Scope

ORG = "ecomind.org"
"""Where a request's organisation stands in its ASGI scope, for the log line."""

API_KEY = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="`Authorization: Bearer eco_live_…`; not needed on loopback unless"
    " ECOMIND_AUTH=keys. Browsers may give the key as the password of Basic authentication.",
)
"""Only described here, for /openapi.json; `admit` below reads the header."""

Responses = dict[int | str, dict[str, Any]]
KEYS: Responses = {
    401: {"model": Problem, "description": "No API key, or none that is live."},
    403: {"model": Problem, "description": "The key lacks the scope."},
}
"""How a route that wants a key may answer, for /openapi.json."""


async def admit(request: Request, scope: Scope) -> Grant:
    """Who asks, if they have the scope. Raises RequestRefused."""
    door: Door = request.app.state.door
    headers = request.headers
    grant = await door.admit(scope, headers.get("authorization", ""), headers.get("origin", ""))
    request.scope[ORG] = grant.caller.org_id
    return grant


async def reading(request: Request) -> Reach:
    """What the caller may read. Raises RequestRefused."""
    return (await admit(request, Scope.READ)).caller.reach


async def writing(request: Request) -> Grant:
    """Where the caller may write, and what limits it. Raises RequestRefused."""
    return await admit(request, Scope.INGEST)


async def operating(request: Request) -> None:
    """Let in this machine, and keys with the scope admin. Raises RequestRefused."""
    if not _is_of_the_house(request):
        await admit(request, Scope.ADMIN)


async def restating(request: Request) -> Caller:
    """Who may restate an organisation's days: a key with the scope admin, or this machine."""
    door: Door = request.app.state.door
    if isinstance(door, OpenDoor) and "authorization" not in request.headers:
        return ANYONE
    caller = (await admit(request, Scope.ADMIN)).caller
    if caller.project_id is not None:
        raise RequestRefused(Refusal.FORBIDDEN, "This needs a key of the whole organisation.")
    return caller


async def housekeeping(request: Request) -> None:
    """Let in who runs the server: on its machine and, where keys are asked for, as an admin.

    Either alone would not do: an admin is one organisation's, and not all who reach the machine's
    own ports may have its data. Raises RequestRefused.
    """
    await restating(request)
    if not _is_of_the_house(request):
        raise RequestRefused(
            Refusal.FORBIDDEN,
            "Only on the server's own machine: a backup holds every organisation and is written to"
            " that machine's disk.",
        )


async def operates(request: Request) -> bool:
    """Whether `operating` would let the caller in; probes without a key are no failure."""
    of_the_house = _is_of_the_house(request)
    if of_the_house or "authorization" not in request.headers:
        return of_the_house
    try:
        await admit(request, Scope.ADMIN)
    except RequestRefused:
        return False
    return True


def _is_of_the_house(request: Request) -> bool:
    """Whether no keys are asked for, or the client is on this machine.

    The server takes a client behind a proxy of this machine from its X-Forwarded-For.
    """
    if isinstance(request.app.state.door, OpenDoor):
        return True
    try:
        return request.client is not None and ip_address(request.client.host).is_loopback
    except ValueError:
        return False


Reading = Annotated[Reach, Depends(reading)]
Writing = Annotated[Grant, Depends(writing)]
Restating = Annotated[Caller, Depends(restating)]

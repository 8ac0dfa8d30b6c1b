"""Who asks the API and the page, from the request's headers alone.

A route says by the type of its argument what a key must be good for: `Reading` is what the caller
may read, `Writing` where and at whose cost it may write.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from ecomind_receiver.authentication import Door, Grant
from ecomind_receiver.tenants import Reach, Scope

ORG = "ecomind.org"
"""Where a request's organisation stands in its ASGI scope, for the log line."""

API_KEY = HTTPBearer(
    auto_error=False,
    scheme_name="API key",
    description="`Authorization: Bearer eco_live_…`; not needed on loopback unless"
    " ECOMIND_AUTH=keys. Browsers may give the key as the password of Basic authentication.",
)
"""Only described here, for /openapi.json; `admit` below reads the header."""


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


Reading = Annotated[Reach, Depends(reading)]
Writing = Annotated[Grant, Depends(writing)]

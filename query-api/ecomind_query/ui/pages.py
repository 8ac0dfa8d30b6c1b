"""The pages and their fragments: a router over a reader, and nothing of the store.

A reader answers with the API's own shapes and may block, so it is asked through the desk. Every
answer carries a content security policy that allows this origin's style sheet and scripts and
nothing inline; static files are read once, at start, and named by their content so that a browser
may keep them for ever.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, Protocol

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from ecomind_processor.derivation import number
from ecomind_query.desk import Desk
from ecomind_query.models import CallDetail, Calls, Overview
from ecomind_query.ui import format, views
from ecomind_query.ui.tiers import tiers
from ecomind_receiver.tenants import Reach

PAGE_ROWS = 50
FILTERS = ("team", "service", "model", "provider", "environment", "counted")
CALL_ID = re.compile(r"[0-9a-f]{32}")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Reader(Protocol):
    """What the pages ask for; methods may block."""

    def overview(self, reach: Reach, trend_days: int) -> Overview:
        """Everything on the front page; trend and top lists cover `trend_days`, 7 or 30."""

    def calls(
        self, reach: Reach, *, cursor: str | None, limit: int, filters: dict[str, str]
    ) -> Calls:
        """One page of calls, newest first; `filters` holds only those of `FILTERS` that are set."""

    def call(self, reach: Reach, id: str) -> CallDetail | None:
        """One call with its derivation; None for an id that is not within reach."""


@dataclass(frozen=True)
class Asset:
    """A static file: its bytes, its media type and the hash that names its version."""

    body: bytes
    media_type: str
    version: str


def router_for(
    reader: Reader,
    desk: Desk,
    *,
    reach_of: Callable[..., Reach | Awaitable[Reach]],
    otlp_endpoint: str = "http://127.0.0.1:4318",
) -> APIRouter:
    """The page's routes.

    `reach_of` is a FastAPI dependency that gives the caller's `Reach` or refuses it; the static
    files and the methodology, which are the same for everybody, don't ask it. `otlp_endpoint` is
    what an empty page tells an app to export to.
    """
    router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
    assets, asker = _assets(), Depends(reach_of)

    async def front(request: Request, reach: Reach, template: str, days: int) -> HTMLResponse:
        overview = await desk.ask(reader.overview, reach, days)
        return _page(template, request, days=days, **_front_context(overview, otlp_endpoint))

    @router.get("/")
    async def overview_page(
        request: Request, reach: Reach = asker, days: Literal["7", "30"] = "30"
    ) -> HTMLResponse:
        return await front(request, reach, "overview.html", int(days))

    @router.get("/fragments/overview")
    async def fragment(
        request: Request, reach: Reach = asker, days: Literal["7", "30"] = "30"
    ) -> HTMLResponse:
        return await front(request, reach, "_overview.html", int(days))

    @router.get("/calls")
    async def calls_page(request: Request, reach: Reach = asker, cursor: str = "") -> HTMLResponse:
        given = {name: request.query_params.get(name, "").strip() for name in FILTERS}
        filters = {name: value for name, value in given.items() if value}
        calls = await desk.ask(
            reader.calls, reach, cursor=cursor or None, limit=PAGE_ROWS, filters=filters
        )
        return _page("calls.html", request, calls=calls, filters=given, is_filtered=bool(filters))

    @router.get("/calls/{id}")
    async def call_page(request: Request, id: str, reach: Reach = asker) -> HTMLResponse:
        known = CALL_ID.fullmatch(id) is not None
        detail = await desk.ask(reader.call, reach, id) if known else None
        if detail is None:
            return not_found(request)
        return _page("call.html", request, **views.call_context(detail))

    @router.get("/methodology")
    async def methodology(request: Request) -> HTMLResponse:
        return _page("methodology.html", request, tiers=tiers())

    @router.get("/static/{name}")
    async def static(request: Request, name: str) -> Response:
        asset = assets.get(name)
        if asset is None:
            return not_found(request)
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(asset.body, media_type=asset.media_type, headers=HEADERS | kept)

    return router


def not_found(request: Request) -> HTMLResponse:
    """The 404 page; the app also answers unknown addresses of browsers with it."""
    return _page("404.html", request, status=404)


def refused(request: Request, status: int, sentence: str) -> HTMLResponse:
    """The page for a browser whose key is missing or not good enough."""
    return _page("refused.html", request, status=status, code=status, sentence=sentence)


def _front_context(overview: Overview, otlp_endpoint: str) -> dict[str, Any]:
    if views.is_empty(overview):
        return {"is_empty": True, "overview": overview, "otlp_endpoint": otlp_endpoint}
    return {"is_empty": False, **views.overview_context(overview)}


def _page(template: str, request: Request, *, status: int = 200, **context: Any) -> HTMLResponse:
    html = (
        _environment()
        .get_template(template)
        .render(path=request.url.path, api_url=str(request.base_url).rstrip("/"), **context)
    )
    return HTMLResponse(html, status_code=status, headers=HEADERS)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("ecomind_query.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    versions = {name: asset.version for name, asset in _assets().items()}
    environment.globals["static"] = lambda name: f"/static/{name}?v={versions[name]}"
    environment.globals["fmt"] = format
    environment.globals["exact"] = number
    return environment


@cache
def _assets() -> dict[str, Asset]:
    folder = resources.files("ecomind_query.ui") / "static"
    return {file.name: _asset(file.name, file.read_bytes()) for file in folder.iterdir()}


def _asset(name: str, body: bytes) -> Asset:
    media_type = MEDIA_TYPES[name[name.rindex(".") :]]
    return Asset(body, media_type, hashlib.sha256(body).hexdigest()[:12])

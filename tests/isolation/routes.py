"""Every route of the application, and how the machine asks each of them.

`ROUTES` names what there is and who may ask. It is held against the application itself, so a route
that is new makes the test fail until it is asked as well.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any, NamedTuple

from isolation.model import Names, Project

Route = tuple[str, str]
LIST_MAX = 500


class Access(Enum):
    """Who may ask."""

    OPEN = "everybody"
    READ = "keys with the scope read"
    ADMIN = "keys with the scope admin, and this machine, which the client of these tests is not"
    INGEST = "keys with the scope ingest"


ROUTES: dict[Route, Access] = {
    ("GET", "/health"): Access.OPEN,
    ("GET", "/ready"): Access.OPEN,
    ("GET", "/metrics"): Access.ADMIN,
    ("GET", "/openapi.json"): Access.OPEN,
    ("HEAD", "/openapi.json"): Access.OPEN,
    ("GET", "/methodology"): Access.OPEN,
    ("GET", "/static/{name}"): Access.OPEN,
    ("GET", "/v1/usage"): Access.READ,
    ("GET", "/v1/explain"): Access.READ,
    ("GET", "/v1/whatif"): Access.READ,
    ("GET", "/v1/overrides"): Access.READ,
    ("GET", "/v1/closes"): Access.READ,
    ("GET", "/v1/restatements"): Access.READ,
    ("POST", "/v1/restatements"): Access.ADMIN,
    ("POST", "/v1/backups"): Access.ADMIN,
    ("GET", "/v1/today"): Access.READ,
    ("GET", "/v1/aggregate/daily"): Access.READ,
    ("GET", "/v1/overview"): Access.READ,
    ("GET", "/v1/calls"): Access.READ,
    ("GET", "/v1/calls/{id}"): Access.READ,
    ("GET", "/v1/diagnostics/spans"): Access.READ,
    ("GET", "/"): Access.READ,
    ("GET", "/fragments/overview"): Access.READ,
    ("GET", "/calls"): Access.READ,
    ("GET", "/calls/{id}"): Access.READ,
    ("POST", "/v1/sql"): Access.READ,
    ("POST", "/v1/ingest"): Access.INGEST,
}
PAGES = {path for _, path in ROUTES if not path.startswith("/v1/")}
LISTS = [("GET", "/v1/calls"), ("GET", "/calls")]
ONE_CALL = [("GET", "/v1/calls/{id}"), ("GET", "/calls/{id}")]
PLAIN = [route for route in ROUTES if route[0] != "POST" and route not in ONE_CALL]
GUARDED = [route for route, access in ROUTES.items() if access is not Access.OPEN]

FILTERS: dict[str, str] = {
    "model": "model",
    "provider": "provider",
    "team": "team",
    "service": "service",
    "environment": "environment",
    "region": "place",
}
"""Filter of a question → the name of a project that it takes."""
DIMENSIONS = ("model", "provider", "team", "project", "service", "environment", "region", "hour")


class Question(NamedTuple):
    """What a reader asks for: groups, one filter, how much, and where a list goes on."""

    group_by: tuple[str, ...]
    filter: str
    limit: int
    counted: str
    days: str
    cursor: int  # below 0: from the start


def routes_of(app: Any) -> set[Route]:
    """Method and path of everything that an application answers."""
    return set(_walk(app.routes, ""))


def parameters(route: Route, question: Question, about: Project, cursor: str) -> dict[str, Any]:
    """The query of a question on a route; `about` is whose names it filters by."""
    method, path = route
    if (method, path) in (("GET", "/"), ("GET", "/fragments/overview")):
        return {"days": question.days}
    if path == "/v1/overview":
        return {"trend_days": question.days}
    if path == "/v1/diagnostics/spans":
        return {"limit": question.limit}
    if path == "/v1/explain":
        return {"model": "gpt-4o", "output_tokens": question.limit}
    query: dict[str, Any] = {"to_model": "gpt-4o-mini"} if path == "/v1/whatif" else {}
    if path in ("/v1/usage", "/v1/calls", "/calls", "/v1/whatif"):
        query |= _filter(question.filter, about)
    if path == "/v1/usage":
        query["group_by"] = list(question.group_by)
    if path == "/v1/calls":
        query["limit"] = question.limit
    if route in LISTS:
        query |= {"counted": question.counted} if question.counted else {}
        query |= {"cursor": cursor} if cursor else {}
    return query


def address(path: str, call_id: str) -> str:
    """The path with its parameters put in."""
    return path.replace("{id}", call_id).replace("{name}", "page.css")


def headers(route: Route, key: str) -> dict[str, str]:
    """How a client gives a key: a program as a bearer token, a browser as a password."""
    if not key:
        return {}
    if route[1] not in PAGES:
        return {"authorization": f"Bearer {key}"}
    basic = base64.b64encode(f":{key}".encode()).decode()
    return {"authorization": f"Basic {basic}", "accept": "text/html"}


def _filter(name: str, about: Project) -> dict[str, str]:
    if name == "project":
        return {"project": about.id}
    field = FILTERS.get(name)
    return {name: about.names[Names._fields.index(field)]} if field else {}


def _walk(routes: Iterable[Any], prefix: str) -> Iterator[Route]:
    """Some versions of the framework keep included routers whole, others copy their routes."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from _walk(included.routes, prefix + route.include_context.prefix)
        else:
            for method in getattr(route, "methods", None) or ("?",):
                yield method, prefix + getattr(route, "path", repr(route))

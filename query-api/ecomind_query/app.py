"""The API and the page as one ASGI application beside a running receiver.

Assembly only: routes are in `routes.py` and `health.py`, the page's in `ui`, errors in
`problems.py`, what every request passes in `middleware.py`. There is no documentation page,
because the usual ones load scripts from elsewhere; /openapi.json holds everything.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from ecomind_query import problems
from ecomind_query.callers import reading
from ecomind_query.desk import Desk
from ecomind_query.health import health_router
from ecomind_query.middleware import Guard
from ecomind_query.reader import Reader
from ecomind_query.routes import api_router
from ecomind_query.ui.pages import router_for
from ecomind_receiver.authentication import OpenDoor
from ecomind_receiver.http_server import join_address
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings, own_address

DESCRIPTION = """
The environmental meter for AI calls. Energy is in Wh, carbon in grams of CO2e, water in
millilitres; every figure has a low, mid and high value, a judgement band rather than a confidence
interval. CO2e is operational and location-based; market-based and embodied figures stand beside it
and are never added. Times are UTC, ranges are half-open. Errors are RFC 9457 problem details.
"""


def create_app(receiver: Receiver, settings: Settings) -> FastAPI:
    """The application over a receiver that has been started. Close its `state.desk` at the end."""
    app = FastAPI(
        title="Ecomind",
        version=version("ecomind"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
    )
    app.state.door = receiver.door
    reader = Reader(receiver.store, retention_days=settings.retention_days)
    scheme = "http" if receiver.tls is None else "https"
    address = join_address(own_address(settings.host), receiver.http_port)
    desk = app.state.desk = Desk()
    app.include_router(health_router(receiver))
    app.include_router(api_router(receiver, reader, desk, settings))
    app.include_router(
        router_for(
            reader,
            desk,
            reach_of=reading,
            otlp_endpoint=f"{scheme}://{address}",
        )
    )
    problems.install(app)
    own_host = settings.host if isinstance(receiver.door, OpenDoor) else None
    app.add_middleware(Guard, own_host=own_host, door=receiver.door)
    _name_problem_type(app)
    return app


def _name_problem_type(app: FastAPI) -> None:
    """Let the description say application/problem+json, as the answers do."""
    describe = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe()
        for path in document["paths"].values():
            for operation in path.values():
                for status, response in operation["responses"].items():
                    content = response.get("content", {})
                    if int(status) >= 400 and content:
                        content[problems.MEDIA_TYPE] = content.popitem()[1]
        return document

    app.openapi = openapi  # type: ignore[method-assign]

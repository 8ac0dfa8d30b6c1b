"""Every error as RFC 9457 problem details; the only place that maps an error to an answer.

A sentence says what to change. What the caller sent is not repeated beyond the names of fields: a
body may hold what must not be in a log.
"""

from __future__ import annotations

import math
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ecomind_query.errors import QueryError
from ecomind_query.shapes import Fault, Problem
from ecomind_query.ui.pages import not_found, refused
from ecomind_receiver.refusals import Refusal, RequestRefused

MEDIA_TYPE = "application/problem+json"
_BEARER = 'Bearer realm="Ecomind"'
_PROMPT = 'Basic realm="Ecomind: no user name, an API key with the scope read as password"'
"""A browser asks its person by itself; a program is told what it should have sent."""


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[Fault] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The answer to a request that failed."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        request_id=request.scope.get("request_id", ""),
        errors=errors or [],
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def refusal(request: Request, error: RequestRefused) -> Response:
    """The answer to a request that was refused: to a browser a page, which asks for a key."""
    headers, status = {}, error.refusal.http_status
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_seconds))
    if error.refusal is Refusal.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = _PROMPT if _is_page(request) else _BEARER
    if _is_page(request):
        page = refused(request, status, error.message)
        page.headers.update(headers)
        return page
    return problem(request, status, error.message, headers=headers)


def install(app: FastAPI) -> None:
    """Answer every error of `app` with problem details."""

    @app.exception_handler(QueryError)
    async def query_error(request: Request, error: QueryError) -> JSONResponse:
        return problem(request, error.status, error.detail)

    @app.exception_handler(RequestRefused)
    async def request_refused(request: Request, error: RequestRefused) -> Response:
        return refusal(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = [
            Fault(where=".".join(str(part) for part in each["loc"]), message=_message(each))
            for each in error.errors()
        ]
        detail = "; ".join(f"{fault.where}: {fault.message}" for fault in faults)
        return problem(request, 422, detail, errors=faults)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404 and _is_page(request):
            return not_found(request)
        headers = dict(error.headers) if error.headers else None
        return problem(request, error.status_code, _explained(request, error), headers=headers)


def _is_page(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _message(fault: dict[str, Any]) -> str:
    unknown = fault["type"] == "extra_forbidden"
    return "there is no such field; see /openapi.json" if unknown else str(fault["msg"])


def _explained(request: Request, error: HTTPException) -> str:
    if error.detail != HTTPStatus(error.status_code).phrase:
        return error.detail  # our own sentence
    if error.status_code == HTTPStatus.NOT_FOUND:
        return f"There is nothing at {request.url.path[:100]}. See /openapi.json."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return f"{request.method} is not possible here. See /openapi.json."
    return error.detail

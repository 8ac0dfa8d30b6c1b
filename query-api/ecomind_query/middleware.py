"""What every request passes, as bare ASGI: a name for it, a log line, limits and headers.

Without keys, whoever can make the user's browser send a request is the local organisation. So a
Host that is not this server's own is then refused (DNS rebinding). Always, a request with a body
must be JSON, which a foreign page can't send without asking first, and only pages that a public key
names are told that they may: they send to `/v1/ingest` and read nothing.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ecomind_query import problems
from ecomind_query.callers import ORG
from ecomind_receiver.authentication import Door
from ecomind_receiver.origins import PREFLIGHT, UNKNOWN, Header, for_origin
from ecomind_receiver.refusals import RequestRefused
from ecomind_receiver.tenants import Scope as KeyScope
from ecomind_semconv.units import MS_PER_SECOND

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("ecomind.api")
_TRACER = trace.get_tracer("ecomind.api")
_PROPAGATOR = TraceContextTextMapPropagator()

PUBLIC_PATH = "/v1/ingest"
"""The one route for pages of other origins, with a public key."""
BODY_MAX_BYTES = 64 * 1024
LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_PORT = re.compile(r":\d{1,5}$")


class Guard:
    """Names a request, holds it to the limits, adds the headers and writes one log line."""

    def __init__(self, app: App, *, own_host: str | None = None, door: Door | None = None) -> None:
        """`own_host` is the one beside loopback's that may be named; without it any, keys decide.

        A `door` refuses whoever asks the API without a key where keys are asked for, before
        anything of them is read, and knows the origins of public keys.
        """
        self._app = app
        self._door = door
        self._hosts: frozenset[str] | None = None
        if own_host is not None:
            named = f"[{own_host}]" if ":" in own_host else own_host.lower()
            self._hosts = LOOPBACK_HOSTS | {named}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        line = _Line(scope)
        sender = _Sender(send, line)
        parent = _PROPAGATOR.extract(
            {"traceparent": headers.get(b"traceparent", b"").decode("latin-1")}
        )
        with _TRACER.start_as_current_span("request", parent, kind=trace.SpanKind.SERVER) as span:
            try:
                await self._serve(scope, headers, receive, sender)
            except Exception:
                log.exception("request failed", extra={"request_id": line.request_id})
                await sender.refuse(500, "Internal error. The log line of this request says more.")
            line.write(scope, span)

    async def _serve(
        self, scope: Scope, headers: dict[bytes, bytes], receive: Receive, sender: _Sender
    ) -> None:
        refusal = self._refusal(scope, headers)
        origin = headers.get(b"origin", b"").decode("latin-1")
        public = bool(origin) and scope["path"] == PUBLIC_PATH
        known = public and self._door is not None and self._door.knows_origin(origin)
        if known:
            sender.shared = for_origin(origin)
        if public and scope["method"] == "OPTIONS" and not refusal:
            await (sender.preflight() if known else sender.refuse(403, UNKNOWN))
            return
        stranger = await self._stranger(scope, headers)
        if stranger:
            await problems.refusal(Request(scope), stranger)(scope, receive, sender)
        elif refusal:
            await sender.refuse(*refusal)
        else:
            await self._app(scope, _limited(receive), sender)

    async def _stranger(self, scope: Scope, headers: dict[bytes, bytes]) -> RequestRefused | None:
        """The refusal of who shows no key, of whom nothing is read, not even a body."""
        if self._door is None or b"authorization" in headers:
            return None
        if not scope["path"].startswith("/v1/"):
            return None
        try:
            await self._door.admit(KeyScope.READ, "")
        except RequestRefused as error:
            return error
        return None

    def _refusal(self, scope: Scope, headers: dict[bytes, bytes]) -> tuple[int, str] | None:
        host = _PORT.sub("", headers.get(b"host", b"").decode("latin-1").lower())
        if self._hosts is not None and host not in self._hosts:
            return 421, "The Host header does not name this server; use localhost or 127.0.0.1."
        if scope["method"] != "POST":
            return None
        media_type = headers.get(b"content-type", b"").split(b";")[0].strip().lower()
        if media_type != b"application/json":
            return 415, "Content-Type must be application/json."
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > BODY_MAX_BYTES:
            return 413, _TOO_LARGE
        return None


_TOO_LARGE = (
    f"The body is larger than {BODY_MAX_BYTES} bytes. Telemetry in bulk goes to the OTLP port."
)


class _Line:
    """What the log says about a request; never its query or its content."""

    def __init__(self, scope: Scope) -> None:
        self.request_id = scope["request_id"] = secrets.token_hex(8)
        self.status = 500
        self._start = time.perf_counter()

    def write(self, scope: Scope, span: trace.Span) -> None:
        """Log the request and name its span."""
        route = _template(scope)
        span.update_name(f"{scope['method']} {route}")
        span.set_attribute("http.response.status_code", self.status)
        values = {
            "method": scope["method"],
            "route": route,
            "status": self.status,
            "duration_ms": round((time.perf_counter() - self._start) * MS_PER_SECOND, 3),
            "org": scope.get(ORG, ""),
            "request_id": self.request_id,
        }
        context = span.get_span_context()
        if context.is_valid:
            values["trace_id"] = f"{context.trace_id:032x}"
        log.info("request", extra=values)


def _template(scope: Scope) -> str:
    """The path with its parameters as names: a value may be somebody's id."""
    if "route" not in scope:
        return "unmatched"
    names = {value: f"{{{name}}}" for name, value in scope.get("path_params", {}).items()}
    return "/".join(names.get(part, part) for part in str(scope["path"]).split("/"))


class _Sender:
    """Passes messages on with the security headers and the request's id added."""

    def __init__(self, send: Send, line: _Line) -> None:
        self._send = send
        self._line = line
        self._started = False
        self.shared: tuple[Header, ...] = ()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._started = True
            self._line.status = message["status"]
            headers = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers += [pair for pair in SECURITY_HEADERS if pair[0] not in present]
            headers += self.shared
            headers.append((b"x-request-id", self._line.request_id.encode()))
            message = {**message, "headers": headers}
        await self._send(message)

    async def preflight(self) -> None:
        """Let a page of a known origin send."""
        headers = [(b"content-length", b"0"), *PREFLIGHT]
        await self({"type": "http.response.start", "status": 204, "headers": headers})
        await self({"type": "http.response.body", "body": b""})

    async def refuse(self, status: int, detail: str) -> None:
        """Answer with problem details, if nothing has been answered yet."""
        if self._started:
            return
        body = json.dumps(
            {
                "type": "about:blank",
                "title": HTTPStatus(status).phrase,
                "status": status,
                "detail": detail,
                "request_id": self._line.request_id,
                "errors": [],
            }
        ).encode()
        headers = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def _limited(receive: Receive) -> Receive:
    """`receive`, until the body is longer than the limit."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > BODY_MAX_BYTES:
            raise HTTPException(413, _TOO_LARGE)
        return message

    return limited

"""Plain clients for hostile and conformance tests: what a test sends is exactly what it says."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import time
import urllib.request
import uuid
from collections.abc import Iterable
from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ecomind_query.bench.process import Server

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TIMEOUT_SECONDS = 30.0

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_numbers = itertools.count(1)


class Reply(NamedTuple):
    """An HTTP response."""

    status: int
    media_type: str
    body: bytes
    headers: dict[str, str]


def http_address(server: Server) -> tuple[str, int]:
    """Host and port of the OTLP/HTTP listener."""
    parts = urlsplit(server.addresses["otlp_http"])
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


def grpc_address(server: Server) -> str:
    """host:port of the OTLP/gRPC listener."""
    return server.addresses["otlp_grpc"].removeprefix("http://")


def connect(server: Server) -> closing[http.client.HTTPConnection]:
    """A connection to the OTLP/HTTP listener."""
    return closing(http.client.HTTPConnection(*http_address(server), timeout=TIMEOUT_SECONDS))


def ask(
    connection: http.client.HTTPConnection,
    body: bytes | Iterable[bytes],
    media_type: str | None = PROTOBUF,
    *,
    method: str = "POST",
    path: str = "/v1/traces",
    encoding: str | None = None,
) -> Reply:
    """One request over an open connection; an iterable body is sent in chunks without a length."""
    headers = {"Content-Type": media_type, "Content-Encoding": encoding}
    given = {name: value for name, value in headers.items() if value is not None}
    connection.request(method, path, body, given, encode_chunked=not isinstance(body, bytes))
    response = connection.getresponse()
    lower = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, lower.get("content-type", ""), response.read(), lower)


def post(server: Server, body: bytes | Iterable[bytes], *args: Any, **options: Any) -> Reply:
    """One request over a connection of its own; see `ask`."""
    with connect(server) as connection:
        return ask(connection, body, *args, **options)


def raw(server: Server) -> socket.socket:
    """A bare connection to the OTLP/HTTP port."""
    return socket.create_connection(http_address(server), timeout=TIMEOUT_SECONDS)


def new_service() -> str:
    """A service name that no other test uses."""
    return f"service-{next(_numbers)}"


def new_ids() -> int:
    """The first of a thousand span numbers that no other test uses."""
    return next(_numbers) * 1000


def rows(server: Server, service: str, columns: str) -> list[list[Any]]:
    """Those columns of the service's calls in order of span id, once all is stored."""
    server.wait_drained(TIMEOUT_SECONDS)
    statement = f"SELECT {columns} FROM calls WHERE service = '{service}' ORDER BY span_id"
    request = urllib.request.Request(
        f"{server.addresses['api']}/v1/sql",
        json.dumps({"sql": statement}).encode(),
        {"Content-Type": "application/json"},
    )
    with _DIRECT.open(request, timeout=TIMEOUT_SECONDS) as response:
        found: list[list[Any]] = json.load(response)["rows"]
    return found


def json_span(number: int, attributes: list[dict[str, Any]], **fields: Any) -> dict[str, Any]:
    """A span in OTLP/JSON, in a trace of its own."""
    begin = time.time_ns() - 2_000_000_000
    return {
        "traceId": uuid.uuid4().hex,
        "spanId": f"{number:016x}",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(begin + 1_000_000_000),
        "attributes": attributes,
        **fields,
    }


def json_body(service: str, spans: list[dict[str, Any]], **fields: Any) -> bytes:
    """An ExportTraceServiceRequest in OTLP/JSON."""
    name = {"key": "service.name", "value": {"stringValue": service}}
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": [name]},
                    "scopeSpans": [{"scope": {"name": "test"}, "spans": spans}],
                }
            ],
            **fields,
        }
    ).encode()


def attribute(key: str, **value: Any) -> dict[str, Any]:
    """An attribute in OTLP/JSON: `attribute("k", intValue="1")`."""
    return {"key": key, "value": value}

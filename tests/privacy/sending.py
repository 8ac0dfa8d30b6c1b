"""A server to send planted requests to, over every way in, and everything it answers afterwards."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import json_format
from isolation.routes import DIMENSIONS, PAGES
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from privacy.planting import Node

from ecomind_query.bench.process import Server
from ecomind_query.conformance.target import Target
from ecomind_query.direct import DIRECT
from ecomind_query.held import SQL_TABLES
from ecomind_receiver.ingest import JSON, PROTOBUF

_MESSAGES: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_SERVICES = {"traces": "trace.v1.TraceService", "logs": "logs.v1.LogsService"}
WAYS = ("HTTP, JSON", "HTTP, protobuf", "gRPC")
_PAGES = [path for path in PAGES if "{" not in path]
_ROWS = 500


def send(server: Server, channel: grpc.Channel, signal: str, way: str, document: Node) -> None:
    """Send an OTLP/JSON request one of the three ways; its spans get traces of their own."""
    made = _moved(document, WAYS.index(way))
    if way == "HTTP, JSON":
        reply = Target.of(server).post(json.dumps(made).encode(), JSON, path=f"/v1/{signal}")
        assert reply.status == 200, reply
        return
    body = as_protobuf(signal, made)
    if way == "gRPC" and signal in _SERVICES:
        service = f"opentelemetry.proto.collector.{_SERVICES[signal]}"
        channel.unary_unary(f"/{service}/Export")(body, timeout=30)
    else:
        assert Target.of(server).post(body, PROTOBUF, path=f"/v1/{signal}").status == 200


def as_protobuf(signal: str, document: Node) -> bytes:
    """The same request in protobuf; ids, which JSON has in hexadecimal, become bytes."""
    message = json_format.ParseDict(_with_bytes(document), _MESSAGES[signal]())
    return bytes(message.SerializeToString())


_NEEDED = {"/v1/explain": "?model=gpt-4o", "/v1/whatif": "?to_model=gpt-4o-mini"}
"""Route → what it can't be asked without."""


def answers(server: Server) -> Iterator[tuple[str, str]]:
    """Every route that can be asked for something, and what it says."""
    api = server.addresses["api"]
    described = json.loads(_get(f"{api}/openapi.json"))
    calls = [call for page in _all_calls(api) for call in page["calls"]]
    for path, methods in described["paths"].items():
        if "get" in methods and "{" not in path:
            yield path, _get(f"{api}{path}{_NEEDED.get(path, '')}")
    for path in _PAGES:
        yield path, _get(f"{api}{path}")
    for dimension in DIMENSIONS:
        yield f"usage by {dimension}", _get(f"{api}/v1/usage?group_by={dimension}")
    yield "calls", json.dumps(calls)
    for call in calls[:: max(len(calls) // 20, 1)]:
        yield "a call", _get(f"{api}/v1/calls/{call['id']}")
        yield "page of a call", _get(f"{api}/calls/{call['id']}")
    for table in SQL_TABLES:
        yield f"table {table}", _sql(api, f"SELECT * FROM {table}")


def _all_calls(api: str) -> Iterator[Node]:
    cursor = ""
    while True:
        page = json.loads(_get(f"{api}/v1/calls?limit={_ROWS}{cursor}"))
        yield page
        if not page.get("next_cursor"):
            return
        cursor = f"&cursor={page['next_cursor']}"


def _sql(api: str, statement: str) -> str:
    body = json.dumps({"sql": statement}).encode()
    return _get(urllib.request.Request(f"{api}/v1/sql", body, {"Content-Type": JSON}))


def _get(url: str | urllib.request.Request) -> str:
    with DIRECT.open(url, timeout=30) as response:
        text: str = response.read().decode()
    return text


def ask_api(server: Server, path: str, body: bytes) -> tuple[int, str]:
    """Status and text of a POST to the API, refused or not."""
    url = f"{server.addresses['api']}{path}"
    request = urllib.request.Request(url, body, {"Content-Type": JSON})
    try:
        with DIRECT.open(request, timeout=30) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with contextlib.closing(error):
            return error.code, error.read().decode()


def _moved(document: Node, way: int) -> Node:
    """The same spans in other traces, so that one way's are not the others' re-sends."""
    made = copy.deepcopy(document)
    for holder in _dictionaries(made):
        if holder.get("traceId"):
            holder["traceId"] = f"{way:02x}{holder['traceId'][2:]}"
    return made


def _with_bytes(document: Node) -> Node:
    made = copy.deepcopy(document)
    for holder in _dictionaries(made):
        for name in ("traceId", "spanId", "parentSpanId"):
            if name in holder:
                holder[name] = base64.b64encode(bytes.fromhex(holder[name])).decode()
    return made


def _dictionaries(node: Any) -> Iterator[Node]:
    if isinstance(node, dict):
        yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _dictionaries(child)

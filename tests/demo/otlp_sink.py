"""An OTLP/HTTP endpoint that keeps what it is sent."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class OtlpSink:
    """Requests received so far; `refusals` are the statuses to answer first, with Retry-After 0."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[ExportTraceServiceRequest] = []
        self.refusals: list[int] = []

    async def export(self, request: Request) -> Response:
        body = await request.body()
        if self.refusals:
            return Response(status_code=self.refusals.pop(0), headers={"retry-after": "0"})
        assert request.headers["content-type"] == "application/x-protobuf"
        self.requests.append(ExportTraceServiceRequest.FromString(body))
        return Response(
            ExportTraceServiceResponse().SerializeToString(), media_type="application/x-protobuf"
        )


@contextlib.contextmanager
def serve() -> Iterator[OtlpSink]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sink = OtlpSink(f"http://127.0.0.1:{listener.getsockname()[1]}")
        app = Starlette(routes=[Route("/v1/traces", sink.export, methods=["POST"])])
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.should_exit = True
            thread.join()

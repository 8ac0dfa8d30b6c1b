"""A provider without pauses, and a sink that keeps the OTLP requests it is sent."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from ecomind_query.demo import fake_provider


@pytest.fixture
def provider_url() -> Iterator[str]:
    with fake_provider.serve(seconds_per_token=0) as url:
        yield url


class OtlpSink:
    """Requests received so far; `refusals` are the statuses to answer first, with Retry-After 0."""

    def __init__(self) -> None:
        self.url = ""
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


@pytest.fixture
def otlp_sink() -> Iterator[OtlpSink]:
    sink = OtlpSink()
    app = Starlette(routes=[Route("/v1/traces", sink.export, methods=["POST"])])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        sink.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        yield sink
        server.should_exit = True
        thread.join()

"""OTLP/gRPC: `TraceService/Export` on raw bytes, framing checked before the ack."""

from __future__ import annotations

import logging
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from ecomind_receiver.ingest import PROTOBUF, Ingest, IngestError
from ecomind_receiver.tenants import LOCAL

log = logging.getLogger("ecomind.otlp")

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"


async def serve_grpc(ingest: Ingest, address: str, request_max_bytes: int) -> tuple[Any, int]:
    """Start the server on `host:port`: (server, bound port). Raises OSError if it can't bind."""

    async def export(body: bytes, context: Any) -> bytes:
        try:
            await ingest.accept(LOCAL, body, PROTOBUF, transport="grpc")
        except IngestError as error:
            log.warning("refused", extra={"status": error.http_status, "error": error.message})
            await context.abort(error.refusal.grpc_code, error.message, _retry_info(error))
        return b""

    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", request_max_bytes),
            ("grpc.so_reuseport", 0),
        )
    )
    handlers = {"Export": grpc.unary_unary_rpc_method_handler(export)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(
            f"The OTLP/gRPC address {address} can't be bound; is its port in use?"
        ) from error
    await server.start()
    return server, int(port)


def _retry_info(error: IngestError) -> tuple[tuple[str, bytes], ...]:
    if error.retry_after_seconds is None:
        return ()
    info = error_details_pb2.RetryInfo(
        retry_delay=duration_pb2.Duration(seconds=error.retry_after_seconds)
    )
    detail = any_pb2.Any()
    detail.Pack(info)
    status = status_pb2.Status(
        code=error.refusal.grpc_code.value[0], message=error.message, details=[detail]
    )
    return (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("google.rpc.retryinfo-bin", info.SerializeToString()),
    )

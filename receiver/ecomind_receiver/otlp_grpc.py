"""OTLP/gRPC: Export of traces, logs and metrics on raw bytes, framing checked before the ack."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from ecomind_receiver.answers import as_protobuf
from ecomind_receiver.authentication import Door, Grant
from ecomind_receiver.http_server import PEER
from ecomind_receiver.ingest import INTERNAL, PROTOBUF, Ingest
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.signals import SIGNALS, Signal
from ecomind_receiver.tenants import Scope, foreign_headers
from ecomind_receiver.tls import Tls

log = logging.getLogger("ecomind.otlp")


async def serve_grpc(
    ingest: Ingest, door: Door, address: str, request_max_bytes: int, tls: Tls | None = None
) -> tuple[Any, int]:
    """Start the server on `host:port`: (server, bound port). Raises OSError if it can't bind."""
    server = grpc.aio.server(
        options=(
            ("grpc.max_receive_message_length", request_max_bytes),
            ("grpc.so_reuseport", 0),
        )
    )
    for signal in SIGNALS:
        # A stream of one message is the same on the wire, and not read before the key is known.
        export = grpc.stream_unary_rpc_method_handler(_export(signal, ingest, door))
        handler = grpc.method_handlers_generic_handler(signal.grpc_service, {"Export": export})
        server.add_generic_rpc_handlers((handler,))
    try:
        if tls:
            port = server.add_secure_port(address, tls.grpc_credentials())
        else:
            port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(
            f"The OTLP/gRPC address {address} can't be bound; is its port in use?"
        ) from error
    await server.start()
    return server, int(port)


Export = Callable[[AsyncIterator[bytes], Any], Awaitable[bytes]]


def _export(signal: Signal, ingest: Ingest, door: Door) -> Export:
    async def export(messages: AsyncIterator[bytes], context: Any) -> bytes:
        try:
            grant = await _admit(signal, ingest, door, context)
            tenant = grant.writes()
            with ingest.in_flight.request(tenant.org_id) as held:
                body = await anext(aiter(messages), b"")
                accepted = await ingest.accept(
                    tenant,
                    body,
                    PROTOBUF,
                    held=held,
                    signal=signal,
                    quotas=grant.quotas,
                    transport="grpc",
                )
            return as_protobuf(accepted)
        except RequestRefused as error:
            refused = error
        except Exception:
            log.exception("request failed")
            refused = RequestRefused(Refusal.UNAVAILABLE, INTERNAL)
        await context.abort(refused.refusal.grpc_code, refused.message, _retry_info(refused))
        raise AssertionError("an aborted call goes no further")

    return export


async def _admit(signal: Signal, ingest: Ingest, door: Door, context: Any) -> Grant:
    metadata = dict(context.invocation_metadata() or ())
    PEER.set(_host(context.peer()))
    try:
        grant = await door.admit(Scope.INGEST, metadata.get("authorization", ""))
    except RequestRefused as error:
        ingest.refused("grpc", error, signal=signal)
        raise
    ingest.ignore_claims("header", foreign_headers(grant.writes(), metadata))
    return grant


def _host(peer: str) -> str:
    """The address in gRPC's name of a client, `ipv4:192.0.2.7:5000` or `ipv6:%5B::1%5D:5000`."""
    return unquote(peer.partition(":")[2].rpartition(":")[0]).strip("[]")


def _retry_info(error: RequestRefused) -> tuple[tuple[str, bytes], ...]:
    if error.retry_after_seconds is None:
        return ()
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(math.ceil(error.retry_after_seconds * 1e9))
    info = error_details_pb2.RetryInfo(retry_delay=delay)
    detail = any_pb2.Any()
    detail.Pack(info)
    status = status_pb2.Status(
        code=error.refusal.grpc_code.value[0], message=error.message, details=[detail]
    )
    return (
        ("grpc-status-details-bin", status.SerializeToString()),
        ("google.rpc.retryinfo-bin", info.SerializeToString()),
    )

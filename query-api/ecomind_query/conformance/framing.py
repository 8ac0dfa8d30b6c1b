"""Cases 1 to 19: how a request travels, what it may be, and what is answered."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zstandard

from ecomind_query.conformance import expect
from ecomind_query.conformance.calls import TOKENS, new_service, one_call
from ecomind_query.conformance.fleet import TINY_BYTES
from ecomind_query.conformance.target import Answer, Target, Transport

_NOTHING = {
    Transport.JSON: (b"{}", b'{"resourceSpans":[]}'),
    Transport.PROTOBUF: (b"",),
    Transport.GRPC: (b"",),
}
_WITHOUT_SPANS = {
    Transport.JSON: (
        b'{"resourceSpans":[{}]}',
        b'{"resourceSpans":[{"scopeSpans":[{}]}]}',
        b'{"resourceSpans":[{"scopeSpans":[{"spans":[]}]}]}',
    ),
    Transport.PROTOBUF: (b"\x0a\x00", b"\x0a\x02\x12\x00"),
    Transport.GRPC: (b"\x0a\x00", b"\x0a\x02\x12\x00"),
}
_BROKEN = {
    Transport.JSON: (b"{", b"[]", b'{"resourceSpans":7}', b"\xff\xfe", b"null,"),
    Transport.PROTOBUF: (b"\xff" * 40, b"\x0a\x10\x12\x0e\x12\x0c"),
    Transport.GRPC: (b"\xff" * 40, b"\x0a\x10\x12\x0e\x12\x0c"),
}
_BOMB_BYTES = 240 * 1024 * 1024  # less than TINY_BYTES when packed
_GROWTH_MB = 128  # gRPC's library inflates up to 64 MB before it looks at the limit


def one_span(target: Target, transport: Transport) -> None:
    """Whole success and one call stored."""
    service = new_service()
    answer = target.send(transport, one_call(service, transport))
    expect.success(transport, answer)
    empty = b"{}" if transport is Transport.JSON else b""  # partial_success is unset, not empty
    expect.equal(answer.body, empty, "the response message")
    expect.stored(target, service, TOKENS)


def json_with_parameters(target: Target, transport: Transport) -> None:
    """A charset and capitals change nothing."""
    for media_type in ("application/json; charset=utf-8", "Application/JSON"):
        service = new_service()
        answer = target.post(one_call(service, transport), media_type)
        expect.success(transport, answer)
        expect.stored(target, service, TOKENS)


def other_media_types(target: Target, transport: Transport) -> None:
    """415 for what is neither."""
    for media_type in (None, "text/plain", "application/octet-stream"):
        answer = target.post(one_call(new_service(), transport), media_type)
        expect.equal(answer.status, 415, f"the status for Content-Type {media_type}")


def other_methods(target: Target, transport: Transport) -> None:
    """405 with what is allowed."""
    for method in ("GET", "PUT", "DELETE"):
        answer = target.post(b"", transport.media_type, method=method)
        expect.equal(answer.status, 405, f"the status of {method}")


def unknown_paths(target: Target, transport: Transport) -> None:
    """404, and UNIMPLEMENTED over gRPC."""
    if transport is Transport.GRPC:
        answer = target.call(b"", method="/opentelemetry.proto.collector.Nothing/Export")
        expect.equal(answer.status, "UNIMPLEMENTED", "the gRPC code of an unknown service")
        return
    for path in ("/", "/v1/trace", "/v1/traces/", "/v2/traces"):
        answer = target.post(b"", transport.media_type, path=path)
        expect.equal(answer.status, 404, f"the status of {path}")


def both_on_one_port(target: Target, transport: Transport) -> None:
    """Protobuf and JSON by turns over one connection."""
    other = Transport.PROTOBUF if transport is Transport.JSON else Transport.JSON
    with target.connect() as connection:
        for each in (transport, other, transport):
            body = one_call(new_service(), each)
            expect.success(each, target.post(body, each.media_type, connection=connection))


def nothing(target: Target, transport: Transport) -> None:
    """Success for a request with nothing in it."""
    _without_effect(target, transport, _NOTHING[transport])


def without_spans(target: Target, transport: Transport) -> None:
    """Success for resources without scopes and scopes without spans."""
    _without_effect(target, transport, _WITHOUT_SPANS[transport])


def gzipped(target: Target, transport: Transport) -> None:
    """Gzip, as gRPC or HTTP does it."""
    service = new_service()
    body = one_call(service, transport)
    if transport is Transport.GRPC:
        answer = target.call(body, gzip=True)
    else:
        answer = target.post(gzip.compress(body), transport.media_type, encoding="gzip")
    expect.success(transport, answer)
    expect.stored(target, service, TOKENS)


def zstd_and_deflate(target: Target, transport: Transport) -> None:
    """The encodings that the specification leaves open."""
    packers: dict[str, Callable[[bytes], bytes]] = {
        "zstd": zstandard.compress,
        "deflate": zlib.compress,
    }
    for encoding, pack in packers.items():
        service = new_service()
        body = pack(one_call(service, transport))
        expect.success(transport, target.post(body, transport.media_type, encoding=encoding))
        expect.stored(target, service, TOKENS)


def unknown_encoding(target: Target, transport: Transport) -> None:
    """415 with the encodings that work; identity is one."""
    body = one_call(new_service(), transport)
    answer = target.post(body, transport.media_type, encoding="br")
    expect.refusal(transport, answer, 415, "", 3)
    expect.equal(answer.headers.get("accept-encoding"), "gzip, deflate, zstd", "Accept-Encoding")
    expect.success(transport, target.post(body, transport.media_type, encoding="identity"))


def corrupt_gzip(target: Target, transport: Transport) -> None:
    """400 with a Status."""
    whole = gzip.compress(one_call(new_service(), transport))
    for body in (b"\x1f\x8b not gzip", whole[:-8]):
        answer = target.post(body, transport.media_type, encoding="gzip")
        expect.refusal(transport, answer, 400, "", 3)


def bomb(target: Target, transport: Transport) -> None:
    """Too large, and the memory of the server does not follow."""
    server = target.own()
    target.send(transport, one_call(new_service(), transport))  # what it loads once is not growth
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # proc(5): the peak starts from here
    before_mb = server.memory_mb()
    bomb = b" " * _BOMB_BYTES
    if transport is Transport.GRPC:
        answer = target.call(bomb, gzip=True)
    else:
        answer = target.post(gzip.compress(bomb), transport.media_type, encoding="gzip")
    expect.refusal(transport, answer, 413, "RESOURCE_EXHAUSTED", 8)
    grown_mb = server.memory_mb(peak=True) - before_mb
    expect.true(grown_mb < _GROWTH_MB, f"the server grew by {grown_mb:.0f} MB")


def too_large(target: Target, transport: Transport) -> None:
    """413 or RESOURCE_EXHAUSTED, and no time to retry after."""
    answer = target.send(transport, b" " * (TINY_BYTES + 1))
    expect.refusal(transport, answer, 413, "RESOURCE_EXHAUSTED", 8)


def chunked(target: Target, transport: Transport) -> None:
    """A body in pieces, without a length."""
    service = new_service()
    body = one_call(service, transport)
    pieces = iter([body[:10], body[10:50], body[50:]])
    expect.success(transport, target.post(pieces, transport.media_type))
    expect.stored(target, service, TOKENS)


def broken(target: Target, transport: Transport) -> None:
    """400 or INVALID_ARGUMENT with a sentence, in the encoding of the request, for good."""
    whole = one_call(new_service(), transport)
    for body in (*_BROKEN[transport], whole[:-3]):
        answer = target.send(transport, body)
        expect.refusal(transport, answer, 400, "INVALID_ARGUMENT", 3)


def permanent(target: Target, transport: Transport) -> None:
    """The answers to what will never succeed: no code that clients retry."""
    for answer in _permanent_failures(target, transport):
        expect.true(answer.status not in expect.RETRYABLE, f"{answer.status} would be retried")
        wait = expect.retry_seconds(transport, answer)
        expect.equal(wait, None, "the time to retry after")


def _permanent_failures(target: Target, transport: Transport) -> Iterator[Answer]:
    for body in _BROKEN[transport]:
        yield target.send(transport, body)
    if transport is not Transport.GRPC:
        body = one_call(new_service(), transport)
        yield target.post(body, "text/plain")
        yield target.post(body, transport.media_type, encoding="br")
        yield target.post(b"\x1f\x8b", transport.media_type, encoding="gzip")


def _without_effect(target: Target, transport: Transport, bodies: Any) -> None:
    before = target.server.counters().acked_spans if target.server else 0
    for body in bodies:
        expect.success(transport, target.send(transport, body))
    if target.server:
        expect.equal(target.server.counters().acked_spans, before, "spans acknowledged")

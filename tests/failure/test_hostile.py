"""Hostile input: the right status each, a server that still answers, and memory that stays bounded.

Every test runs under a fixture that watches the server: afterwards a normal request must be
stored, and at no moment may the process have been 100 MB larger than before.
"""

from __future__ import annotations

import gzip
import itertools
import json
import random
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from google.rpc import status_pb2
from support.otlp import CHAT, protobuf

from ecomind_query.conformance.calls import new_service
from ecomind_query.conformance.target import Target
from ecomind_receiver.ingest import JSON, PROTOBUF

MB = 1_000_000
GROWTH_MB = 100
HUNDRED_MB = 100 * MB
CHUNK = bytes(1 << 20)
_IDS = itertools.count(1000, 1000)  # the first of a thousand that nothing else uses


def _call(service: str) -> bytes:
    return protobuf([CHAT], resource={"service.name": service}, first_id=next(_IDS))


@pytest.fixture(scope="module")
def warm(target: Target) -> Target:
    """The server after its first requests: what it loads once is not growth."""
    for _ in range(20):
        assert target.post(_call(new_service())).status == 200
    target.own().wait_drained(30)
    return target


@pytest.fixture(autouse=True)
def unharmed(warm: Target) -> Iterator[None]:
    """The server stores a call afterwards, and its peak stays near what it held before."""
    server = warm.own()
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # proc(5): the peak starts from here
    before_mb = server.memory_mb()
    yield
    service = new_service()
    assert warm.post(_call(service)).status == 200
    assert warm.rows(service, "input_tokens") == [[1000]]
    assert server.memory_mb(peak=True) - before_mb < GROWTH_MB


def _refusal(reply_body: bytes) -> str:
    return str(status_pb2.Status.FromString(reply_body).message)


# Malformed


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
def test_random_bytes_are_400(target: Target, media_type: str) -> None:
    for seed in range(20):
        garbage = b"\x0a" + random.Random(seed).randbytes(10_000)
        assert target.post(garbage, media_type).status == 400


def test_damaged_requests_are_refused_or_counted(target: Target) -> None:
    """Damage inside a span is not framing: it is accepted, then stored, dropped or quarantined."""
    draw = random.Random(1)
    for _ in range(50):
        body = bytearray(protobuf([CHAT] * 20, first_id=next(_IDS)))
        for _ in range(draw.randrange(1, 20)):
            body[draw.randrange(len(body))] = draw.randrange(256)
        assert target.post(bytes(body)).status in (200, 400)
    target.own().wait_drained(60)


def test_deep_json_is_refused(target: Target) -> None:
    value = '{"arrayValue":{"values":[' * 5000 + "]}}" * 5000
    resource = '{"attributes":[{"key":"k","value":' + value + "}]}"
    body = '{"resourceSpans":[{"resource":' + resource + "}]}"
    assert target.post(body.encode(), JSON).status in (200, 400)


def test_deep_protobuf_is_refused_or_counted(target: Target) -> None:
    value = b""
    for _ in range(5000):
        value = (
            b"\x2a"
            + _varint(len(value) + 1 + len(_varint(len(value))))
            + b"\x0a"
            + _varint(len(value))
            + value
        )
    pair = b"\x0a\x01k\x12" + _varint(len(value)) + value
    span = (
        b"\x0a\x10" + next(_IDS).to_bytes(16, "big") + b"\x12\x08" + next(_IDS).to_bytes(8, "big")
    )
    span += b"\x4a" + _varint(len(pair)) + pair
    scope = b"\x12" + _varint(len(span)) + span
    resource = b"\x12" + _varint(len(scope)) + scope
    reply = target.post(b"\x0a" + _varint(len(resource)) + resource)
    assert reply.status in (200, 400)
    target.own().wait_drained(30)


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes((*encoded, value))


def test_a_million_empty_spans_are_refused(target: Target) -> None:
    """Two bytes each on the wire: what is small to send must be small to hold."""
    spans = b"\x12\x00" * 1_000_000
    resource = b"\x12" + _varint(len(spans)) + spans
    reply = target.post(b"\x0a" + _varint(len(resource)) + resource)
    assert reply.status == 400


# Too large


def test_a_length_of_100_mb_is_413_before_the_body(target: Target) -> None:
    with target.raw() as connection:
        connection.sendall(_head(PROTOBUF, f"Content-Length: {HUNDRED_MB}"))
        assert _status(connection) == 413


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_body_of_100_mb_is_413(target: Target, chunked: bool) -> None:
    """The client sends until it is stopped, then reads the answer, as HTTP libraries do."""
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {HUNDRED_MB}"
    part = b"%x\r\n%b\r\n" % (len(CHUNK), CHUNK) if chunked else CHUNK
    with target.raw() as connection:
        connection.sendall(_head(PROTOBUF, framing))
        try:
            for _ in range(HUNDRED_MB // len(CHUNK)):
                connection.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it need not read what it has refused
        assert _status(connection) == 413


def test_a_gzip_bomb_is_413(target: Target) -> None:
    bomb = _bomb(megabytes=10_000)
    assert len(bomb) < 11 * MB
    reply = target.post(bomb, encoding="gzip")
    assert reply.status == 413
    assert "ECOMIND_REQUEST_MAX_BYTES" in _refusal(reply.body)


def test_a_gzip_bomb_in_json_is_413(target: Target) -> None:
    reply = target.post(_bomb(megabytes=1_000), JSON, encoding="gzip")
    assert reply.status == 413
    assert json.loads(reply.body)["code"] == 8


def test_eight_gzip_bombs_at_once_are_413(target: Target) -> None:
    bomb = _bomb(megabytes=1_000)
    head = _head(PROTOBUF, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    connections = [target.raw() for _ in range(8)]
    try:
        for connection in connections:
            connection.sendall(head + bomb)
        assert [_status(connection) for connection in connections] == [413] * 8
    finally:
        for connection in connections:
            connection.close()


def test_a_grpc_bomb_is_resource_exhausted(target: Target) -> None:
    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    unlimited = [("grpc.max_send_message_length", -1)]
    with (
        grpc.insecure_channel(target.rpc, unlimited) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary(method)(
            bytes(HUNDRED_MB), timeout=60, compression=grpc.Compression.Gzip
        )
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def _bomb(megabytes: int) -> bytes:
    """Zeros, gzipped to a thousandth: one member, repeated as the format allows."""
    compress = zlib.compressobj(9, wbits=31)
    member = compress.compress(bytes(100 * MB)) + compress.flush()
    return member * (megabytes // 100)


# Compressed wrongly


def test_a_truncated_gzip_body_is_400(target: Target) -> None:
    packed = gzip.compress(_call("cut") * 1000)
    for length in (5, 10, len(packed) // 2, len(packed) - 1):
        assert target.post(packed[:length], encoding="gzip").status == 400


def test_garbage_after_gzip_is_400(target: Target) -> None:
    assert target.post(gzip.compress(_call("x")) + b"garbage", encoding="gzip").status == 400


def test_plain_bytes_called_gzip_are_400(target: Target) -> None:
    assert target.post(_call("x"), encoding="gzip").status == 400


# Not the protocol at all


def test_garbage_on_the_grpc_port_is_disconnected(target: Target) -> None:
    host, port = target.rpc.rsplit(":", 1)
    for seed in range(10):
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(random.Random(seed).randbytes(64_000))
            assert _is_closed(connection)


def test_http_1_on_the_grpc_port_is_disconnected(target: Target) -> None:
    host, port = target.rpc.rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        assert _is_closed(connection)


def test_garbage_on_the_http_port_is_400(target: Target) -> None:
    for seed in range(10):
        with target.raw() as connection:
            connection.sendall(random.Random(seed).randbytes(64_000) + b"\r\n\r\n")
            assert _status(connection) == 400


def test_an_endless_header_is_refused(target: Target) -> None:
    with target.raw() as connection:
        try:
            connection.sendall(b"POST /v1/traces HTTP/1.1\r\nX: ")
            for _ in range(20):
                connection.sendall(b"a" * (1 << 20))
        except (BrokenPipeError, ConnectionResetError):
            pass
        else:
            pytest.fail("20 MB of header were read")


def test_a_wrong_content_type_is_415(target: Target) -> None:
    assert target.post(_call("x"), "text/html").status == 415


@pytest.mark.parametrize("header", ["Content-Length: -1", "Content-Length: ten"])
def test_an_impossible_length_is_400(target: Target, header: str) -> None:
    with target.raw() as connection:
        connection.sendall(_head(PROTOBUF, header))
        assert _status(connection) == 400


# Slow and absent clients


def test_slow_clients_do_not_delay_others(target: Target) -> None:
    slow = [target.raw() for _ in range(50)]
    try:
        for waiting in slow:
            waiting.sendall(_head(PROTOBUF, "Content-Length: 1000") + b"\x0a")
        with target.connect() as connection:
            started = time.monotonic()
            for _ in range(50):
                call = _call(new_service())
                assert target.post(call, connection=connection).status == 200
            assert time.monotonic() - started < 10
    finally:
        for waiting in slow:
            waiting.close()


def test_a_client_that_leaves_in_the_middle_leaves_nothing(target: Target) -> None:
    before = target.own().counters().acked_spans
    body = _call("gone")
    for cut in (0, 1, len(body) - 1):
        with target.raw() as connection:
            connection.sendall(_head(PROTOBUF, f"Content-Length: {len(body)}") + body[:cut])
    assert target.post(_call("stays")).status == 200
    assert target.own().counters().acked_spans == before + 1


def _head(media_type: str, *headers: str) -> bytes:
    lines = ("POST /v1/traces HTTP/1.1", "Host: x", f"Content-Type: {media_type}", *headers)
    return "\r\n".join((*lines, "", "")).encode()


def _status(connection: socket.socket) -> int:
    """The status of the next response."""
    head = b""
    while b"\r\n" not in head:
        data = connection.recv(4096)
        assert data, "disconnected without an answer"
        head += data
    return int(head.split(b" ")[1])


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side hangs up, after whatever it has to say."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True

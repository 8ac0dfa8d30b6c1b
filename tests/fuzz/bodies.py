"""Bodies that resemble what instrumentations send: the captures in every encoding, and damage.

Nothing binary is kept in the repository. The seeds are made from the captures each time, and the
damage comes from a generator of random numbers with a seed, so that a body can be made again.
"""

from __future__ import annotations

import base64
import gzip
import json
import random
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import zstandard
from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.signals import SIGNALS, Signal

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
_MESSAGES: dict[str, Any] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
_PACK: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
}
_LONG = 20_000  # bytes; longer seeds only slow the search down


class Body(NamedTuple):
    """What a client might send."""

    signal: Signal
    media_type: str
    encoding: str
    data: bytes


def seeds() -> list[Body]:
    """Every capture as JSON, as JSON in snake_case, as protobuf, and compressed."""
    return list(_seeds())


def _seeds() -> Iterator[Body]:
    for number, path in enumerate(sorted(CAPTURES.rglob("*.*.json"))):
        signal = next(each for each in SIGNALS if each.name == path.name.split(".")[-2])
        document = json.loads(path.read_text("utf-8"))
        text = json.dumps(document, separators=(",", ":")).encode()
        if len(text) > _LONG:
            continue
        yield Body(signal, JSON, "", text)
        yield Body(signal, JSON, "", _snake_case(text))
        protobuf = _as_protobuf(signal, document)
        yield Body(signal, PROTOBUF, "", protobuf)
        encoding = tuple(_PACK)[number % len(_PACK)]
        yield Body(signal, PROTOBUF, encoding, _PACK[encoding](protobuf))
        yield Body(signal, JSON, encoding, _PACK[encoding](text))


def _as_protobuf(signal: Signal, document: Any) -> bytes:
    message = json_format.ParseDict(_with_bytes(document), _MESSAGES[signal.name]())
    return bytes(message.SerializeToString())


def _with_bytes(node: Any) -> Any:
    """The ids of OTLP/JSON, which are hexadecimal, as the base64 of protobuf's own JSON."""
    if isinstance(node, list):
        return [_with_bytes(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: base64.b64encode(bytes.fromhex(value)).decode()
        if name in ("traceId", "spanId", "parentSpanId")
        else _with_bytes(value)
        for name, value in node.items()
    }


def _snake_case(text: bytes) -> bytes:
    return re.sub(
        rb'"([a-z]+(?:[A-Z][a-z]+)+)":',
        lambda key: b'"%s":' % re.sub(rb"([A-Z])", lambda c: b"_" + c[1].lower(), key[1]),
        text,
    )


_JSON_PIECES = (
    b"null", b"{}", b"[]", b'""', b"-1", b"1e400", b"18446744073709551616", b"9223372036854775807",
    b"0.1", b"true", b'"NaN"', b"NaN", b'"\\ud800"', b'"\\u0000"', b"[[[[[[[[", b"}}", b",,",
    b'"resourceSpans":[{}],', b'"key":"k","key":"l",', b'"intValue":"-5"', b'"doubleValue":1e308',
    b"\xff", b"\xef\xbb\xbf", b"//", b"'",
)  # fmt: skip
_PROTOBUF_PIECES = (
    b"\x00", b"\x0b", b"\x0c", b"\x0f", b"\x07", b"\x0a\x00", b"\x12\x00", b"\x0a\x02\x12\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\xff\xff\xff\xff\x0f", b"\x80\x80\x80\x00",
    b"\x0a\x10" + bytes(16) + b"\x12\x08" + bytes(8), b"\x1a\xff", b"\x4a\x02\x0a\x00",
    b"\xc3\x28", b"\xed\xa0\x80", b"\x19" + b"\xff" * 8,
)  # fmt: skip


class Mutator:
    """Damaged copies of the seeds, one after another; the same ones for the same number."""

    def __init__(self, number: int) -> None:
        self._draw = random.Random(number)
        self._seeds = seeds()

    def restart(self, number: int) -> None:
        """Go on as if made with this number."""
        self._draw.seed(number)

    def body(self) -> Body:
        """The next one: a seed with a few changes, or two seeds cut and joined."""
        seed = self._draw.choice(self._seeds)
        data = bytearray(seed.data)
        if self._draw.random() < 0.1:
            data = self._joined(seed, data)
        for _ in range(self._draw.choice((0, 1, 1, 1, 2, 3, 8))):
            pieces = _JSON_PIECES if seed.media_type == JSON else _PROTOBUF_PIECES
            self._draw.choice(_DAMAGES)(self._draw, data, pieces)
        return seed._replace(data=bytes(data))

    def _joined(self, seed: Body, data: bytearray) -> bytearray:
        other = self._draw.choice([s for s in self._seeds if s.media_type == seed.media_type]).data
        return data[: self._draw.randrange(len(data))] + other[self._draw.randrange(len(other)) :]


Pieces = tuple[bytes, ...]


def _flip(draw: random.Random, data: bytearray, pieces: Pieces) -> None:
    if data:
        data[draw.randrange(len(data))] = draw.randrange(256)


def _cut(draw: random.Random, data: bytearray, pieces: Pieces) -> None:
    if draw.random() < 0.2:
        del data[draw.randrange(len(data) + 1) :]


def _repeat(draw: random.Random, data: bytearray, pieces: Pieces) -> None:
    start = draw.randrange(len(data) + 1)
    part = data[start : start + draw.randrange(1, 200)]
    data[start:start] = part * draw.randrange(1, 4)


def _remove(draw: random.Random, data: bytearray, pieces: Pieces) -> None:
    start = draw.randrange(len(data) + 1)
    del data[start : start + draw.randrange(1, 20)]


def _insert(draw: random.Random, data: bytearray, pieces: Pieces) -> None:
    start = draw.randrange(len(data) + 1)
    data[start:start] = draw.choice(pieces)


def _swap(draw: random.Random, data: bytearray, pieces: Pieces) -> None:
    """Put a piece where a value was: between two separators of JSON, or anywhere in protobuf."""
    start = draw.randrange(len(data) + 1)
    colon = data.find(b":", start)
    if pieces is _JSON_PIECES and colon >= 0:
        ends = [end for end in (data.find(c, colon) for c in (b",", b"}", b"]")) if end >= 0]
        data[colon + 1 : min(ends, default=len(data))] = draw.choice(pieces)
    else:
        piece = draw.choice(pieces)
        data[start : start + len(piece)] = piece


_DAMAGES = (_flip, _flip, _flip, _swap, _swap, _cut, _repeat, _remove, _insert)
"""What keeps lengths as they are comes more often: in protobuf, all else is refused at once."""

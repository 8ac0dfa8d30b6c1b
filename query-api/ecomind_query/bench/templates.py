"""HTTP requests built once, whose ids and times are written in place before each sending.

The generator shares two cores with the server it measures, so a span must cost it almost nothing:
the spans of a block have one length, hence each field is one numpy assignment for the whole block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecomind_query.bench import encoding
from ecomind_query.bench.workload import (
    BATCH_TEMPLATES,
    SHAPES,
    TEAMS,
    Call,
    Mode,
    Variant,
    batch_calls,
    single_calls,
    span_id,
)

Bytes = NDArray[np.uint8]
Numbers = NDArray[np.uint64]

_HEX = np.frombuffer("".join(f"{n:02x}" for n in range(256)).encode(), "<u2")
_POWERS = 10 ** np.arange(18, -1, -1, dtype=np.uint64)


class Values(NamedTuple):
    """What is written into the spans of one block."""

    number: Numbers
    response: Numbers  # index of the span whose response it is: a twin names its call's
    start_ns: Numbers
    end_ns: Numbers


class Patch(NamedTuple):
    """One field of one block: which spans, where, and how its bytes come about."""

    spans: slice
    start: int
    stride: int
    width: int
    encode: Callable[[Values], Bytes]


@dataclass(frozen=True)
class Template:
    """`requests` complete HTTP requests of equal length, one behind the other."""

    data: bytes
    head_bytes: int  # of the first request; its body follows
    requests: int
    duration_ns: Numbers  # of each span
    response: Numbers  # position of the span whose response it is
    patches: tuple[Patch, ...]

    def buffer(self) -> Bytes:
        """A copy to write into and send."""
        return np.frombuffer(bytearray(self.data), np.uint8)

    def write(self, buffer: Bytes, first: int, now_ns: int) -> None:
        """Write the ids of the spans from index `first` on, and times that end about `now_ns`."""
        number = np.arange(first, first + len(self.duration_ns), dtype=np.uint64)
        end_ns = np.uint64(now_ns) - number % np.uint64(512) * np.uint64(1_000_000)
        values = Values(number, np.uint64(first) + self.response, end_ns - self.duration_ns, end_ns)
        for patch in self.patches:
            encoded = patch.encode(Values(*(v[patch.spans] for v in values)))
            _view(buffer, patch)[:] = encoded.reshape(-1).view(f"V{patch.width}")


def _view(buffer: Bytes, patch: Patch) -> NDArray[np.void]:
    shape = (patch.spans.stop - patch.spans.start,)
    return np.ndarray(shape, f"V{patch.width}", buffer.data, patch.start, (patch.stride,))


def batch_templates(
    variant: Variant, seed: int, host: str, keys: Sequence[str] = (), mode: Mode = Mode.BATCH
) -> list[Template]:
    """The kinds of batch request; request number `n` is of kind `n % len(…)`."""
    return [
        _batch_template(kind, mode, variant, seed, host, key_of(keys, kind))
        for kind in range(BATCH_TEMPLATES)
    ]


def _batch_template(
    kind: int, mode: Mode, variant: Variant, seed: int, host: str, key: str
) -> Template:
    calls, twins = batch_calls(kind, mode), SHAPES[mode].twins
    body = encoding.body(calls, TEAMS[kind % len(TEAMS)], variant, seed)
    head = http_head(host, len(body), variant, key)
    blocks = [len(calls) - twins, twins]
    response = np.concatenate([np.arange(blocks[0]), np.arange(twins)]).astype(np.uint64)
    return _template(head + body, len(head), calls, response, blocks, variant)


def single_template(seed: int, host: str, keys: Sequence[str] = ()) -> Template:
    """One-span requests, one for each of `single_calls()`; `keys` must be of one length."""
    calls = single_calls()
    bodies = [
        encoding.body([call], TEAMS[number % len(TEAMS)], Variant.PLAIN, seed)
        for number, call in enumerate(calls)
    ]
    heads = [
        http_head(host, len(body), Variant.PLAIN, key_of(keys, number))
        for number, body in enumerate(bodies)
    ]
    data = b"".join(head + body for head, body in zip(heads, bodies, strict=True))
    response = np.arange(len(calls), dtype=np.uint64)
    return _template(data, len(heads[0]), calls, response, [len(calls)], Variant.PLAIN, len(calls))


def key_of(keys: Sequence[str], kind: int) -> str:
    """The API key of requests of this kind; none without keys."""
    return keys[kind % len(keys)] if keys else ""


def http_head(host: str, length: int, variant: Variant, key: str = "") -> bytes:
    """The head of one OTLP/HTTP request with a body of `length` bytes and an API key, if any."""
    media_type = "application/json" if variant is Variant.JSON else "application/x-protobuf"
    lines = [
        "POST /v1/traces HTTP/1.1",
        f"Host: {host}",
        f"Content-Type: {media_type}",
        f"Content-Length: {length}",
        *(["Content-Encoding: gzip"] if variant is Variant.GZIP else []),
        *([f"Authorization: Bearer {key}"] if key else []),
    ]
    return "\r\n".join((*lines, "", "")).encode()


def _template(
    data: bytes,
    head_bytes: int,
    calls: Sequence[Call],
    response: Numbers,
    blocks: list[int],
    variant: Variant,
    requests: int = 1,
) -> Template:
    duration_ns = np.array([call.duration_us * 1000 for call in calls], np.uint64)
    patches = _patches(data, blocks, variant)
    return Template(data, head_bytes, requests, duration_ns, response, patches)


def _patches(data: bytes, blocks: list[int], variant: Variant) -> tuple[Patch, ...]:
    """Where each marker lies. Raises ValueError if those of a block are not evenly spaced."""
    patches = []
    for marker, encode in _fields(variant):
        found = [match.start() for match in re.finditer(re.escape(marker), data)]
        if len(found) != sum(blocks):
            raise ValueError(f"{marker!r} stands {len(found)} times, not {sum(blocks)}")
        first = 0
        for count in blocks:
            start, stride = found[first], found[first + 1] - found[first]
            if found[first : first + count] != [start + n * stride for n in range(count)]:
                raise ValueError(f"{marker!r} is not evenly spaced")
            spans = slice(first, first + count)
            patches.append(Patch(spans, start, stride, len(marker), encode))
            first += count
    return tuple(patches)


def _fields(variant: Variant) -> list[tuple[bytes, Callable[[Values], Bytes]]]:
    if variant is Variant.JSON:
        markers = encoding.JSON
        return [
            (markers.number, lambda values: _hex(values.number)),
            (markers.span_id, lambda values: _hex(_span_ids(values.number))),
            (markers.start_ns, lambda values: _digits(values.start_ns)),
            (markers.end_ns, lambda values: _digits(values.end_ns)),
            (markers.response, lambda values: _hex(values.response)),
        ]
    markers = encoding.PROTOBUF
    return [
        (markers.number, lambda values: _bytes(values.number, ">u8")),
        (markers.span_id, lambda values: _bytes(_span_ids(values.number), ">u8")),
        (markers.start_ns, lambda values: _bytes(values.start_ns, "<u8")),
        (markers.end_ns, lambda values: _bytes(values.end_ns, "<u8")),
        (markers.response, lambda values: _hex(values.response)),
    ]


def _span_ids(number: Numbers) -> Numbers:
    return (number + np.uint64(1)) * np.uint64(span_id(0))  # `span_id`, wrapping as it does


def _bytes(values: Numbers, order: str) -> Bytes:
    return values.astype(order).view(np.uint8).reshape(-1, 8)


def _hex(values: Numbers) -> Bytes:
    return _HEX[_bytes(values, ">u8")].view(np.uint8)


def _digits(values: Numbers) -> Bytes:
    return (values[:, None] // _POWERS % np.uint64(10) + np.uint64(48)).astype(np.uint8)

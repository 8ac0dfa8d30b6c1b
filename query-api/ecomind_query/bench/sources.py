"""Where a load generator's requests come from: templates, with fresh ids and times in each.

A request's number says everything about it: its kind, its key, and the ids of its spans.
"""

from __future__ import annotations

import time
import zlib
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from ecomind_query.bench.templates import (
    Bytes,
    Template,
    batch_templates,
    http_head,
    key_of,
    single_template,
)
from ecomind_query.bench.workload import MIXED_EVERY, Mode, Variant


class Request(NamedTuple):
    """One request as it goes over the wire; `buffer` is what may be reused once it is answered."""

    sequence: int
    parts: tuple[bytes | memoryview, ...]
    buffer: Bytes | None


class Source(Protocol):
    """Where requests come from: numbered from 0, without gaps."""

    def take(self) -> Request:
        """The next request."""

    def give_back(self, request: Request) -> None:
        """The request is answered; its memory may be used again."""


class Batches:
    """Requests of many spans from templates, each buffer reused once its request is answered."""

    def __init__(
        self,
        variant: Variant,
        seed: int,
        host: str,
        keys: Sequence[str] = (),
        mode: Mode = Mode.BATCH,
    ) -> None:
        self._host = host
        self._gzip = variant is Variant.GZIP
        self._keys = keys
        light = Variant.PLAIN if variant is Variant.MIXED else variant
        self._templates = batch_templates(light, seed, host, keys, mode)
        self._kinds = len(self._templates)
        self._every = MIXED_EVERY if variant is Variant.MIXED else 0
        if self._every:
            self._templates += batch_templates(Variant.CONTENT, seed, host, keys, mode)
        self._free: list[list[Bytes]] = [[] for _ in self._templates]
        self._next = 0

    def take(self) -> Request:
        """The next request."""
        sequence, self._next = self._next, self._next + 1
        place = self._place(sequence)
        template, free = self._templates[place], self._free[place]
        buffer = free.pop() if free else template.buffer()
        template.write(buffer, sequence * len(template.duration_ns), time.time_ns())
        view = buffer.data
        body = view[template.head_bytes :]
        parts = self._compressed(body, sequence % self._kinds) if self._gzip else (view,)
        return Request(sequence, parts, buffer)

    def give_back(self, request: Request) -> None:
        """The request is answered; its memory may be used again."""
        if request.buffer is not None:
            self._free[self._place(request.sequence)].append(request.buffer)

    def _place(self, sequence: int) -> int:
        """Which template a request is made from."""
        heavy = self._every and sequence % self._every == self._every - 1
        return sequence % self._kinds + (self._kinds if heavy else 0)

    def _compressed(self, body: memoryview, kind: int) -> tuple[bytes | memoryview, ...]:
        packed = zlib.compress(body, 1, wbits=31)
        head = http_head(self._host, len(packed), Variant.GZIP, key_of(self._keys, kind))
        return (head, packed)


class Singles:
    """One-span requests, written many at a time."""

    def __init__(self, seed: int, host: str, keys: Sequence[str] = ()) -> None:
        self._template: Template = single_template(seed, host, keys)
        self._ready: deque[Request] = deque()
        self._next = 0

    def take(self) -> Request:
        """The next request."""
        if not self._ready:
            self._write()
        return self._ready.popleft()

    def give_back(self, request: Request) -> None:
        """Nothing to do: the memory goes with the last request that uses it."""

    def _write(self) -> None:
        buffer, length = (
            self._template.buffer(),
            len(self._template.data) // self._template.requests,
        )
        self._template.write(buffer, self._next, time.time_ns())
        view = buffer.data
        for number in range(self._template.requests):
            part = view[number * length : (number + 1) * length]
            self._ready.append(Request(self._next + number, (part,), None))
        self._next += self._template.requests


def source(mode: Mode, variant: Variant, seed: int, host: str, keys: Sequence[str]) -> Source:
    """Requests of this mode, which take turns between the keys."""
    if mode is Mode.SINGLE:
        return Singles(seed, host, keys)
    return Batches(variant, seed, host, keys, mode)


def read_keys(path: Path | None) -> list[str]:
    """The API keys in a file, one a line; none without a file."""
    return path.read_text("ascii").split() if path else []

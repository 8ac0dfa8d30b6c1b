"""OTLP/JSON with the field names of the protobuf files: accepted, as the Go Collector accepts it.

The specification wants lowerCamelCase, and hand-made clients get it wrong. Such a body is rewritten
before it is framed; every other one costs a look for one name. A name in quotes with a colon behind
it is a key and never part of a text, because quotes in a text are escaped.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from ecomind_receiver.frame import FrameError

MAX_BYTES = 4 * 1024 * 1024
"""The longest body that is rewritten: more would hold up the requests of others."""

WARNING = "The keys of this request are in snake_case; OTLP/JSON asks for lowerCamelCase."

_MARKS = (b'"resource_spans"', b'"resource_logs"')
_KEY = re.compile(rb'"([a-z]+(?:_[a-z]+)+)"(?=\s*:)')


def needed(body: bytes) -> bool:
    """Whether the keys of a JSON body may be in snake_case."""
    return any(mark in body for mark in _MARKS)


def rewritten(body: bytes) -> bytes:
    """The body with OTLP's keys in lowerCamelCase. Raises FrameError if it is too long for that."""
    if len(body) > MAX_BYTES:
        raise FrameError(f"{WARNING} More than {MAX_BYTES} bytes are not accepted in snake_case.")
    names = _names()
    return _KEY.sub(lambda key: b'"%s"' % names.get(key[1], key[1]), body)


@functools.cache
def _names() -> dict[bytes, bytes]:
    """Every name of OTLP's traces and logs that differs between protobuf and JSON."""
    from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2

    names: dict[bytes, bytes] = {}
    waiting: list[Any] = [
        logs_service_pb2.ExportLogsServiceRequest.DESCRIPTOR,
        trace_service_pb2.ExportTraceServiceRequest.DESCRIPTOR,
    ]
    seen = set()
    while waiting:
        message = waiting.pop()
        if message.full_name not in seen:
            seen.add(message.full_name)
            names |= {f.name.encode(): f.camelcase_name.encode() for f in message.fields}
            waiting += [field.message_type for field in message.fields if field.message_type]
    return names

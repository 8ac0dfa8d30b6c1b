"""Takes from a finished span what a footprint needs, and nothing else: the part done on the call.

An allow-list of keys, so no prompt is ever held. What the values mean is `call.py`, and waits until
a figure is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from opentelemetry.sdk.trace import ReadableSpan

from ecomind_semconv.dialects import FIELDS

KEYS = frozenset(key for keys in FIELDS.values() for key in keys)
"""The attribute keys that are taken."""

USAGE_KEYS = frozenset(
    key for field in ("input_tokens", "output_tokens", "measured_energy") for key in FIELDS[field]
)
"""A span with none of these says nothing about what a call consumed."""


class Note(NamedTuple):
    """What a span said about a call: its scope, its start and the values of known keys."""

    scope: str
    start_time_ns: int
    values: Mapping[str, object]


def read_note(span: ReadableSpan) -> Note | None:
    """Return what the span says about a call, or None if that includes no usage."""
    attributes = span.attributes or {}
    values = {key: attributes[key] for key in attributes if key in KEYS}
    if USAGE_KEYS.isdisjoint(values):
        return None
    scope = span.instrumentation_scope
    return Note(scope.name if scope else "", span.start_time or 0, values)

"""The frame of an OTLP trace request: what is parsed before the ack, and no more.

Resource spans → scope spans → spans as opaque bytes. That counts the spans and refuses garbage at
0.02 µs a span; attributes are the engine's work.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

_Field = descriptor_pb2.FieldDescriptorProto
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "ScopeSpans": (("spans", 2, "bytes*"),),
    "ResourceSpans": (("scope_spans", 2, "ScopeSpans*"),),
    "Request": (("resource_spans", 1, "ResourceSpans*"),),
    "Envelope": (
        ("org", 1, "string"), ("project", 2, "string"),
        ("request", 6, "Request"), ("json", 7, "bytes"),
    ),
}  # fmt: skip
"""Message → (field, number, type; `*` is repeated). Everything else in a request is skipped."""


MIN_SPAN_BYTES = 28
"""A trace id and a span id with their tags: fewer bytes a span than this can't all be spans."""

_TRUSTED_SPANS = 10_000  # so few are loaded and counted whatever they hold


class FrameError(ValueError):
    """The bytes are not a trace request; the message says what they should be."""


class Record(NamedTuple):
    """Whose a spooled record is, and how many spans it holds."""

    org_id: str
    project_id: str
    spans: int


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="ecomind/frame.proto", package="ecomind.frame", syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, number, kind in fields:
            field = message.field.add(name=field_name, number=number)
            field.label = _Field.LABEL_REPEATED if kind.endswith("*") else _Field.LABEL_OPTIONAL
            base = kind.rstrip("*")
            if base in _MESSAGES:
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".ecomind.frame.{base}"
            else:
                field.type = _Field.TYPE_BYTES if base == "bytes" else _Field.TYPE_STRING
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"ecomind.frame.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _classes()
_Request = _CLASSES["Request"]


class _ScopeSpans(msgspec.Struct):
    spans: list[msgspec.Raw] | None = None


class _ResourceSpans(msgspec.Struct, rename={"scope_spans": "scopeSpans"}):
    scope_spans: list[_ScopeSpans] | None = None


class _JsonRequest(msgspec.Struct, rename={"resource_spans": "resourceSpans"}):
    resource_spans: list[_ResourceSpans] | None = None


_json = msgspec.json.Decoder(_JsonRequest)


def count_protobuf(body: bytes) -> int:
    """Spans in a protobuf ExportTraceServiceRequest. Raises FrameError."""
    try:
        request = _Request.FromString(body)
    except DecodeError as error:
        raise FrameError("The body is not a protobuf ExportTraceServiceRequest.") from error
    return _plausible(_count(request), body)


def count_json(body: bytes) -> int:
    """Spans in an OTLP/JSON ExportTraceServiceRequest. Raises FrameError."""
    try:
        body.decode()  # what is raw below is not looked at, and the engine reads UTF-8 only
        request = _json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(
            f"The body is not an OTLP/JSON ExportTraceServiceRequest: {error}."
        ) from error
    spans = sum(
        len(scope.spans or ())
        for resource in request.resource_spans or ()
        for scope in resource.scope_spans or ()
    )
    return _plausible(spans, body)


def read_record(envelope: bytes) -> Record:
    """Whose an envelope (without its length) is; one that can't be parsed counts as one span."""
    try:
        parsed = _CLASSES["Envelope"].FromString(envelope)
        spans = count_json(parsed.json) if parsed.json else _count(parsed.request)
    except (DecodeError, FrameError):
        return Record("", "", 1)
    return Record(parsed.org, parsed.project, spans)


def _plausible(spans: int, body: bytes) -> int:
    """`spans`, unless most must be empty: a few megabytes would become millions of rows."""
    if spans > _TRUSTED_SPANS and spans * MIN_SPAN_BYTES > len(body):
        raise FrameError(f"{spans} spans in {len(body)} bytes: they have no ids. Send whole spans.")
    return spans


def _count(request: Any) -> int:
    return sum(
        len(scope.spans) for resource in request.resource_spans for scope in resource.scope_spans
    )

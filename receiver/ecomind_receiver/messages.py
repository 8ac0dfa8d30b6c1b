"""Trimmed protobuf messages: of OTLP and of our envelope, only what a receiver looks at.

The field numbers of traces, logs and metrics are the same at every level down to the items, so one
Request reads all three. Whatever is not named here is skipped.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_TYPES = {"bytes": _Field.TYPE_BYTES, "string": _Field.TYPE_STRING, "int64": _Field.TYPE_INT64}
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Scope": (("items", 2, "bytes*"),),
    "Resource": (("scopes", 2, "Scope*"),),
    "Request": (("resources", 1, "Resource*"),),
    "Span": (("trace_id", 1, "bytes"), ("span_id", 2, "bytes")),
    "PartialSuccess": (("rejected", 1, "int64"), ("error_message", 2, "string")),
    "Response": (("partial_success", 1, "PartialSuccess"),),
    "Envelope": (
        ("org", 1, "string"), ("project", 2, "string"),
        ("traces", 6, "Request"), ("traces_json", 7, "bytes"),
        ("logs", 8, "Request"), ("logs_json", 9, "bytes"),
    ),
}  # fmt: skip
"""Message → (field, number, type; `*` is repeated)."""


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
                field.type = _TYPES[base]
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"ecomind.frame.{name}"))
        for name in _MESSAGES
    }


_CLASSES = _classes()
Request, Span, Response, Envelope = (
    _CLASSES[name] for name in ("Request", "Span", "Response", "Envelope")
)

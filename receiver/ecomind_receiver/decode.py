"""Builds the decode statement from the dialect table, for both encodings of OTLP.

The engine reads a decrypted segment as `FORMAT Protobuf`; a request that came as OTLP/JSON is a
string field of its envelope and is opened by JSONExtract into the same shape.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ecomind_receiver.store import SQL, render
from ecomind_semconv import dialects

_NUMBER = {field: index for index, field in enumerate(dialects.FIELDS, start=1)}
_CODES = {
    key: _NUMBER[field] * 100 + priority
    for field, keys in dialects.FIELDS.items()
    for priority, key in enumerate(keys)
}


def literal(value: object) -> str:
    """A SQL literal of a string, number, list or tuple of ours."""
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(item) for item in value) + "]"
    return str(value)


def _any_value(text: str, int_: str, double: str) -> str:
    return f"Tuple({text} String, {int_} Nullable(Int64), {double} Nullable(Float64))"


def _structure(names: Mapping[str, str], id_type: str) -> str:
    value = _any_value(names["text"], names["int"], names["double"])
    attributes = f"Array(Tuple(key String, value {value}))"
    span = (
        f"Tuple({names['trace_id']} {id_type}, {names['span_id']} {id_type},"
        f" {names['start']} UInt64, {names['end']} UInt64, attributes {attributes},"
        " status Tuple(code Int32))"
    )
    scope_spans = f"Array(Tuple(scope Tuple(name String), spans Array({span})))"
    resource = f"Tuple(attributes {attributes})"
    return (
        f"Tuple({names['resource_spans']} Array(Tuple(resource {resource},"
        f" {names['scope_spans']} {scope_spans})))"
    )


_PROTOBUF = {
    "resource_spans": "resource_spans", "scope_spans": "scope_spans", "trace_id": "trace_id",
    "span_id": "span_id", "start": "start_time_unix_nano", "end": "end_time_unix_nano",
    "text": "string_value", "int": "int_value", "double": "double_value",
}  # fmt: skip
_JSON = {
    "resource_spans": "resourceSpans", "scope_spans": "scopeSpans", "trace_id": "traceId",
    "span_id": "spanId", "start": "startTimeUnixNano", "end": "endTimeUnixNano",
    "text": "stringValue", "int": "intValue", "double": "doubleValue",
}  # fmt: skip
_ENVELOPE = (
    "org String, project String, received_ns UInt64, pseudonym_key_low UInt64,"
    f" pseudonym_key_high UInt64, request {_structure(_PROTOBUF, 'String')}, json String"
)
_COLUMNS = (
    "toLowCardinality(org) AS org_id, toLowCardinality(project) AS project_id, received_ns,"
    " pseudonym_key_low AS key_low,"
    " pseudonym_key_high AS key_high"
)


def _segment(path: str) -> str:
    return f"file({literal(str(path))}, 'Protobuf', {literal(_ENVELOPE)})"


def _requests(path: str, json: bool) -> str:
    if not json:
        return f"(SELECT {_COLUMNS}, request.resource_spans AS resources FROM {_segment(path)})"
    opened = f"JSONExtract(json, {literal(_structure(_JSON, 'String'))})"
    return (
        f"(SELECT {_COLUMNS}, tupleElement({opened}, 'resourceSpans') AS resources"
        f" FROM {_segment(path)}"
        " WHERE throwIf(json != '' AND NOT isValidJSON(json)) = 0 AND json != '')"
    )


def _span_columns(names: Mapping[str, str], json: bool) -> str:
    opened = "unhex(span.{})" if json else "span.{}"
    return ", ".join(
        (
            f"{opened.format(names['trace_id'])} AS trace_id",
            f"{opened.format(names['span_id'])} AS span_id",
            f"span.{names['start']} AS start_ns",
            f"span.{names['end']} AS end_ns",
            "span.status.code AS status_code",
            "span.attributes.key AS keys",
            f"span.attributes.value.{names['text']} AS texts",
            f"span.attributes.value.{names['int']} AS ints",
            f"span.attributes.value.{names['double']} AS doubles",
        )
    )


def decode_sql(path: str, staging: str, *, json: bool, retention_days: int) -> str:
    """The statement that fills `staging` from the decrypted segment at `path`.

    Protobuf and JSON requests of one segment take a statement each; their row numbers differ.
    """
    names = _JSON if json else _PROTOBUF
    values: dict[str, Any] = {
        "number": _NUMBER,
        "keys": literal(list(_CODES)),
        "codes": literal(list(_CODES.values())),
        "genai_numbers": literal([_NUMBER[field] for field in dialects.GENAI_FIELDS]),
        "resource_fields": dialects.RESOURCE_FIELDS,
        "providers": dialects.PROVIDERS,
        "host_providers": dialects.HOST_PROVIDERS,
        "host_pattern": literal(f"({'|'.join(map(re.escape, dialects.HOST_PROVIDERS))})$"),
        "operations": dialects.OPERATIONS,
        "containers": dialects.CONTAINERS,
        "exclusive_input": dialects.EXCLUSIVE_INPUT,
        "max_tokens": dialects.MAX_TOKENS,
        "max_name_length": dialects.MAX_NAME_LENGTH,
        "retention_ns": retention_days * 86_400 * 1_000_000_000,
        "staging": staging,
        "first_row": 2**40 if json else 0,
        "requests": _requests(path, json),
        "scope_spans": f"resource_spans.{names['scope_spans']}",
        "resource_texts": f"resource_spans.resource.attributes.value.{names['text']}",
        "span_columns": _span_columns(names, json),
        "literal": literal,
        "schema": literal(f"{SQL / 'segment.proto'}:Envelope"),
    }
    return render("decode.sql", **values)

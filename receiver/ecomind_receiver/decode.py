"""Builds the decode statement from the dialect table, for both signals and both encodings of OTLP.

The engine reads a decrypted segment as `FORMAT Protobuf`; a request that came as OTLP/JSON is a
string field of its envelope and is opened by JSONExtract into the same shape. A log record is read
like a span: its attributes are the call's.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Hashable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from ecomind_receiver.kinds import Kind
from ecomind_receiver.store import SQL, render
from ecomind_semconv import blobs, dialects, usage

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


def _facts() -> dict[str, list[tuple[int, Any]]]:
    """Table of facts → its facts, each with a bit of its own."""
    tables = {
        "exclusive_input": usage.EXCLUSIVE_INPUT,
        "exclusive_output": usage.EXCLUSIVE_OUTPUT,
        "rewritten_ids": usage.REWRITTEN_IDS,
        "unreported": usage.UNREPORTED,
        "inexact_output": usage.INEXACT_OUTPUT,
        "stand_ins": usage.STAND_INS,
    }
    bits = itertools.count()
    return {name: [(next(bits), fact) for fact in facts] for name, facts in tables.items()}


_FACTS = _facts()


def _fact_masks() -> dict[str, int]:
    """Beginning of a scope → the bits of all facts that hold for it; the longest come first."""
    known = [pair for facts in _FACTS.values() for pair in facts]
    scopes = sorted({fact.scope for _, fact in known}, key=len, reverse=True)
    return {
        scope: sum(1 << bit for bit, fact in known if scope.startswith(fact.scope))
        for scope in scopes
    }


def _masks_by(condition: Callable[[Any], Hashable], facts: list[tuple[int, Any]]) -> dict[Any, int]:
    """Condition → the bits of all facts that hold under it: one look at them all."""
    masks: dict[Any, int] = {}
    for bit, fact in facts:
        masks[condition(fact)] = masks.get(condition(fact), 0) | 1 << bit
    return masks


_UNREPORTED_MASKS = {
    count: _masks_by(
        lambda fact: (fact.stream, fact.unless, fact.made_up),
        [(bit, fact) for bit, fact in _FACTS["unreported"] if count in fact.counts],
    )
    for count in usage.COUNTS
}
_SCOPE_MASKS = {
    name: _masks_by(lambda fact: fact.provider, facts)
    for name, facts in _FACTS.items()
    if name != "unreported"
}


class _Encoding(NamedTuple):
    """How one encoding of OTLP spells its fields, which otherwise are the same."""

    envelope: Mapping[str, str]  # signal → field of the envelope that holds the request
    names: Mapping[str, str]


_NAMES = {
    "trace_id": "trace_id", "span_id": "span_id", "parent": "parent_span_id",
    "state": "trace_state", "start": "start_time_unix_nano", "end": "end_time_unix_nano",
    "time": "time_unix_nano", "observed": "observed_time_unix_nano", "event": "event_name",
    "text": "string_value", "int": "int_value", "double": "double_value",
    "bool": "bool_value", "resource_spans": "resource_spans", "scope_spans": "scope_spans",
    "resource_logs": "resource_logs", "scope_logs": "scope_logs", "records": "log_records",
}  # fmt: skip
"""What is read of OTLP, under the names of its protobuf files."""


def _camel_case(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


_PROTOBUF = _Encoding({"span": "request", "log": "logs"}, _NAMES)
_JSON = _Encoding(
    {"span": "json", "log": "logs_json"},
    {part: _camel_case(name) for part, name in _NAMES.items()},
)


_ATTRIBUTES_IN_BYTES = "attributes Array(Tuple(key String, value String))"


def _attributes(names: Mapping[str, str]) -> str:
    """Each with its key and its value, as the engine's own reader opens them."""
    value = (
        f"Tuple({names['text']} String, {names['int']} Nullable(Int64),"
        f" {names['double']} Nullable(Float64), {names['bool']} Bool)"
    )
    return f"attributes Array(Tuple(key String, value {value}))"


def _request(encoding: _Encoding, signal: str) -> str:
    names = encoding.names
    attributes = _attributes(names) if encoding is _JSON else _ATTRIBUTES_IN_BYTES
    ids = f"{names['trace_id']} String, {names['span_id']} String"
    if signal == "span":
        item = (
            f"{ids}, {names['state']} String, {names['parent']} String, {names['start']} UInt64,"
            f" {names['end']} UInt64, {attributes}, status Tuple(code Int32)"
        )
        resources, scopes, items = names["resource_spans"], names["scope_spans"], "spans"
    else:
        item = (
            f"{ids}, {names['time']} UInt64, {names['observed']} UInt64, {names['event']} String,"
            f" {attributes}"
        )
        resources, scopes, items = names["resource_logs"], names["scope_logs"], names["records"]
    scoped = f"Array(Tuple(scope Tuple(name String), {items} Array(Tuple({item}))))"
    resource = f"Tuple({_attributes(names)})"
    return f"Tuple({resources} Array(Tuple(resource {resource}, {scopes} {scoped})))"


_COLUMNS = (
    "toLowCardinality(org) AS org_id, toLowCardinality(project) AS project_id, received_ns,"
    " pseudonym_key_low AS key_low, pseudonym_key_high AS key_high"
)
_WHOSE = (
    "org String, project String, received_ns UInt64, pseudonym_key_low UInt64,"
    " pseudonym_key_high UInt64"
)


def _requests(path: str, signal: str, encoding: _Encoding) -> str:
    field = encoding.envelope[signal]
    shape = _request(encoding, signal)
    resources = encoding.names["resource_spans" if signal == "span" else "resource_logs"]
    held = shape if encoding is _PROTOBUF else "String"
    file = f"file({literal(path)}, 'Protobuf', {literal(f'{_WHOSE}, {field} {held}')})"
    if encoding is _PROTOBUF:
        return f"(SELECT {_COLUMNS}, {field}.{resources} AS resources FROM {file})"
    opened = f"JSONExtract({field}, {literal(shape)})"
    return (
        f"(SELECT {_COLUMNS}, tupleElement({opened}, {literal(resources)}) AS resources FROM {file}"
        f" WHERE throwIf({field} != '' AND NOT isValidJSON({field})) = 0 AND {field} != '')"
    )


def _item_columns(signal: str, encoding: _Encoding) -> str:
    names = encoding.names
    opened = "unhex(item.{})" if encoding is _JSON else "item.{}"
    columns = {"keys": "item.attributes.key", "values": "item.attributes.value"}
    if encoding is _JSON:
        columns = {
            "keys": "item.attributes.key",
            "texts": f"item.attributes.value.{names['text']}",
            "ints": f"item.attributes.value.{names['int']}",
            "doubles": f"item.attributes.value.{names['double']}",
            "bools": f"item.attributes.value.{names['bool']}",
        }
    if signal == "span":
        columns |= {
            "trace_id": opened.format(names["trace_id"]),
            "span_id": opened.format(names["span_id"]),
            "parent_span_id": opened.format(names["parent"]),
            "trace_state": f"item.{names['state']}",
            "start_ns": f"item.{names['start']}",
            "end_ns": f"item.{names['end']}",
            "status_code": "item.status.code",
        }
    else:
        # A record has no id of its own: the span it names may have many. Its project and content
        # are its id;
        # substring keeps all of its bytes, where toString would cut zeros at the end.
        time = f"if(item.{names['time']} != 0, item.{names['time']}, item.{names['observed']})"
        said = ", ".join(columns.values())
        columns |= {
            "trace_id": f"if(length({opened.format(names['trace_id'])}) = 16,"
            f" {opened.format(names['trace_id'])}, substring(sipHash128({time}, {said}), 1, 16))",
            "span_id": "substring(reinterpretAsFixedString("
            f"greatest(sipHash64({time}, project_id, {said}), 1)), 1, 8)",
            "parent_span_id": "''",
            "trace_state": "''",
            "event_name": f"item.{names['event']}",
            "end_ns": time,
            "status_code": "0",
        }
    return ", ".join(f"{expression} AS {name}" for name, expression in columns.items())


_SCHEMA = literal(f"{SQL / 'segment.proto'}:Envelope")


def _read_as(kind: Kind) -> tuple[str, _Encoding]:
    signal = "log" if kind in Kind.LOGS | Kind.LOGS_JSON else "span"
    return signal, _JSON if kind in Kind.TRACES_JSON | Kind.LOGS_JSON else _PROTOBUF


def probe_sql(path: str, kind: Kind) -> str:
    """A statement that only reads one kind of record: it fails where one can't be parsed.

    It costs a fiftieth of `decode_sql`, which the engine plans for longer than it reads a record.
    """
    requests = _requests(path, *_read_as(kind))
    return (
        f"SELECT count() FROM {requests} WHERE NOT ignore(resources)"
        f" SETTINGS format_schema = {_SCHEMA}, max_threads = 1"
    )


def decode_sql(
    path: str,
    staging: str,
    kind: Kind,
    *,
    retention_days: int,
    terms: Mapping[str, int] = MappingProxyType({}),
    by_hour: bool = False,
) -> str:
    """The statement that fills `staging` with one kind of record of the segment at `path`.

    Each kind takes a statement of its own; their row numbers differ. `terms` tells the keys of
    organisations with terms of their own from all others, `by_hour` those of the hours of a day.
    """
    signal, encoding = _read_as(kind)
    names, masks = encoding.names, _fact_masks()
    values: dict[str, Any] = {
        "signal": signal,
        "number": _NUMBER,
        "values_in_bytes": encoding is _PROTOBUF,
        "keys": literal(list(_CODES)),
        "codes": literal(list(_CODES.values())),
        "genai_numbers": literal([_NUMBER[field] for field in dialects.GENAI_FIELDS]),
        "resource_fields": dialects.RESOURCE_FIELDS,
        "providers": dialects.PROVIDERS,
        "host_providers": dialects.HOST_PROVIDERS,
        "host_pattern": literal(f"({'|'.join(map(re.escape, dialects.HOST_PROVIDERS))})$"),
        "operations": dialects.OPERATIONS,
        "containers": dialects.CONTAINERS,
        "log_events": dialects.LOG_EVENTS,
        "in_json": blobs.IN_JSON,
        "in_repr": blobs.IN_REPR,
        "max_repr_length": blobs.MAX_REPR_LENGTH,
        "max_tokens": dialects.MAX_TOKENS,
        "max_images": dialects.MAX_IMAGES,
        "max_media_s": dialects.MAX_MEDIA_S,
        "max_spend_usd": dialects.MAX_SPEND_USD,
        "max_name_length": dialects.MAX_NAME_LENGTH,
        "unreported_masks": _UNREPORTED_MASKS,
        "scope_masks": _SCOPE_MASKS,
        "fact_masks": masks,
        "fact_pattern": literal(f"^({'|'.join(map(re.escape, masks))})"),
        "estimates": usage.ESTIMATES,
        "cached_per_input": usage.CACHED_PER_INPUT,
        "reasoning_per_output": usage.REASONING_PER_OUTPUT,
        "retention_ns": retention_days * 86_400 * 1_000_000_000,
        "staging": staging,
        "terms": terms,
        "by_hour": by_hour,
        "first_row": (kind.bit_length() - 1) * 2**40,
        "requests": _requests(path, signal, encoding),
        "scopes": f"one.{names['scope_spans' if signal == 'span' else 'scope_logs']}",
        "items": f"scoped.{'spans' if signal == 'span' else names['records']}",
        "resource_texts": f"one.resource.attributes.value.{names['text']}",
        "item_columns": _item_columns(signal, encoding),
        "literal": literal,
        "schema": _SCHEMA,
    }
    return render("decode.sql", **values)

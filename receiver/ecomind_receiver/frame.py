"""The frame of an OTLP request: what is parsed before the ack, and no more.

Groups by resource → groups by scope → items as opaque bytes. That counts them and refuses garbage
at 0.02 µs an item; attributes are the engine's work. The ids of spans are looked at too, because a
client is to be told of spans that can't be accepted: one pattern matches the order in which every
SDK writes them, in 0.13 µs a span, and only a request with a span that it doesn't match is read
span by span.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
from google.protobuf.message import DecodeError

from ecomind_receiver import messages
from ecomind_receiver.signals import LOGS, SIGNALS, TRACES, Signal

_TRUSTED_ITEMS = 10_000  # so few are loaded and counted whatever they hold
_TRACE_ID_BYTES, _SPAN_ID_BYTES = 16, 8
_STARTS_WITH_IDS = re.compile(
    rb"\x0a\x10(?!\0{16}).{16}\x12\x08(?!\0{8}).{8}", re.DOTALL
).match  # trace_id = 1 and span_id = 2, each with its length, and neither all zero
_TRACE_ID = re.compile(r"(?!0{32})[0-9a-fA-F]{32}").fullmatch
_SPAN_ID = re.compile(r"(?!0{16})[0-9a-fA-F]{16}").fullmatch


class FrameError(ValueError):
    """The bytes are not a request of the signal; the message says what they should be."""


class Frame(NamedTuple):
    """How many items a request holds, and how many of them can't be accepted."""

    items: int
    rejected: int = 0

    @property
    def accepted(self) -> int:
        """How many can."""
        return self.items - self.rejected


class Record(NamedTuple):
    """Whose a spooled record is, and how many spans or log records it holds.

    Some may have been refused, in a partial success; the others are acknowledged.
    """

    org_id: str
    project_id: str
    spans: int
    refused: int = 0


class _JsonSpan(msgspec.Struct, rename="camel"):
    trace_id: str | None = None
    span_id: str | None = None


def count_protobuf(body: bytes, signal: Signal = TRACES) -> Frame:
    """What a protobuf request holds. Raises FrameError."""
    try:
        frame = _frame(messages.Request.FromString(body), signal)
    except DecodeError as error:
        raise FrameError(f"The body is not a protobuf {signal.request}.") from error
    return _plausible(frame, body, signal)


def count_json(body: bytes, signal: Signal = TRACES) -> Frame:
    """What an OTLP/JSON request holds. Raises FrameError."""
    try:
        body.decode()  # what is raw below is not looked at, and the engine reads UTF-8 only
        request = _JSON[signal.name].decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FrameError(f"The body is not an OTLP/JSON {signal.request}: {error}.") from error
    groups = [
        scope.items or () for resource in request.resources or () for scope in resource.scopes or ()
    ]
    rejected = sum(map(_bad_json_spans, groups)) if signal is TRACES else 0
    return _plausible(Frame(sum(map(len, groups)), rejected), body, signal)


def read_record(envelope: bytes) -> Record:
    """Whose an envelope (without its length) is; one that can't be parsed counts as one span."""
    try:
        parsed = messages.Envelope.FromString(envelope)
        frames = [_frame(parsed.traces, TRACES), _frame(parsed.logs, LOGS)]
        if parsed.traces_json:
            frames.append(count_json(parsed.traces_json))
        if parsed.logs_json:
            frames.append(count_json(parsed.logs_json, LOGS))
    except (DecodeError, FrameError):
        return Record("", "", 1)
    spans, refused = (sum(counts) for counts in zip(*frames, strict=True))
    return Record(parsed.org, parsed.project, spans, refused)


def _plausible(frame: Frame, body: bytes, signal: Signal) -> Frame:
    """`frame`, unless most items must be empty: megabytes would become millions of rows."""
    items = frame.items
    if items > _TRUSTED_ITEMS and items * signal.min_item_bytes > len(body):
        raise FrameError(
            f"{items} {signal.items} in {len(body)} bytes: they must be empty. Send whole ones."
        )
    return frame


def _frame(request: Any, signal: Signal) -> Frame:
    """Raises DecodeError."""
    groups = [scope.items for resource in request.resources for scope in resource.scopes]
    rejected = sum(map(_bad_spans, groups)) if signal is TRACES else 0
    return Frame(sum(map(len, groups)), rejected)


def _bad_spans(spans: Any) -> int:
    """Spans without the ids that identify one. Raises DecodeError."""
    if all(map(_STARTS_WITH_IDS, spans)):
        return 0
    return sum(not _has_ids(messages.Span.FromString(span)) for span in spans)


def _has_ids(span: Any) -> bool:
    return (
        len(span.trace_id) == _TRACE_ID_BYTES
        and len(span.span_id) == _SPAN_ID_BYTES
        and any(span.trace_id)
        and any(span.span_id)
    )


def _bad_json_spans(spans: Iterable[_JsonSpan]) -> int:
    return sum(not (_TRACE_ID(s.trace_id or "") and _SPAN_ID(s.span_id or "")) for s in spans)


def _json_decoder(signal: Signal) -> msgspec.json.Decoder[Any]:
    """Reads the groups of a signal under its own names, and its items raw."""
    resources, scopes, items = signal.groups
    item = _JsonSpan if signal is TRACES else msgspec.Raw
    scope = _level(f"{signal.name}Scope", "items", items, item)
    resource = _level(f"{signal.name}Resource", "scopes", scopes, scope)
    return msgspec.json.Decoder(_level(f"{signal.name}Request", "resources", resources, resource))


def _level(name: str, field: str, json_name: str, item: Any) -> Any:
    fields = [(field, list[item] | None, None)]
    return msgspec.defstruct(name, fields, rename={field: json_name})


_JSON = {signal.name: _json_decoder(signal) for signal in SIGNALS}

"""A capture as requests: moved to now, span by span, and in the other encoding."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

Document = dict[str, Any]

_TIMES = ("startTimeUnixNano", "endTimeUnixNano")
_IDS = ("traceId", "spanId", "parentSpanId")
_AGO_SECONDS = 60


def moved_to_now(body: bytes) -> Document:
    """The request as if it began a minute ago, and in any case today: the front page shows that."""
    document: Document = json.loads(body)
    spans = [span for _, _, span in _spans(document)]
    now = datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    begin_ns = int(max(now.timestamp() - _AGO_SECONDS, midnight.timestamp())) * 1_000_000_000
    by_ns = begin_ns - min(int(span[_TIMES[0]]) for span in spans)
    for span in spans:
        for name in _TIMES:
            span[name] = str(int(span[name]) + by_ns)
    return document


def one_by_one(document: Document) -> list[Document]:
    """Each span in a request of its own, under its own resource and scope."""
    return [
        {"resourceSpans": [{**resource, "scopeSpans": [{**scope, "spans": [span]}]}]}
        for resource, scope, span in _spans(document)
    ]


def as_json(document: Document) -> bytes:
    """The body of a request over HTTP."""
    return json.dumps(document).encode()


def as_protobuf(document: Document) -> bytes:
    """The same request as protobuf. Ids are hexadecimal in OTLP/JSON, base64 in protobuf's JSON."""
    copy = json.loads(json.dumps(document))
    for _, _, span in _spans(copy):
        for name in _IDS:
            if name in span:
                span[name] = base64.b64encode(bytes.fromhex(span[name])).decode()
    return json_format.ParseDict(copy, ExportTraceServiceRequest()).SerializeToString()


def _spans(document: Document) -> Iterator[tuple[Document, Document, Document]]:
    for resource in document["resourceSpans"]:
        for scope in resource["scopeSpans"]:
            for span in scope["spans"]:
                yield resource, scope, span

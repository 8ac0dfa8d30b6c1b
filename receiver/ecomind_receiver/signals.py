"""The signals of OTLP as data: where each is sent, what it holds, and whether it is kept.

All three have one shape: a request holds groups by resource, those hold groups by scope, and those
hold items. Metrics are acknowledged and dropped: many applications send all their signals to one
endpoint, and a refusal would fill their logs.
"""

from __future__ import annotations

from typing import NamedTuple

from ecomind_receiver.kinds import Kind


class Signal(NamedTuple):
    """One of traces, logs and metrics.

    `groups` are the names of the three levels in OTLP/JSON, `rejected` that of its partial success.
    `min_item_bytes`: if most items of a large request are smaller, they can't be what they claim.
    """

    name: str
    package: str
    service: str
    items: str
    groups: tuple[str, str, str]
    rejected: str
    kind: Kind | None
    json_kind: Kind | None
    min_item_bytes: int

    @property
    def path(self) -> str:
        """Where it is posted."""
        return f"/v1/{self.name}"

    @property
    def grpc_service(self) -> str:
        """The service whose Export takes it."""
        return f"opentelemetry.proto.collector.{self.package}.v1.{self.service}"

    @property
    def request(self) -> str:
        """The name of its request message."""
        return f"Export{self.service}Request"


TRACES = Signal(
    "traces",
    "trace",
    "TraceService",
    "spans",
    ("resourceSpans", "scopeSpans", "spans"),
    "rejectedSpans",
    Kind.TRACES,
    Kind.TRACES_JSON,
    28,  # a trace id and a span id with their tags
)
LOGS = Signal(
    "logs",
    "logs",
    "LogsService",
    "log records",
    ("resourceLogs", "scopeLogs", "logRecords"),
    "rejectedLogRecords",
    Kind.LOGS,
    Kind.LOGS_JSON,
    11,  # a time with its tag, and the tag and length of the record
)
METRICS = Signal(
    "metrics",
    "metrics",
    "MetricsService",
    "metrics",
    ("resourceMetrics", "scopeMetrics", "metrics"),
    "rejectedDataPoints",
    None,
    None,
    0,  # they are counted and nothing else
)
SIGNALS = (TRACES, LOGS, METRICS)

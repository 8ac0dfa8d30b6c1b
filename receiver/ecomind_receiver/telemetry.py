"""What the process says about itself: JSON log lines, metrics for Prometheus, its own OTLP export.

Metrics are the registry's definitions over numbers that the parts keep anyway, read when somebody
asks; the ingest path pays nothing. A log line never carries content: messages are constant and the
values beside them are counts, names of ours and ids.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import trace
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from prometheus_client import REGISTRY, generate_latest

from ecomind_receiver.settings import Settings
from ecomind_semconv import names
from ecomind_semconv.metric import Metric

if TYPE_CHECKING:
    from ecomind_receiver.server import Receiver, Status

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

Read = Callable[["Status"], Iterable[Observation]]


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, trace id, and what `extra` gave."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            line["trace_id"] = f"{context.trace_id:032x}"
        line |= {k: v for k, v in vars(record).items() if k not in _RECORD_FIELDS}
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
            line["at"] = _where(record)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logging(level: str) -> None:
    """Send every log line to stdout as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # what it says at info, we say ourselves


class Telemetry:
    """The meters of one receiver, readable as Prometheus text and exported over OTLP if set."""

    def __init__(self, settings: Settings, receiver: Receiver) -> None:
        """Raises ValueError if the endpoint is the process's own receiver."""
        self._receiver = receiver
        self._prometheus = PrometheusMetricReader()
        readers: list[MetricReader] = [self._prometheus]
        resource = Resource.create({"service.name": "ecomind"})
        if settings.telemetry_endpoint:
            refuse_own_endpoint(settings, (receiver.http_port, receiver.grpc_port))
            readers.append(_otlp_metrics(settings.telemetry_endpoint))
            _export_traces(settings.telemetry_endpoint, resource)
        self._provider = MeterProvider(metric_readers=readers, resource=resource)
        meter = self._provider.get_meter("ecomind")
        for metric, read in _OBSERVED.items():
            kind = "counter" if metric.instrument == "counter" else "up_down_counter"
            kind = "gauge" if metric.instrument == "gauge" else kind
            create = getattr(meter, f"create_observable_{kind}")
            create(metric.name, [self._callback(read)], unit=metric.unit, description=metric.brief)
        duration = names.ECOMIND_LOADER_DURATION
        histogram = meter.create_histogram(
            duration.name,
            unit=duration.unit,
            description=duration.brief,
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        receiver.on_segment_loaded(histogram.record)

    def close(self) -> None:
        """Export what is left and let go of the registry."""
        self._provider.shutdown()

    def _callback(self, read: Read) -> Callable[[CallbackOptions], Iterable[Observation]]:
        return lambda _: read(self._receiver.status())


def prometheus_text(receiver: Receiver) -> str:
    """The receiver's metrics in Prometheus' text format."""
    assert receiver.telemetry, "the receiver is not started"
    return generate_latest(REGISTRY).decode()


def _requests(status: Status) -> Iterable[Observation]:
    for (transport, outcome, signal), count in status.requests.items():
        yield Observation(
            count,
            {
                names.ECOMIND_RECEIVER_TRANSPORT: transport,
                names.ECOMIND_REQUEST_OUTCOME: outcome,
                names.ECOMIND_SIGNAL: signal,
            },
        )


def _items(status: Status) -> Iterable[Observation]:
    accepted = {("accepted", "traces"): 0}  # shown before anything has come
    for (outcome, signal), count in {**accepted, **status.items}.items():
        yield Observation(
            count, {names.ECOMIND_SPAN_OUTCOME: outcome, names.ECOMIND_SIGNAL: signal}
        )


def _loader_spans(status: Status) -> Iterable[Observation]:
    for outcome, count in {"stored": status.stored_spans, **status.dropped_spans}.items():
        yield Observation(count, {names.ECOMIND_SPAN_OUTCOME: outcome})


def _topics(status: Status, field: str) -> list[Observation]:
    """Nothing at all where Kafka is not used."""
    return [] if status.topics is None else [Observation(getattr(status.topics, field))]


def _backup(status: Status) -> list[Observation]:
    last = status.last_backup
    return [] if last is None else [Observation(last.as_of.timestamp())]


def _by(attribute: str, counts: Mapping[str, int]) -> list[Observation]:
    return [Observation(count, {attribute: value}) for value, count in counts.items()]


_OBSERVED: dict[Metric, Read] = {
    names.ECOMIND_RECEIVER_REQUESTS: _requests,
    names.ECOMIND_RECEIVER_SPANS: _items,
    names.ECOMIND_SPOOL_SIZE: lambda status: [Observation(status.spool_bytes)],
    names.ECOMIND_SPOOL_SEGMENTS: lambda status: [Observation(status.spool_segments)],
    names.ECOMIND_KAFKA_WAITING: lambda status: _topics(status, "waiting"),
    names.ECOMIND_KAFKA_LOST: lambda status: _topics(status, "lost"),
    names.ECOMIND_SPOOL_LIMIT: lambda status: [Observation(status.spool_max_bytes)],
    names.ECOMIND_SPOOL_WRITABLE: lambda status: [Observation(int(status.spool_writable))],
    names.ECOMIND_RECEIVER_POSTPONED: lambda status: _by(
        names.ECOMIND_REFUSAL_CAUSE, status.not_now
    ),
    names.ECOMIND_RECEIVER_IN_FLIGHT: lambda status: [Observation(status.in_flight_bytes)],
    names.ECOMIND_LOADER_FAILURES: lambda status: [Observation(status.load_failures)],
    names.ECOMIND_CLOCK_JUMPS: lambda status: [Observation(status.clock_jumps)],
    names.ECOMIND_CLOCK_BEHIND: lambda status: [Observation(status.clock_behind_seconds)],
    names.ECOMIND_BACKUP_TIME: _backup,
    names.ECOMIND_LOADER_SPANS: _loader_spans,
    names.ECOMIND_LOADER_LAG: lambda status: [Observation(status.load_lag_seconds)],
    names.ECOMIND_RECONCILE_CORRECTIONS: lambda status: [Observation(status.corrections)],
    names.ECOMIND_QUARANTINE_RECORDS: lambda status: [Observation(status.quarantined_records)],
    names.ECOMIND_TENANT_CLAIMS: lambda status: _by(
        names.ECOMIND_CLAIM_SOURCE, status.ignored_claims
    ),
    names.ECOMIND_KEY_REFUSALS: lambda status: _by(names.ECOMIND_KEY_REFUSAL, status.refused_keys),
    names.ECOMIND_QUOTA_REFUSALS: lambda status: _by(names.ECOMIND_QUOTA_LEVEL, status.over_quota),
    names.ECOMIND_QUOTA_DEGRADED: lambda status: [Observation(int(status.limits_degraded))],
}


def refuse_own_endpoint(settings: Settings, own_ports: tuple[int, int]) -> None:
    """Raise ValueError if telemetry would be sent to the process that makes it."""
    parts = urlsplit(settings.telemetry_endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(
            "ECOMIND_TELEMETRY_ENDPOINT must be a URL such as http://127.0.0.1:4418,"
            f" not {settings.telemetry_endpoint!r}."
        )
    if (
        parts.hostname in ("127.0.0.1", "localhost", "::1", settings.host)
        and parts.port in own_ports
    ):
        raise ValueError(
            "ECOMIND_TELEMETRY_ENDPOINT is this process's own receiver: its telemetry would feed"
            " itself. Point it at another collector."
        )


def _otlp_metrics(endpoint: str) -> MetricReader:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

    return PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{endpoint.rstrip('/')}/v1/metrics")
    )


def _export_traces(endpoint: str, resource: Resource) -> None:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)


def _where(record: logging.LogRecord) -> str:
    """File and line of the innermost frame, without the exception's text: it may quote data."""
    traceback = record.exc_info[2] if record.exc_info else None
    while traceback and traceback.tb_next:
        traceback = traceback.tb_next
    if traceback is None:
        return ""
    return f"{traceback.tb_frame.f_code.co_filename}:{traceback.tb_lineno}"

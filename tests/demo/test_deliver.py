"""Sending exports: what is retried, what is not, and what is said."""

from __future__ import annotations

import pytest
from demo.otlp_sink import OtlpSink
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from ecomind_query.demo.deliver import DeliveryError, deliver
from ecomind_query.demo.history import Batch


def batch(name: str) -> Batch:
    request = ExportTraceServiceRequest(resource_spans=[ResourceSpans(schema_url=name)])
    return Batch(request.SerializeToString(), {name: 1})


BATCHES = [batch("first"), batch("second")]


def test_each_export_is_sent_once_and_in_order(otlp_sink: OtlpSink) -> None:
    assert list(deliver(otlp_sink.url, BATCHES)) == [{"first": 1}, {"second": 1}]
    sent = [request.resource_spans[0].schema_url for request in otlp_sink.requests]
    assert sent == ["first", "second"]


def test_a_busy_receiver_is_asked_again(otlp_sink: OtlpSink) -> None:
    otlp_sink.refusals = [503, 429]
    assert len(list(deliver(otlp_sink.url, BATCHES))) == 2
    assert len(otlp_sink.requests) == 2


def test_a_refusal_ends_it(otlp_sink: OtlpSink) -> None:
    otlp_sink.refusals = [400]
    with pytest.raises(DeliveryError, match="refused a request with status 400"):
        list(deliver(otlp_sink.url, BATCHES))


def test_no_receiver_is_said_in_a_sentence(closed_port: int) -> None:
    with pytest.raises(DeliveryError, match=f"at http://127.0.0.1:{closed_port} stopped answering"):
        list(deliver(f"http://127.0.0.1:{closed_port}", BATCHES))

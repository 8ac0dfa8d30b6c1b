"""One service of the demo: the OpenAI SDK, instrumented as any app would be, playing its scenes.

It prints what it saw as one JSON line, its ledger: the truth that Ecomind's figures are held
against. Then it makes a call now and then, so that the page lives, until it is stopped.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import threading
from collections.abc import Iterator

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ecomind_query.demo.scenes import SCENES, Caller
from ecomind_query.demo.services import SERVICES, Service

ROUNDS = 3
"""Times that a service plays its scenes before it settles down."""
SECONDS_BETWEEN_CALLS = 6.0
"""Pause of one settled service; with four of them the page sees a call every 1.5 seconds."""
EXPORT_DELAY_MS = 1000


@contextlib.contextmanager
def instrumented(service: Service, otlp_endpoint: str) -> Iterator[TracerProvider]:
    """Trace every OpenAI call of this process to an OTLP/HTTP endpoint, http://localhost:4318.

    This is all an app of your own needs; most take the same from `OTEL_*` variables.
    """
    resource = Resource.create(
        {
            "service.name": service.name,
            service.team_attribute: service.team,
            "deployment.environment.name": "demo",
        }
    )
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(endpoint=f"{otlp_endpoint}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_DELAY_MS))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    try:
        yield provider
    finally:
        OpenAIInstrumentor().uninstrument()
        provider.shutdown()


def run_service(service: Service, provider_url: str, otlp_endpoint: str, once: bool) -> None:
    """Play the scenes and print the ledger; unless `once`, go on until SIGTERM or an orphan."""
    stopped = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stopped.set())
    with instrumented(service, otlp_endpoint) as provider:
        caller = Caller(provider_url, provider.get_tracer("ecomind.demo"))
        for scene in SCENES[service.name] * ROUNDS:
            if not stopped.is_set():
                scene(caller)
        provider.force_flush()
        ledger = {"service": service.name, "team": service.team} | caller.ledger
        print(json.dumps(ledger), flush=True)
        if not once:
            _trickle(service, caller, stopped)


def _trickle(service: Service, caller: Caller, stopped: threading.Event) -> None:
    """One scene now and then, the services out of step, until stopped or without a parent."""
    parent = os.getppid()
    stopped.wait(SECONDS_BETWEEN_CALLS * SERVICES.index(service) / len(SERVICES))
    for scene in itertools.cycle(SCENES[service.name]):
        if stopped.is_set() or os.getppid() != parent:
            return
        scene(caller)
        stopped.wait(SECONDS_BETWEEN_CALLS)

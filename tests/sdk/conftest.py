"""A tracer provider of the test's own, and coefficients simple enough for paper."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

import ecomind
from ecomind import guard, meter
from ecomind_processor.footprint import Coefficients
from ecomind_processor.resolution import CallKey

COEFFICIENTS = Coefficients(
    method="ecomind@v1",
    factor_set="test",
    provider="openai",
    model="gpt-4o",
    model_match="exact",
    model_tier="D",
    zone="WOR",
    zone_match="default",
    grid_tier="E",
    wh_per_call=0.0,
    wh_per_input_token=0.001,
    wh_per_input_token_over_32k=0.0,
    wh_per_cache_read_token=0.0001,
    wh_per_cache_write_token=0.001,
    wh_per_output_token=0.01,
    wh_per_reasoning_token=0.0,
    wh_per_measured_mj=0.0,
    pue=1.2,
    co2e_g_per_kwh_location=500.0,
    co2e_g_per_kwh_market=None,
    co2e_g_per_kwh_embodied=40.0,
    water_l_per_kwh_onsite=1.0,
    water_l_per_kwh_offsite=2.0,
    band_usage=1.0,
    band_energy=2.0,
    band_grid=1.5,
    band_water=1.25,
)


@dataclass
class App:
    """An instrumented app: its tracers and the spans that it has exported."""

    provider: TracerProvider
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)

    def tracer(self, scope: str = "opentelemetry.instrumentation.genai.openai") -> Tracer:
        return self.provider.get_tracer(scope)

    def exported(self) -> dict[str, ReadableSpan]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def app() -> Iterator[App]:
    """An app whose provider has the processor."""
    provider = TracerProvider()
    app = App(provider)
    provider.add_span_processor(SimpleSpanProcessor(app.exporter))
    assert ecomind.attach(provider)
    yield app
    provider.shutdown()


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> list[CallKey]:
    """Simple coefficients for every call; the keys that were resolved, in order."""
    resolved: list[CallKey] = []

    def coefficients(key: CallKey) -> Coefficients:
        resolved.append(key)
        return COEFFICIENTS

    monkeypatch.setattr(meter, "coefficients", coefficients)
    return resolved


@pytest.fixture(autouse=True)
def swallowed(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """Errors that the SDK swallowed; a test that does not ask for them must cause none."""
    guard.errors.clear()
    guard._said.clear()
    yield guard.errors
    asked = request.function.__code__.co_varnames[: request.function.__code__.co_argcount]
    assert "swallowed" in asked or not guard.errors

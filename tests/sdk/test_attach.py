"""Attaching: to a provider that exists, once, and never by replacing one."""

from __future__ import annotations

import tomllib
from collections import Counter
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider

import ecomind
from ecomind import processor, provider

if TYPE_CHECKING:
    from .conftest import App

ROOT = Path(__file__).resolve().parents[2]


def processors(of: TracerProvider) -> list[object]:
    return [
        one
        for one in of._active_span_processor._span_processors
        if isinstance(one, processor.EcomindSpanProcessor)
    ]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process where nothing is attached yet."""
    monkeypatch.setattr(provider, "_attached", type(provider._attached)())


def test_a_provider_gets_one_processor(app: App) -> None:
    assert ecomind.attach(app.provider)
    assert len(processors(app.provider)) == 1


def test_without_a_provider_it_says_once_what_to_do(
    alone: None, caplog: pytest.LogCaptureFixture
) -> None:
    before = trace.get_tracer_provider()
    assert ecomind.attach(trace.NoOpTracerProvider()) is False
    with ecomind.track() as fp:
        assert fp.calls == 0
    assert trace.get_tracer_provider() is before
    (record,) = caplog.records
    assert "set_tracer_provider before ecomind.attach()" in record.getMessage()


def test_the_first_block_attaches_to_the_global_provider(
    alone: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_the_app = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: of_the_app)
    with ecomind.track():
        assert len(processors(of_the_app)) == 1


def test_post_instrument_attaches_and_survives_a_broken_provider(
    alone: None, monkeypatch: pytest.MonkeyPatch, swallowed: Counter[str]
) -> None:
    class Broken(trace.NoOpTracerProvider):
        def add_span_processor(self, _: object) -> None:
            raise RuntimeError("frozen")

    monkeypatch.setattr(trace, "get_tracer_provider", Broken)
    provider.post_instrument()
    assert swallowed == {"_attach": 1}


@pytest.mark.parametrize("hook", ["on_start", "on_end"])
def test_no_hook_lets_an_error_out(
    app: App, monkeypatch: pytest.MonkeyPatch, swallowed: Counter[str], hook: str
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("fault")

    monkeypatch.setattr(processor, {"on_start": "is_genai", "on_end": "read_note"}[hook], broken)
    with ecomind.track(team="search"), app.tracer().start_as_current_span("chat"):
        pass
    assert swallowed == {f"EcomindSpanProcessor.{hook}": 1}
    assert list(app.exported()) == ["chat"]


def test_a_span_outside_any_block_costs_nothing(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(span: ReadableSpan | Span) -> None:
        raise AssertionError(span)

    monkeypatch.setattr(processor, "read_note", never)
    app.tracer().start_span("chat", attributes={"gen_ai.request.model": "gpt-4o"}).end()


def test_the_entry_point_names_the_hook() -> None:
    project = tomllib.loads((ROOT / "sdks/python/pyproject.toml").read_text("utf-8"))["project"]
    group = "opentelemetry_post_instrument"
    value = project["entry-points"][group]["ecomind"]
    assert EntryPoint("ecomind", value, group).load() is provider.post_instrument

"""The real OpenAI client under the official instrumentation, with a fake provider on loopback."""

from __future__ import annotations

import datetime
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import openai
import pytest
from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
from opentelemetry.util.types import AttributeValue

import ecomind
from ecomind_processor.resolution import CallKey
from ecomind_semconv.units import seconds_to_ns

if TYPE_CHECKING:
    from .conftest import App

USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 300,
    "total_tokens": 1300,
    "prompt_tokens_details": {"cached_tokens": 200},
}
BASE: dict[str, Any] = {"id": "chatcmpl-1", "created": 1_795_000_000, "model": "gpt-4o-2024-08-06"}


class Provider(BaseHTTPRequestHandler):
    """Answers a chat with a completion, or with the chunks of one and its usage in the last."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        streamed = bool(asked.get("stream"))
        body = (stream() if streamed else completion()).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream" if streamed else "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


def completion() -> str:
    message = {"role": "assistant", "content": "Hi"}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    return json.dumps({**BASE, "object": "chat.completion", "choices": [choice], "usage": USAGE})


def stream() -> str:
    chunk = {**BASE, "object": "chat.completion.chunk"}
    delta = {"index": 0, "finish_reason": "stop", "delta": {"role": "assistant", "content": "Hi"}}
    events = [{**chunk, "choices": [delta]}, {**chunk, "choices": [], "usage": USAGE}]
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"


@pytest.fixture
def client(app: App) -> Iterator[openai.OpenAI]:
    """An instrumented client of the fake provider."""
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=app.provider)
    with HTTPServer(("127.0.0.1", 0), Provider) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        with openai.OpenAI(api_key="test", base_url=url) as client:
            yield client
        server.shutdown()
        thread.join()
    instrumentor.uninstrument()


@pytest.mark.parametrize("streamed", [False, True])
def test_a_chat_is_stamped_and_counted(
    app: App, keys: list[CallKey], client: openai.OpenAI, streamed: bool
) -> None:
    asked: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
    with ecomind.track(team="search", user="u-17", region="USA") as fp:
        reply: Any = client.chat.completions.create(
            model="gpt-4o",
            messages=[{"role": "user", "content": "Hello"}],
            **(asked if streamed else {}),
        )
        if streamed:
            assert len(list(reply)) == 2

    (span,) = app.exporter.get_finished_spans()
    attributes = span.attributes or {}
    assert (attributes["ecomind.team"], attributes["user.id"]) == ("search", "u-17")
    # As in test_track: (800 × 0.001 + 200 × 0.0001 + 300 × 0.01) Wh × PUE 1.2
    assert fp.energy_wh.mid == pytest.approx(4.584)
    assert fp.calls == 1
    (key,) = set(keys)
    assert key[:4] == ("openai", "gpt-4o", "gpt-4o-2024-08-06", "USA")


def test_the_factor_set_that_ships_gives_the_published_example(app: App) -> None:
    """Worked in docs/methodology.md: gpt-4o in the USA, 1,000 tokens in, 300 out."""
    started = datetime.datetime(2026, 6, 1, tzinfo=datetime.UTC)
    attributes: dict[str, AttributeValue] = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 300,
    }
    with ecomind.track(region="USA") as fp:
        start_ns = seconds_to_ns(started.timestamp())
        app.tracer().start_span("chat", attributes=attributes, start_time=start_ns).end()
    assert fp.energy_wh == pytest.approx((0.2710, 0.8129, 2.4388), abs=5e-5)

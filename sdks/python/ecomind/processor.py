"""The span processor: stamps who a GenAI span belongs to, and hands finished calls to their tally.

A span that has ended takes no more attributes, so stamping happens at its start, when not every
instrumentation has said yet that the span is one of GenAI; `is_genai` decides by what is known
then. At the end the tally is found by the span's id, since a stream may end in another context.
"""

from __future__ import annotations

from functools import lru_cache

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from ecomind.guard import quiet
from ecomind.note import read_note
from ecomind.tally import Tally, current_tally

OPEN_SPANS_MAX = 10_000
"""Spans followed at a time; beyond it the oldest, which likely never end, are let go."""

KEY_PREFIXES = ("gen_ai.", "llm.", "openinference.", "traceloop.", "langsmith.")
"""An attribute that starts with one of these makes a span one of GenAI."""

SCOPE_WORDS = (
    "genai", "gen_ai", "openai", "anthropic", "bedrock", "cohere", "groq", "mistral", "ollama",
    "vertexai", "openinference", "openlit", "litellm", "langchain", "langsmith", "llama",
    "pydantic-ai",
)  # fmt: skip
"""So does one of these words in the name of its instrumentation."""


class EcomindSpanProcessor(SpanProcessor):
    """Adds to spans started inside `ecomind.track()` and reads them when they end. Never raises."""

    def __init__(self) -> None:
        self._open: dict[int, Tally] = {}

    @quiet
    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Stamp the span with the innermost tally's attributes and remember where it belongs."""
        tally = current_tally(parent_context)
        if tally is None:
            return
        if len(self._open) >= OPEN_SPANS_MAX:
            self._open.pop(next(iter(self._open)), None)
        self._open[span.context.span_id] = tally
        if tally.attributes and is_genai(span):
            given = set(span.attributes or ())
            for key, value in tally.attributes.items():
                if key not in given:
                    span.set_attribute(key, value)

    @quiet
    def on_end(self, span: ReadableSpan) -> None:
        """Add the call that the span describes, if it does, to its tally and those around it."""
        if not self._open or span.context is None:
            return
        tally = self._open.pop(span.context.span_id, None)
        if tally is not None and (note := read_note(span)) is not None:
            tally.add(note)


def is_genai(span: ReadableSpan) -> bool:
    """Whether a span that has just started is one of GenAI."""
    scope = span.instrumentation_scope
    if scope is not None and _is_genai_scope(scope.name):
        return True
    return any(key.startswith(KEY_PREFIXES) for key in span.attributes or ())


@lru_cache(maxsize=1024)
def _is_genai_scope(name: str) -> bool:
    lower = name.lower()
    return any(word in lower for word in SCOPE_WORDS)

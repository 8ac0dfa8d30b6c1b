"""The workload of every benchmark: what the spans are and what must be stored because of them.

One decision carries it: a span's ids are arithmetic on (seed, index), and everything else is drawn
once from a fixed generator. So the checks need no list of what was sent: from a stored row the
index can be worked out again, and the expected counts are a property of the request's number.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

SPANS = 512
"""Spans in a batch request: what an SDK's batch processor sends by default."""

CONTAINERS = 51
TWINS = 51
"""Of the 512, spans that wrap a call, and second spans of another instrumentation for a call."""

BATCH_TEMPLATES = 6
SINGLE_PERIOD = 256
"""Distinct batch requests, and distinct one-span requests, before the contents repeat."""

TEAMS = ("search", "assist", "report")
"""Requests take turns between them; with three keys, each team is an organisation of its own."""

MODELS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    (
        "openai",
        "api.openai.com",
        (
            "gpt-4o-2024-08-06",
            "gpt-4o-mini-2024-07-18",
            "gpt-4.1-2025-04-14",
            "gpt-4.1-mini-2025-04-14",
            "gpt-4.1-nano-2025-04-14",
            "gpt-5-2025-08-07",
            "gpt-5-mini-2025-08-07",
            "o3-2025-04-16",
            "o4-mini-2025-04-16",
            "gpt-3.5-turbo-0125",
        ),
    ),
    (
        "anthropic",
        "api.anthropic.com",
        (
            "claude-3-5-haiku-20241022",
            "claude-3-5-sonnet-20241022",
            "claude-3-7-sonnet-20250219",
            "claude-sonnet-4-20250514",
            "claude-opus-4-20250514",
        ),
    ),
    (
        "gcp.gemini",
        "generativelanguage.googleapis.com",
        ("gemini-1.5-pro", "gemini-2.0-flash", "gemini-2.5-flash", "gemini-2.5-pro"),
    ),
    (
        "mistral_ai",
        "api.mistral.ai",
        ("mistral-large-2411", "mistral-small-2503", "codestral-2501"),
    ),
    (
        "groq",
        "api.groq.com",
        ("llama-3.1-8b-instant", "llama-3.3-70b-versatile", "gemma2-9b-it"),
    ),
    ("deepseek", "api.deepseek.com", ("deepseek-chat", "deepseek-reasoner")),
    ("cohere", "api.cohere.com", ("command-r-08-2024", "command-a-03-2025")),
    ("x_ai", "api.x.ai", ("grok-3",)),
)
"""Thirty models: (provider, endpoint host, models)."""

_CHOICES = tuple((p, host, model) for p, host, models in MODELS for model in models)
_MASK = (1 << 64) - 1
_SPREAD = 0x9E3779B97F4A7C15  # odd, so multiplying by it is a bijection on 64 bits
_UNSPREAD = pow(_SPREAD, -1, 1 << 64)

MESSAGES = (
    '[{"role":"user","parts":[{"type":"text","content":"' + "Where is my parcel? " * 90 + '"}]}]'
)
"""About 2 kB of conversation, for the workload with content."""


MIXED_EVERY = 10
"""Of mixed requests one in so many carries content."""


class Mode(StrEnum):
    """Requests of 512 spans, of 100, or of one."""

    BATCH = "batch"
    SMALL = "small"
    SINGLE = "single"


class Shape(NamedTuple):
    """What a request holds: all its spans, and of these the containers and the twins."""

    spans: int
    containers: int
    twins: int


SHAPES = {
    Mode.BATCH: Shape(SPANS, CONTAINERS, TWINS),
    Mode.SMALL: Shape(100, 10, 10),
    Mode.SINGLE: Shape(1, 0, 0),
}


class Variant(StrEnum):
    """How a batch travels; each is reported apart."""

    PLAIN = "plain"
    GZIP = "gzip"
    CONTENT = "content"
    MIXED = "mixed"
    JSON = "json"


@dataclass(frozen=True)
class Expected:
    """What a set of requests must leave in the store. Tokens are those of counted calls."""

    spans: int = 0
    containers: int = 0
    twins: int = 0
    calls: int = 0
    input_tokens: int = 0
    cache_read_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0

    def times(self, count: int) -> Expected:
        """The same for `count` such requests."""
        return Expected(*(value * count for value in _values(self)))

    def __add__(self, other: Expected) -> Expected:
        return Expected(*map(sum, zip(_values(self), _values(other), strict=True)))


def _values(expected: Expected) -> tuple[int, ...]:
    return tuple(vars(expected).values())


class Kind(StrEnum):
    """What a span is to the count."""

    CALL = "call"
    CONTAINER = "container"
    TWIN = "twin"


@dataclass(frozen=True)
class Call:
    """The fixed part of one span; tokens as an OpenTelemetry instrumentation states them."""

    kind: Kind
    provider: str
    host: str
    model: str
    input_tokens: int
    cache_read_tokens: int
    output_tokens: int
    reasoning_tokens: int
    duration_us: int
    session: int

    def expected(self) -> Expected:
        """What this span adds to the store."""
        if self.kind is not Kind.CALL:
            return Expected(
                spans=1,
                containers=int(self.kind is Kind.CONTAINER),
                twins=int(self.kind is Kind.TWIN),
            )
        return Expected(
            1,
            0,
            0,
            1,
            self.input_tokens,
            self.cache_read_tokens,
            self.output_tokens,
            self.reasoning_tokens,
        )


def span_id(index: int) -> int:
    """The 64-bit span id of the span at `index`; `index_of` is its inverse."""
    return (index + 1) * _SPREAD & _MASK


def index_of(span: int) -> int:
    """The index of the span with this id, meaningful only for ids made by `span_id`."""
    return (span * _UNSPREAD - 1) & _MASK


def index_sql(column: str) -> str:
    """`index_of` as an expression of the engine over a UInt64 column (its arithmetic wraps)."""
    return f"toUInt64({column} * {_UNSPREAD} - 1)"


def trace_hash_sql(seed: int, index: str) -> str:
    """The stored hash of the trace id of span `index`: 8 bytes of seed, 8 of index, big-endian."""
    high, low = (f"reverse(reinterpretAsFixedString(toUInt64({value})))" for value in (seed, index))
    return f"sipHash64(concat({high}, {low}))"


def batch_calls(template: int, mode: Mode = Mode.BATCH) -> tuple[Call, ...]:
    """The spans of a batch request: calls and containers, then the twins of its first calls.

    A batch of 512 holds 410 calls, 51 containers and 51 twins; a twin repeats its call's tokens,
    so the totals do not depend on which of the two is kept.
    """
    draw, shape = random.Random(template), SHAPES[mode]
    calls = shape.spans - shape.containers - shape.twins
    billable = [_draw(draw, Kind.CALL) for _ in range(calls)]
    wrapping = [_draw(draw, Kind.CONTAINER) for _ in range(shape.containers)]
    twins = [_as_twin(call) for call in billable[: shape.twins]]
    return (*billable, *wrapping, *twins)


def single_calls() -> tuple[Call, ...]:
    """The spans of the one-span requests, in order; the sequence then repeats."""
    draw = random.Random("single")
    return tuple(_draw(draw, Kind.CALL) for _ in range(SINGLE_PERIOD))


def _draw(draw: random.Random, kind: Kind) -> Call:
    provider, host, model = draw.choice(_CHOICES)
    input_tokens = int(draw.lognormvariate(6.5, 1.2)) + 10
    output_tokens = int(draw.lognormvariate(5.5, 0.8)) + 5
    return Call(
        kind,
        provider,
        host,
        model,
        input_tokens,
        cache_read_tokens=input_tokens // 2 if draw.random() < 0.3 else 0,
        output_tokens=output_tokens,
        reasoning_tokens=output_tokens // 3 if draw.random() < 0.3 else 0,
        duration_us=200_000 + output_tokens * draw.randrange(8_000, 20_000),
        session=draw.randrange(1 << 32),
    )


def _as_twin(call: Call) -> Call:
    return Call(**{**vars(call), "kind": Kind.TWIN, "duration_us": call.duration_us - 1_000})


def spans_per_request(mode: Mode) -> int:
    """512, 100 or 1."""
    return SHAPES[mode].spans


def expectations(mode: Mode) -> tuple[Expected, ...]:
    """What request number `n` must leave is item `n % len(…)`."""
    if mode is Mode.SINGLE:
        return tuple(call.expected() for call in single_calls())
    return tuple(
        sum((call.expected() for call in batch_calls(template, mode)), Expected())
        for template in range(BATCH_TEMPLATES)
    )


def expected_of(mode: Mode, sequences: list[int]) -> Expected:
    """What these requests must leave in the store once every twin is found."""
    per_request = expectations(mode)
    counts = [0] * len(per_request)
    for sequence in sequences:
        counts[sequence % len(per_request)] += 1
    return sum((one.times(n) for one, n in zip(per_request, counts, strict=True)), Expected())

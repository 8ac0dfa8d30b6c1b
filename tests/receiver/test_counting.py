"""Which spans are calls of their own: each rule on spans made by hand, values worked out by hand.

A case gives two batches. They are loaded as one segment, and as two that only the reconcile job can
compare; each case is an organisation of its own. What is expected is the same both times unless it
says otherwise: a span without its neighbours knows less.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from support.outcomes import Outcome, outcomes, running
from support.spans import A, B, Event, Item, Span, send

from ecomind_receiver.ingest import JSON
from ecomind_receiver.signals import LOGS, TRACES
from ecomind_receiver.tenants import Tenant

CAPTURES = Path(__file__).parents[1] / "data" / "captures"


@dataclass(frozen=True)
class Case:
    """What is sent, and what comes of it: reason by span id ("" counts), and the sums."""

    first: Sequence[Item]
    second: Sequence[Item]
    reasons: dict[int, str]
    sums: tuple[int, ...]  # calls, then tokens in the order of COUNTS
    apart: dict[int, str] | None = None  # reasons across two segments, where they differ
    columns: dict[str, Any] = field(default_factory=dict)  # of every counted row


ID = "gen_ai.response.id"
READ, REASONING = "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.reasoning.output_tokens"
STREAM = {"gen_ai.request.stream": True}
AGENT = {"gen_ai.operation.name": "invoke_agent"}
LANGCHAIN = "opentelemetry.instrumentation.langchain"
USED_128 = {
    "gen_ai.operation.name": "invoke_workflow",
    "traceloop.entity.output": '{"completion_tokens_details": {"reasoning_tokens": 128}}',
}
AGENTS_SDK = "opentelemetry.instrumentation.genai.openai_agents"


def parallel(scope: str, first_id: int, count: int, inset: float) -> list[Span]:
    """Equal calls at once, 0.1 s after one another; with an inset, inside those without."""
    return [
        Span(first_id + n, scope=scope, start=0.1 * n + inset, seconds=5 - 2 * inset)
        for n in range(count)
    ]


CASES: dict[str, Case] = {
    # One response id is one call; the span that knows most counts.
    "one response id": Case(
        [Span(1, more={ID: "r1"})],
        [Span(2, scope=B, start=0.001, more={ID: "r1"}), Span(3, more={ID: "r2"})],
        {1: "", 2: "duplicate", 3: ""},
        (2, 2400, 690, 0, 0, 0),
    ),
    "one response id, the richer first": Case(
        [Span(1, more={ID: "r1", READ: 1024, REASONING: 128})],
        [Span(2, scope=B, more={ID: "r1"})],
        {1: "", 2: "duplicate"},
        (1, 1200, 345, 1024, 0, 128),
    ),
    "one response id, the richer last": Case(
        [Span(2, scope=B, more={ID: "r1"})],
        [Span(1, more={ID: "r1", READ: 1024, REASONING: 128})],
        {1: "", 2: "duplicate"},
        (1, 1200, 345, 1024, 0, 128),
    ),
    "one response id of two providers": Case(
        [Span(1, more={ID: "r1"})],
        [Span(2, more={ID: "r1", "gen_ai.provider.name": "anthropic"})],
        {1: "", 2: ""},
        (2, 2400, 690, 0, 0, 0),
    ),
    # Without ids: equal tokens, another instrumentation, one inside the other.
    "nested, in one trace": Case(
        [Span(1, trace=7, start=0, seconds=3)],
        [Span(2, trace=7, parent=1, scope=B, start=1, seconds=1)],
        {1: "", 2: "duplicate"},
        (1, 1200, 345, 0, 0, 0),
    ),
    "nested, across traces": Case(
        [Span(1, scope=B, start=0, seconds=3)],
        [Span(2, scope=A, start=1, seconds=1, more={READ: 1024})],
        {1: "duplicate", 2: ""},
        (1, 1200, 345, 1024, 0, 0),
    ),
    "nested, one with an id": Case(
        [Span(1, start=0, seconds=3, more={ID: "r1"})],
        [Span(2, scope=B, start=1, seconds=1)],
        {1: "", 2: "duplicate"},
        (1, 1200, 345, 0, 0, 0),
    ),
    "three at once, seen by two": Case(
        parallel(A, 1, 3, 0),
        parallel(B, 11, 3, 0.04),
        {1: "", 2: "", 3: "", 11: "duplicate", 12: "duplicate", 13: "duplicate"},
        (3, 3600, 1035, 0, 0, 0),
    ),
    "three at once, one of them seen by one only": Case(
        parallel(A, 1, 3, 0),
        parallel(B, 11, 2, 0.04),
        {1: "", 2: "", 3: "", 11: "duplicate", 12: "duplicate"},
        (3, 3600, 1035, 0, 0, 0),
    ),
    "three at once, seen by one": Case(
        parallel(A, 1, 2, 0), parallel(A, 3, 1, 0), {1: "", 2: "", 3: ""}, (3, 3600, 1035, 0, 0, 0)
    ),
    "equal, one after the other": Case(
        [Span(1, start=0)],
        [Span(2, scope=B, start=2)],
        {1: "", 2: ""},
        (2, 2400, 690, 0, 0, 0),
    ),
    "equal, overlapping, neither inside": Case(
        [Span(1, start=0, seconds=2)],
        [Span(2, scope=B, start=1, seconds=2)],
        {1: "", 2: ""},
        (2, 2400, 690, 0, 0, 0),
    ),
    "nested, other tokens": Case(
        [Span(1, seconds=3)],
        [Span(2, scope=B, start=1, tokens=(1200, 346))],
        {1: "", 2: ""},
        (2, 2400, 691, 0, 0, 0),
    ),
    "nested, of two services": Case(
        [Span(1, start=0, seconds=3)],
        [Span(2, scope=B, start=1, service="gateway")],
        {1: "", 2: ""},
        (2, 2400, 690, 0, 0, 0),
    ),
    # A stream that says what it used on a second span.
    "a stream and its usage": Case(
        [Span(1, scope="logfire.openai", start=0, tokens=None, more=STREAM)],
        [Span(2, scope="logfire.openai", start=1.5, seconds=0, more={READ: 1024})],
        {1: "duplicate", 2: ""},
        (1, 1200, 345, 1024, 0, 0),
        columns={"usage_quality": "reported"},
    ),
    "a stream that never said": Case(
        [Span(1, scope="logfire.openai", tokens=None, more=STREAM)],
        [],
        {1: ""},
        (1, 1500, 250, 375, 0, 62),  # the estimates; a quarter of each cached and reasoned
        columns={"usage_quality": "estimated"},
    ),
    # An agent without its calls stands for one; with one it is a container.
    "an agent alone": Case(
        [Span(1, scope=AGENTS_SDK, tokens=None, more=AGENT)],
        [],
        {1: ""},
        (1, 1500, 250, 375, 0, 62),
        columns={"usage_quality": "estimated", "provider": "openai"},
    ),
    "an agent and its call": Case(
        [Span(1, trace=7, scope=AGENTS_SDK, seconds=3, tokens=None, more=AGENT)],
        [Span(2, trace=7, parent=1, start=1)],
        {1: "container", 2: ""},
        (1, 1200, 345, 0, 0, 0),
    ),
    "an agent and its call, which failed": Case(
        [Span(1, trace=7, scope=AGENTS_SDK, seconds=3, tokens=None, more=AGENT)],
        [Span(2, trace=7, parent=1, start=1, tokens=None, failed=True)],
        {1: "container", 2: "error"},
        (0, 0, 0, 0, 0, 0),
    ),
    "an agent of another kind": Case(
        [Span(1, tokens=(2400, 690), more=AGENT)], [], {1: "container"}, (0, 0, 0, 0, 0, 0)
    ),
    # Coding CLIs: where a service sends records, they count and its spans do not.
    "Claude Code": Case(
        [
            Event(
                "com.anthropic.claude_code.events",
                "claude-code",
                2,
                {
                    "event.name": "api_request",
                    "model": "claude-sonnet-4-5-20250929",
                    "input_tokens": 50,
                    "cache_read_tokens": 1000,
                    "cache_creation_tokens": 200,
                    "output_tokens": 345,
                    "duration_ms": 1000,
                },
            )
        ],
        [
            Span(
                1,
                scope="com.anthropic.claude_code.tracing",
                service="claude-code",
                start=1,
                tokens=None,
                without=("gen_ai.operation.name", "gen_ai.provider.name"),
                more={
                    "input_tokens": 50,
                    "output_tokens": 345,
                    "cache_read_tokens": 1000,
                    "cache_creation_tokens": 200,
                },
            ),
            Span(2, service="another"),
        ],
        {0: "", 1: "other_signal", 2: ""},
        (2, 1250 + 1200, 345 + 345, 1000, 200, 0),
    ),
    "Codex": Case(
        [
            Event(
                "codex_exec",
                "codex_exec",
                2,
                {
                    "event.name": "codex.sse_event",
                    "event.kind": "response.completed",
                    "model": "gpt-5",
                    "input_token_count": "1200",
                    "output_token_count": "345",
                    "cached_token_count": 1024,
                    "reasoning_token_count": 128,
                    "tool_token_count": "1545",
                },
            )
        ],
        [Span(1, scope="codex", service="codex_exec", start=1)],
        {0: "", 1: "other_signal"},
        (1, 1200, 345, 1024, 0, 128),
        columns={"signal": "log", "provider": "openai", "request_model": "gpt-5"},
    ),
    "Gemini CLI": Case(
        [
            Event(
                "gemini-cli",
                "gemini-cli",
                2,
                {
                    "event.name": "gemini_cli.api_response",
                    "model": "gemini-2.5-pro",
                    "input_token_count": 1200,
                    "output_token_count": 217,
                    "cached_content_token_count": 1024,
                    "thoughts_token_count": 128,
                    "total_token_count": 1545,
                    "duration_ms": 1000,
                },
            )
        ],
        [Span(1, scope="gemini-cli", service="gemini-cli", start=1, tokens=(1200, 217))],
        {0: "", 1: "other_signal"},
        (1, 1200, 345, 1024, 0, 128),  # 217 candidates + 128 thoughts
        columns={"signal": "log", "provider": "gcp.gemini"},
    ),
    # What failed is no call. Only its parent tells a retry from an error.
    "failed, then not": Case(
        [Span(1, trace=7, parent=9, tokens=None, failed=True)],
        [Span(2, trace=7, parent=9, start=2)],
        {1: "retry", 2: ""},
        (1, 1200, 345, 0, 0, 0),
        apart={1: "error", 2: ""},
    ),
    "failed, nothing after it": Case(
        [Span(1, trace=7, parent=9, start=2, tokens=None, failed=True)],
        [Span(2, trace=7, parent=9, start=0), Span(3, trace=8, parent=9, start=4)],
        {1: "error", 2: "", 3: ""},
        (2, 2400, 690, 0, 0, 0),
    ),
    # The same span again.
    "sent again": Case(
        [Span(1), Span(2, start=2)], [Span(1)], {1: "", 2: ""}, (2, 2400, 690, 0, 0, 0)
    ),
    # Names and counts that stand elsewhere.
    "Codex, usage without a model": Case(
        [Span(1, trace=7, scope="codex", tokens=None, seconds=3, without=("gen_ai.operation.name",),
              more={"gen_ai.operation.name": "invoke_workflow", "gen_ai.request.model": "gpt-5"})],
        [Span(2, trace=7, parent=1, scope="codex", start=1,
              without=("gen_ai.request.model", "gen_ai.response.model"))],
        {1: "container", 2: ""},
        (1, 1200, 345, 0, 0, 0),
        columns={"request_model": "gpt-5"},
    ),
    "OpenLLMetry, a count that only the container holds": Case(
        [Span(1, trace=7, scope=LANGCHAIN, tokens=None, seconds=3, more=USED_128)],
        [Span(2, trace=7, parent=1, scope=LANGCHAIN, start=1)],
        {1: "container", 2: ""},
        (1, 1200, 345, 0, 0, 128),
        columns={"usage_quality": "reported", "usage_states": 0, "reasoning_tokens": 128},
    ),
    "OpenLLMetry, a count that only the container holds, before it": Case(
        [Span(2, trace=7, parent=1, scope=LANGCHAIN, start=1)],
        [Span(1, trace=7, scope=LANGCHAIN, tokens=None, seconds=3, more=USED_128)],
        {1: "container", 2: ""},
        (1, 1200, 345, 0, 0, 128),
        columns={"usage_quality": "reported", "usage_states": 0, "reasoning_tokens": 128},
    ),
    "OpenLLMetry, a count that only the container holds, and the call again": Case(
        [Span(1, trace=7, scope=LANGCHAIN, tokens=None, seconds=3, more=USED_128),
         Span(2, trace=7, parent=1, scope=LANGCHAIN, start=1)],
        [Span(2, trace=7, parent=1, scope=LANGCHAIN, start=1)],
        {1: "container", 2: ""},
        (1, 1200, 345, 0, 0, 128),
        columns={"usage_quality": "reported", "usage_states": 0, "reasoning_tokens": 128},
    ),
    "OpenLLMetry, a count of another trace's container": Case(
        [Span(1, trace=7, scope=LANGCHAIN, tokens=None, seconds=3, more=USED_128)],
        [Span(2, trace=8, parent=1, scope=LANGCHAIN, start=1)],
        {1: "container", 2: ""},
        (1, 1200, 345, 0, 0, 86),
        columns={"usage_quality": "partial", "reasoning_tokens": 86},
    ),
    # Whose of two calls it is nobody knows: a quarter of the output is the estimate of each.
    "OpenLLMetry, a count of two calls": Case(
        [Span(1, trace=7, scope=LANGCHAIN, tokens=None, seconds=3, more=USED_128)],
        [Span(2, trace=7, parent=1, scope=LANGCHAIN, start=1),
         Span(3, trace=7, parent=1, scope=LANGCHAIN, start=2)],
        {1: "container", 2: "", 3: ""},
        (2, 2400, 690, 0, 0, 172),
        columns={"usage_quality": "partial", "reasoning_tokens": 86},
    ),
    "LiteLLM, JSON": Case(
        [Span(1, scope="litellm", more={"metadata.usage_object": json.dumps({
            "prompt_tokens": 1200, "completion_tokens": 345,
            "prompt_tokens_details": {"cached_tokens": 1024},
            "completion_tokens_details": {"reasoning_tokens": 128}})})],
        [],
        {1: ""},
        (1, 1200, 345, 1024, 0, 128),
    ),
    "LiteLLM, the repr of a dict": Case(
        [Span(1, scope="litellm", more={"metadata.usage_object": repr({
            "prompt_tokens": 1200, "completion_tokens": 345,
            "prompt_tokens_details": {"cached_tokens": 1024, "text_tokens": None},
            "completion_tokens_details": {"reasoning_tokens": 128}})})],
        [],
        {1: ""},
        (1, 1200, 345, 1024, 0, 128),
    ),
    # OpenTelemetry's consistent sampling: of 2⁵⁶ thresholds so many are below th.
    **{
        f"sampled, {state or 'no state'}": Case(
            [Span(1, state=state)],
            [],
            {1: ""},
            (1, 1200, 345, 0, 0, 0),
            columns={"adjusted_calls_milli": milli},
        )
        for state, milli in {
            "": 1000,
            "ot=th:0": 1000,
            "ot=th:8": 2000,
            "ot=th:c": 4000,
            "vendor=x,ot=rv:0123456789abcd;th:c": 4000,
            "ot=th:garbage": 1000,
            "ot=th:": 1000,
            "th:8": 1000,
        }.items()
    },
}  # fmt: skip


@pytest.fixture(scope="module", params=["one segment", "two segments"])
def result(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[bool, dict[str, Outcome]]:
    """Whether the batches were apart, and what became of every case."""
    apart = request.param == "two segments"

    async def scenario() -> dict[str, Outcome]:
        async with running(tmp_path_factory.mktemp("counting")) as receiver:
            for name, case in CASES.items():
                await send(receiver, name, case.first)
            if apart:
                await receiver.drain()
            for name, case in CASES.items():
                await send(receiver, name, case.second)
            await receiver.drain()
            segments = receiver.store.query("SELECT uniqExact(segment_id) AS n FROM calls")
            assert segments[0]["n"] == (2 if apart else 1)
            if apart:
                receiver.reconciler.close_windows(time.time() + 2000)
            return outcomes(receiver)

    return apart, asyncio.run(scenario())


@pytest.mark.parametrize("name", CASES)
def test_what_counts(result: tuple[bool, dict[str, Outcome]], name: str) -> None:
    apart, found = result
    case, outcome = CASES[name], found[name]
    assert outcome.reasons == (case.apart if apart and case.apart else case.reasons)
    assert outcome.sums == outcome.rollup == case.sums
    for row in outcome.counted:
        assert {name: row[name] for name in case.columns} == case.columns
    assert outcome.adjusted_milli == sum(row["adjusted_calls_milli"] for row in outcome.counted)


def test_a_session_of_spans_and_records_counts_once(tmp_path: Path) -> None:
    """Real telemetry of Claude Code, both signals: TRUTH.json says 2 calls, 2,500 in, 690 out."""

    async def scenario(apart: bool) -> Outcome:
        async with running(tmp_path / str(apart), retention_days=3650) as receiver:
            for signal in (TRACES, LOGS):
                body = (CAPTURES / f"cli_claude/session.{signal.name}.json").read_bytes()
                await receiver.accept(Tenant("org", "default"), body, JSON, signal=signal)
                if apart:
                    await receiver.drain()
            await receiver.drain()
            receiver.reconciler.settle()
            return outcomes(receiver)["org"]

    for apart in (False, True):
        outcome = asyncio.run(scenario(apart))
        assert outcome.sums == outcome.rollup == (2, 2500, 690, 2000, 400, 0)
        assert {row["signal"] for row in outcome.counted} == {"log"}


def test_every_record_is_a_call_whatever_its_bytes(tmp_path: Path) -> None:
    """Of 4,000 ids made from content 16 of the spans' and 16 of the traces' end in a zero byte."""
    event = CASES["Gemini CLI"].first[0]
    assert isinstance(event, Event)

    async def scenario() -> Outcome:
        async with running(tmp_path) as receiver:
            await send(receiver, "org", [replace(event, at=n / 8) for n in range(4000)])
            await receiver.drain()
            return outcomes(receiver)["org"]

    assert len(asyncio.run(scenario()).counted) == 4000

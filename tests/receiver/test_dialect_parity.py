"""The engine and pure Python read one span the same way, whatever is in it.

Each span has a trace, a service, a time and a response id of its own, so that no rule across spans
can speak: what is left is the reading of the span.
"""

import asyncio
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from support.otlp import request
from support.receiver import make_settings

from ecomind_processor import dialect
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import LOCAL
from ecomind_semconv import dialects, usage

NUMBERS = itertools.count(100_000, 100_000)
MILLISECOND = 1_000_000
COLUMNS = (
    "provider", "request_model", "response_model", "operation", "place", "service_tier",
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
    "measured_energy_mj", "spend_microusd", "usage_states", "usage_quality", "reason", "identified",
)  # fmt: skip
ROWS = f"""
SELECT span_id, response_hash != 0 AS identified, {", ".join(COLUMNS[:-1])}
FROM calls WHERE span_id >= {{first:UInt64}}
"""


class Span(NamedTuple):
    """What a reading depends on."""

    scope: str
    attributes: dict[str, Any]
    failed: bool


class Engine(NamedTuple):
    """A receiver and the loop it lives in."""

    runner: asyncio.Runner
    receiver: Receiver

    def rows(self, spans: list[Span], first: int) -> dict[int, dict[str, Any]]:
        """Load the spans: place in the list → its row of calls, if it made one."""
        body = ExportTraceServiceRequest()
        begin = time.time_ns() - 3_600_000 * MILLISECOND
        for number, span in enumerate(spans, start=first):
            start_ns = begin + 2 * (number % 100_000) * MILLISECOND
            times = {"start_ns": start_ns, "end_ns": start_ns + MILLISECOND}
            one = {**span.attributes, **times, "status": 2 if span.failed else 0}
            name = {"service.name": f"service-{number}"}
            body.MergeFrom(request([one], resource=name, scope=span.scope, first_id=number))

        async def load() -> None:
            await self.receiver.accept(LOCAL, body.SerializeToString(), PROTOBUF)
            await self.receiver.drain()

        self.runner.run(load())
        rows = self.receiver.store.query(ROWS, {"first": first})
        return {row.pop("span_id") - first: row for row in rows}


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    directory = tmp_path_factory.mktemp("dialect")
    quick = make_settings(directory, spool_segment_max_seconds=0.01, names_per_day_max=1_000_000)
    with asyncio.Runner() as runner:
        receiver = Receiver(quick, listeners=False)
        runner.run(receiver.start())
        yield Engine(runner, receiver)
        runner.run(receiver.stop())


TABLES: tuple[tuple[Any, ...], ...] = (
    usage.EXCLUSIVE_INPUT, usage.EXCLUSIVE_OUTPUT, usage.REWRITTEN_IDS, usage.UNREPORTED,
    usage.INEXACT_OUTPUT, usage.STAND_INS, usage.USAGE_ON_ITS_OWN_SPAN,
)  # fmt: skip
FACTS = [fact for table in TABLES for fact in table]
SEEN = [
    "", "ai", "com.anthropic.sdk.python", "langsmith", "my-app", "gen_ai",
    "openinference.instrumentation.openai", "opentelemetry.instrumentation.google_genai",
    "opentelemetry.instrumentation.openai.v1", "com.anthropic.claude_code.tracing",
    "opentelemetry.instrumentation.botocore.bedrock-runtime", "opentelemetry", "Gemini",
    "x" * 200,
]  # fmt: skip
scopes = st.sampled_from(SEEN)
numbers = st.one_of(
    st.integers(0, 5000),
    st.sampled_from([0, -1, dialects.MAX_TOKENS, dialects.MAX_TOKENS + 1, 2**63 - 1, -(2**63)]),
)
doubles = st.one_of(
    st.integers(0, 5000).map(float),
    st.floats(0, 1e4),
    st.sampled_from([-0.0, 0.0005, 0.0015, 1.5, 1e12, 1.1e12, 2.0**63, 1e300]),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
)
texts = st.one_of(
    st.integers(0, 5000).map(str),
    st.sampled_from([
        "", " ", "12 ", "+7", "-7", "-0", "007", "1_000", "１２", "12.0", "12.5", ".5", "5.", "1e3",
        "1e400", "nan", "inf", "0x10", "--5", "9223372036854775808", "99999999999999999999",
        "true", "TRUE", "false", "é" * 200, "a\0b", "x\ny", "😀" * 130,
    ]),
    st.text(st.characters(codec="utf-8"), max_size=20),
)  # fmt: skip
hostile = st.one_of(numbers, doubles, texts, st.booleans(), st.none())


def most(usual: list[Any], *others: Any) -> st.SearchStrategy[Any]:
    """The usual values half of the time."""
    return st.sampled_from(usual) | st.sampled_from([*others])


HOSTS = [
    *(f"x.{host}" for host in dialects.HOST_PROVIDERS),
    "API.openai.com:443/v1", "localhost", "", "api.x.ai\n", "api.x.ai/\n",
]  # fmt: skip
names: dict[str, st.SearchStrategy[Any]] = {
    "provider": most(
        ["openai", "anthropic", "aws.bedrock", "gcp.gemini"],
        *dialects.PROVIDERS,
        "OpenAI",
        "GCP.Gemini",
        "x" * 200,
        "İ",
    ),
    "request_model": st.sampled_from(["gpt-4o", "claude-sonnet-4-5", "x" * 200]),
    "response_model": st.sampled_from(["gpt-4o-2024-08-06", "é" * 129]),
    "operation": most(
        ["chat", "LLM", "embeddings", "invoke_agent"],
        *dialects.OPERATIONS,
        *dialects.CONTAINERS,
        "Invoke_Agent",
        "unheard_of",
    ),
    "stream": st.sampled_from([True, False, "true", "True", "false", 1]),
    "measured_energy": st.one_of(doubles, numbers, st.sampled_from(["12.5", "1e3"])),
    "spend_usd": st.one_of(doubles, numbers, st.sampled_from(["12.5", "1e3", 1e9, 1e-7, 1.1e9])),
    "region": st.sampled_from(["eu-west-3", "x" * 200]),
    "host": st.tuples(st.sampled_from(["", "https://", "HTTP://"]), st.sampled_from(HOSTS)).map(
        "".join
    ),
    "service_tier": st.sampled_from(["batch", "default"]),
    "error": st.sampled_from(["timeout", "", 500]),
}
MANY = 10**9  # the pattern reads no more than nine digits
in_blob = st.one_of(
    st.integers(0, 5000), st.integers(MANY, 10 * MANY), st.just(dialects.MAX_TOKENS)
)
count_names = st.sampled_from([name for names in dialects.BLOB_COUNTS.values() for name in names])
blobs = st.dictionaries(count_names, in_blob, max_size=4).flatmap(
    lambda counts: st.sampled_from(
        [json.dumps({"usage": counts}), repr(counts), str(counts).replace(": ", "\n:\t"), "{", ""]
    )
)
USUAL = {f"{count}_tokens": st.integers(0, 5000) for count in usage.COUNTS}
RARE = ("measured_energy", "spend_usd", "error")  # they leave little to read
FIELDS = {**names, **USUAL, "usage_blob": blobs}


COUNTS = [dialects.FIELDS[f"{count}_tokens"][0] for count in usage.COUNTS]
SETS = [counts for n in range(len(COUNTS) + 1) for counts in itertools.combinations(COUNTS, n)]


@st.composite
def spans(draw: st.DrawFn) -> Span:
    attributes: dict[str, Any] = {}
    fact, holds = draw(st.sampled_from(FACTS)), draw(st.booleans())
    scope = draw(st.sampled_from([fact.scope, f"{fact.scope}.v1"]) if holds else scopes)
    for field, usual in FIELDS.items():
        keys = dialects.FIELDS[field]
        absent = [""] * (25 if field in RARE else 3)
        there = draw(st.sampled_from([*absent, "first", "any", "any", "two", "hostile"]))
        if there:
            key = keys[0] if there == "first" else draw(st.sampled_from(keys))
            attributes[key] = draw(hostile if there == "hostile" else usual)
        if there == "two":
            attributes[draw(st.sampled_from(keys))] = draw(usual | hostile)
    if holds:
        attributes["gen_ai.provider.name"] = getattr(fact, "provider", "")
    return Span(scope, attributes, draw(st.sampled_from([False, False, True])))


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(spans(), min_size=10, max_size=40))
def test_the_engine_reads_what_python_reads(engine: Engine, given_spans: list[Span]) -> None:
    same_readings(engine, given_spans)


def test_the_engine_reads_every_fact_as_python_does(engine: Engine) -> None:
    """Each fact × each set of counts, streamed or not, zero or not."""
    given_spans = [
        Span(
            fact.scope,
            {
                "gen_ai.provider.name": getattr(fact, "provider", ""),
                "gen_ai.operation.name": operation,
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.request.stream": stream,
                **dict.fromkeys(counts, each),
            },
            failed=False,
        )
        for fact in FACTS
        for operation in ("chat", "embeddings", "invoke_agent")
        for stream in (False, True)
        for counts in SETS
        for each in (0, 600)
    ]
    same_readings(engine, given_spans)


def same_readings(engine: Engine, given_spans: list[Span]) -> None:
    first = next(NUMBERS)
    for number, span in enumerate(given_spans, start=first):
        for key in dialects.FIELDS["response_id"][: number % 4]:  # one in four has none
            span.attributes[key] = f"response-{number}"
    rows = engine.rows(given_spans, first)
    for number, span in enumerate(given_spans):
        reading = dialect.read(span.scope, span.attributes, failed=span.failed)
        assert rows.get(number) == (row_of(reading) if reading.genai else None), span


def row_of(reading: dialect.Reading) -> dict[str, Any]:
    """The columns of calls that a reading decides."""
    flat = {**reading._asdict(), **reading.counts._asdict()}
    flat |= {"usage_states": reading.states, "identified": int(reading.response_id != "")}
    return {column: flat[column] for column in COLUMNS}

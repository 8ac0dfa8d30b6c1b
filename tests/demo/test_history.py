"""The month: exact where the table is exact, and of the shape that the table says."""

from __future__ import annotations

import random
import statistics
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from ecomind_query.demo.history import Batch, batches
from ecomind_query.demo.workloads import Kind, Rhythm, Workload, load

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
NS = 10**9
DAY_NS = 86_400 * NS
NOW_NS = int(NOW.timestamp()) * NS
USAGE = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}

Row = tuple[str, Span, dict[str, str | int]]


def decoded(month: list[Batch]) -> Iterator[Row]:
    """Every span with its service and its attributes."""
    for batch in month:
        request = ExportTraceServiceRequest.FromString(batch.body)
        for resource_spans in request.resource_spans:
            resource = {a.key: a.value.string_value for a in resource_spans.resource.attributes}
            for span in resource_spans.scope_spans[0].spans:
                attributes = {
                    a.key: a.value.string_value or a.value.int_value for a in span.attributes
                }
                yield resource["service.name"], span, attributes


def workload(
    hours: tuple[float, ...] = (1,) * 24, weekend: float = 1, growth: float = 1
) -> Workload:
    kind = Kind(
        share=1, provider="openai", model="gpt-4o", host="api.openai.com", input=1, seconds=1
    )
    return Workload(
        service="s",
        team="t",
        environment="e",
        rhythm=Rhythm(hours, weekend),
        requests_per_day=500,
        growth=growth,
        error_rate=0,
        users=0,
        calls=(kind,),
    )


def times_in_days(table: Workload, days: int, start: datetime = NOW) -> list[float]:
    """Request times in days from the start, over `days` days."""
    start_ns = int(start.timestamp()) * NS
    times = table.request_times_ns(start_ns, start_ns + days * DAY_NS, days, random.Random(1))
    return [(time_ns - start_ns) / DAY_NS for time_ns in times]


@pytest.fixture(scope="module")
def month() -> list[Batch]:
    return list(batches(NOW_NS))


@pytest.fixture(scope="module")
def rows(month: list[Batch]) -> list[Row]:
    return list(decoded(month))


def test_the_table_adds_up(month: list[Batch]) -> None:
    """620 + 460 + 90 + 170 + 100 + 240 = 1,680 requests a day, exactly 50,400 in 30 days."""
    total = sum((Counter(batch.ledger) for batch in month), Counter[str]())
    assert total["requests"] == 50_400
    # On average 1,680 + 460 × 3/9 × 2 + 100 × 7/10 × 5 = 2,336.7 calls a day, 70,100 in all.
    assert total["calls"] + total["errors"] == pytest.approx(70_100, rel=0.01)
    # Agents: 460 × 3/9 + 100 × 7/10 = 223.3 a day, 6,700 in all.
    assert total["wrapper_spans"] == pytest.approx(6_700, rel=0.03)
    # Streams without usage: 170 × 2/10 × 0.98 = 33.3 a day, 1,000 in all.
    assert total["calls_without_usage"] == pytest.approx(1_000, rel=0.1)


def test_ledgers_are_what_the_spans_say(month: list[Batch]) -> None:
    for batch in month:
        seen: Counter[str] = Counter()
        spans = 0
        for _, span, attributes in decoded([batch]):
            spans += 1
            if attributes["gen_ai.operation.name"] == "invoke_agent":
                seen["wrapper_spans"] += 1
            elif span.status.code == Status.STATUS_CODE_ERROR:
                assert "error.type" in attributes and USAGE["input_tokens"] not in attributes
                seen["errors"] += 1
            else:
                seen["calls"] += 1
                seen["calls_without_usage"] += USAGE["input_tokens"] not in attributes
                for name, key in USAGE.items():
                    seen[name] += int(attributes.get(key, 0))
        assert spans <= 512
        assert +seen == Counter(batch.ledger) - Counter(requests=batch.ledger["requests"])


def test_totals_depend_on_the_seed_alone_and_ids_on_the_time_too(month: list[Batch]) -> None:
    head = 20
    again = list(islice(batches(NOW_NS), head))
    assert again == month[:head]
    later = list(islice(batches(NOW_NS + 5 * DAY_NS), head))
    assert [batch.ledger for batch in later] == [batch.ledger for batch in month[:head]]
    ids = {span.span_id for _, span, _ in decoded(month[:head])}
    assert ids.isdisjoint(span.span_id for _, span, _ in decoded(later))
    other = next(batches(NOW_NS, seed="another"))
    assert other.ledger != month[0].ledger


def test_times_lie_in_the_month_and_before_now(rows: list[Row]) -> None:
    assert min(span.start_time_unix_nano for _, span, _ in rows) >= NOW_NS - 30 * DAY_NS
    assert max(span.end_time_unix_nano for _, span, _ in rows) <= NOW_NS
    assert all(span.end_time_unix_nano > span.start_time_unix_nano for _, span, _ in rows)


def test_ids_are_unique(rows: list[Row]) -> None:
    assert len({span.span_id for _, span, _ in rows}) == len(rows)
    responses = [a["gen_ai.response.id"] for _, _, a in rows if "gen_ai.response.id" in a]
    assert len(set(responses)) == len(responses) > 50_000


def test_an_agent_wraps_its_calls_and_repeats_their_usage(rows: list[Row]) -> None:
    children: dict[bytes, list[Row]] = {}
    for row in rows:
        if row[1].parent_span_id:
            children.setdefault(row[1].parent_span_id, []).append(row)
    agents = [row for row in rows if row[2]["gen_ai.operation.name"] == "invoke_agent"]
    assert len(children) == len(agents)
    for service, span, attributes in agents:
        inside = children[span.span_id]
        assert len(inside) == {"support-assistant": 3, "code-assistant": 6}[service]
        assert {child.trace_id for _, child, _ in inside} == {span.trace_id}
        key = USAGE["input_tokens"]
        assert attributes.get(key, 0) == sum(int(a.get(key, 0)) for _, _, a in inside)


def test_usage_is_consistent_and_centred_on_the_table(rows: list[Row]) -> None:
    for _, _, attributes in rows:
        usage = {name: int(attributes.get(key, 0)) for name, key in USAGE.items()}
        cached = usage["cache_read_tokens"] + usage["cache_write_tokens"]
        assert cached <= usage["input_tokens"]
        assert usage["reasoning_tokens"] <= usage["output_tokens"]
    gpt_4o = [a for _, _, a in rows if a.get("gen_ai.request.model") == "gpt-4o"]
    inputs = [int(a[USAGE["input_tokens"]]) for a in gpt_4o if USAGE["input_tokens"] in a]
    assert statistics.median(inputs) == pytest.approx(2600, rel=0.03)


def test_many_models_of_several_providers(rows: list[Row]) -> None:
    calls = [a for _, _, a in rows if "gen_ai.request.model" in a]
    assert {a["gen_ai.provider.name"] for a in calls} == {
        "anthropic", "aws.bedrock", "gcp.gemini", "gcp.vertex_ai", "mistral_ai", "openai",
    }  # fmt: skip
    assert len({a["gen_ai.request.model"] for a in calls}) == 15
    regions = {a["ecomind.inference.region"] for a in calls if "ecomind.inference.region" in a}
    assert regions == {"europe-west4", "eu-central-1", "us-east-1"}


def test_weekends_are_as_quiet_as_the_rhythm_says() -> None:
    """A week at weekend 0.12: 5 / (5 + 2 × 0.12) = 95.4 % of the requests fall on weekdays."""
    monday = datetime(2026, 11, 16, tzinfo=UTC)
    times = times_in_days(workload(weekend=0.12), 7, monday)
    assert len(times) == 3500
    assert sum(time < 5 for time in times) / 3500 == pytest.approx(5 / 5.24, abs=0.015)


def test_growth_doubles_the_level() -> None:
    """Level 1 → 2: the second half holds 0.5 × (1.5 + 2) / 2 = 0.875 of 1.5, which is 7/12."""
    times = times_in_days(workload(growth=2), 28)
    assert sum(time >= 14 for time in times) / len(times) == pytest.approx(7 / 12, abs=0.015)


def test_hours_follow_the_rhythm() -> None:
    """Twelve quiet hours at 1 and twelve busy ones at 3: a quarter before noon."""
    midnight = NOW - timedelta(hours=12)
    times = times_in_days(workload(hours=(1,) * 12 + (3,) * 12), 10, midnight)
    assert sum(time % 1 < 0.5 for time in times) / len(times) == pytest.approx(0.25, abs=0.02)
    assert times == sorted(times)


def test_the_table_is_complete() -> None:
    for row in load():
        assert len(row.rhythm.hours) == 24
        assert all(0 < kind.cached + kind.written < 1 or not kind.cached for kind in row.calls)
    with pytest.raises(TypeError, match="unknown"):
        Kind(share=1, provider="", model="", host="", input=1, seconds=1, unknown=1)  # type: ignore

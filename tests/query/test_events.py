"""One JSON event: its id, its span, what is refused."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ecomind_processor.factors import FactorSet
from ecomind_query.errors import BadParameter
from ecomind_query.event import check, claims, identify, to_otlp
from ecomind_query.once import Once
from ecomind_query.shapes import Event
from ecomind_query.siphash import siphash64
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL, Tenant

ORG_A = Tenant("org_a", "p")

NOW = datetime(2026, 11, 18, 14, 32, 7, 250_001, tzinfo=UTC)
CURL: dict[str, Any] = {
    "org_id": "org_demo",
    "user_id": "user_alice",
    "provider": "openai",
    "model": "gpt-4o",
    "tokens_in": 100,
    "tokens_out": 50,
    "region": "US-CAISO",
}


def event(**given: Any) -> Event:
    return Event(**(CURL | given))


@settings(max_examples=40, deadline=None)
@given(message=st.binary(max_size=40))
def test_siphash_is_the_engines(store: Store, message: bytes) -> None:
    (row,) = store.query("SELECT sipHash64(unhex({hex:String})) AS hash", {"hex": message.hex()})
    assert siphash64(message) == row["hash"]


def test_siphash_of_a_trace_id_as_the_engine_stores_it(store: Store) -> None:
    trace_id = bytes.fromhex("00112233445566778899aabbccddeeff")
    text = "SELECT sipHash64(toFixedString(unhex({hex:String}), 16)) AS hash"
    assert siphash64(trace_id) == store.query(text, {"hex": trace_id.hex()})[0]["hash"]


def test_ids_follow_the_event_and_the_callers_organisation() -> None:
    first = identify(event(event_id="e1"), ORG_A)
    assert first == identify(event(event_id="e1", tokens_in=7), ORG_A)
    assert first == identify(event(event_id="e1", org_id="org_b", project="p"), ORG_A)
    assert first != identify(event(event_id="e2"), ORG_A)
    assert first != identify(event(event_id="e1"), Tenant("org_b", "p"))
    assert first != identify(event(event_id="e1"), Tenant("org_a", "q"))
    assert identify(event(), ORG_A) != identify(event(), ORG_A)


@pytest.mark.parametrize(
    ("given", "ignored"),
    [
        ({}, []),
        ({"org_id": None, "project": ""}, []),
        ({"org_id": " org_demo ", "project": "default"}, []),
        ({"org_id": "org_b"}, ["org_id"]),
        ({"project": "other"}, ["project"]),
        ({"org_id": "ORG_DEMO", "project": "Default"}, ["org_id", "project"]),
    ],
)
def test_what_names_another_tenant_is_told_and_decides_nothing(
    given: dict[str, Any], ignored: list[str]
) -> None:
    named = event(event_id="e1", **given)
    assert claims(named, LOCAL) == ignored
    check(named, FactorSet.load(), now=NOW, retention_days=90)
    plain = event(event_id="e1")
    ours = identify(named, LOCAL)
    assert ours == identify(plain, LOCAL)
    assert to_otlp(named, ours, NOW) == to_otlp(plain, ours, NOW)


def test_an_event_needs_no_organisation() -> None:
    assert Event(**{name: value for name, value in CURL.items() if name != "org_id"}).org_id is None


def test_the_span_in_full() -> None:
    given = event(
        event_id="e1",
        timestamp="2026-11-18T15:00:00.000123+01:00",
        duration_ms=1500,
        team="checkout",
        service="assistant",
        environment="production",
        cache_read_tokens=40,
        cache_write_tokens=10,
        reasoning_tokens=5,
    )
    request = ExportTraceServiceRequest.FromString(to_otlp(given, identify(given, ORG_A), NOW))
    resource_spans = request.resource_spans[0]
    (span,) = resource_spans.scope_spans[0].spans
    assert {a.key: a.value.string_value for a in resource_spans.resource.attributes} == {
        "service.name": "assistant",
        "deployment.environment.name": "production",
    }
    values = {a.key: a.value.string_value or a.value.int_value for a in span.attributes}
    assert values == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_write.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "ecomind.inference.region": "US-CAISO",
        "ecomind.team": "checkout",
        "user.id": "user_alice",
    }
    start = datetime(2026, 11, 18, 14, tzinfo=UTC)
    assert span.start_time_unix_nano == int(start.timestamp()) * 10**9 + 123_000
    assert span.end_time_unix_nano - span.start_time_unix_nano == 1_500_000_000
    assert (len(span.trace_id), len(span.span_id)) == (16, 8)


@pytest.mark.parametrize("region", ["US-CAISO", "us-east-1", "europe-west9", "FR", "FRA", "eastus"])
def test_regions_of_every_kind(region: str) -> None:
    check(event(region=region), FactorSet.load(), now=NOW, retention_days=90)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"region": "nowhere"}, "region: 'nowhere' is not known. Use a grid zone"),
        ({"region": "api.openai.com"}, "is not known"),
        ({"timestamp": NOW - timedelta(days=90)}, "within the last 90 days"),
        ({"timestamp": NOW + timedelta(days=1)}, "not more than a day ahead"),
    ],
)
def test_refused(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(BadParameter) as refused:
        check(event(**given), FactorSet.load(), now=NOW, retention_days=90)
    assert sentence in str(refused.value)


def test_a_repeat_waits_for_the_first_copy_and_is_not_written() -> None:
    async def scenario() -> tuple[list[bool], int]:
        once, gate, writes = Once(), asyncio.Event(), 0

        async def write() -> None:
            nonlocal writes
            writes += 1
            await gate.wait()

        tasks = [asyncio.create_task(once.write("e1", write)) for _ in range(5)]
        await asyncio.sleep(0)
        gate.set()
        return list(await asyncio.gather(*tasks)), writes

    assert asyncio.run(scenario()) == ([False, True, True, True, True], 1)


def test_after_a_failed_write_the_next_copy_is_written() -> None:
    async def scenario() -> list[object]:
        once, outcomes = Once(), iter([OSError("disk full"), None])

        async def write() -> None:
            await asyncio.sleep(0)
            if error := next(outcomes):
                raise error

        copies = (once.write("e1", write), once.write("e1", write))
        return list(await asyncio.gather(*copies, return_exceptions=True))

    failed, written = asyncio.run(scenario())
    assert isinstance(failed, OSError)
    assert written is False


def test_only_the_newest_are_remembered() -> None:
    async def scenario() -> list[bool]:
        once = Once(kept=2)

        async def write() -> None:
            return

        return [await once.write(key, write) for key in ("a", "b", "c", "b", "a")]

    assert asyncio.run(scenario()) == [False, False, False, True, False]

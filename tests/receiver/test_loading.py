"""From a request to rows: what a span becomes, and that nothing is stored twice or lost."""

import asyncio
import time
from typing import Any

import pytest
from support.otlp import CHAT, json_request, protobuf
from support.receiver import Running, calls, load

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.refusals import RequestRefused
from ecomind_receiver.server import Receiver
from ecomind_receiver.telemetry import prometheus_text
from ecomind_receiver.tenants import LOCAL

HOUR_NS = 3_600 * 1_000_000_000


def totals(receiver: Receiver) -> dict[str, Any]:
    return receiver.store.query(
        "SELECT toInt64(sum(calls)) AS calls, toInt64(sum(input_tokens)) AS input,"
        " toInt64(sum(output_tokens)) AS output FROM usage_hourly"
    )[0]


def test_a_chat_span_becomes_one_counted_call(running: Running) -> None:
    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        async with running() as receiver:
            body = protobuf([CHAT | {"user.id": "alice"}], resource={
                "service.name": "shop", "service.namespace": "retail",
                "deployment.environment.name": "prod"})  # fmt: skip
            await load(receiver, body)
            return calls(receiver)[0], totals(receiver)

    row, total = asyncio.run(scenario())
    expected = {
        "org_id": "org_demo", "project_id": "default", "team": "retail", "service": "shop",
        "environment": "prod", "provider": "openai", "request_model": "gpt-4o",
        "response_model": "gpt-4o-2024-08-06", "place": "api.openai.com", "operation": "chat",
        "duration_us": 1_500_000, "span_id": 1, "input_tokens": 1000, "output_tokens": 300,
        "usage_quality": "reported", "counted": 1, "reason": "", "sign": 1,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["user_hash"] != 0
    assert total == {"calls": 1, "input": 1000, "output": 300}
    # docs/methodology.md, worked example: gpt-4o, 1,000 in, 300 out, PUE 1.20: 0.8129 Wh
    assert row["energy_wh"] == pytest.approx(0.8129, abs=5e-5)


GUESSED = {"input_tokens": 1500, "usage_quality": "estimated", "usage_states": 0b00_10_10_00_10}
"""Input as judged for a call that reports none, and its caches, which were not reported either."""


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"gen_ai.usage.input_tokens": "1200"}, {"input_tokens": 1200}),
        ({"gen_ai.usage.input_tokens": 12.0}, {"input_tokens": 12}),
        ({"gen_ai.usage.input_tokens": 12.5}, GUESSED),
        ({"gen_ai.usage.input_tokens": -1}, GUESSED),
        ({"gen_ai.usage.input_tokens": 10**9}, GUESSED),
        ({"gen_ai.usage.input_tokens": None}, GUESSED),
        ({"gen_ai.usage.input_tokens": 0}, {"input_tokens": 0, "usage_quality": "reported"}),
        (
            {"gen_ai.usage.cache_read.input_tokens": 900},
            {"input_tokens": 1000, "cache_read_tokens": 900},
        ),
        ({"gen_ai.usage.cache_read.input_tokens": 1100}, {"input_tokens": 2100}),
        ({"gen_ai.usage.reasoning.output_tokens": 400}, {"reasoning_tokens": 300}),
        ({"ecomind.team": "search"}, {"team": "search"}),
        ({"ecomind.inference.region": "eu-west-3"}, {"place": "eu-west-3"}),
        ({"server.address": "https://API.openai.com:443/v1"}, {"place": "api.openai.com"}),
        (
            {"gen_ai.provider.name": None, "gen_ai.system": "az.ai.openai"},
            {"provider": "azure.ai.openai"},
        ),
        ({"gen_ai.provider.name": "langchain"}, {"provider": "openai"}),
        ({"gen_ai.operation.name": "invoke_agent"}, {"counted": 0, "reason": "container"}),
        ({"ecomind.measured.energy": 36.0}, {"measured_energy_mj": 36_000}),
        ({"gen_ai.request.model": "m" * 300}, {"request_model": "m" * 128}),
    ],
)  # fmt: skip
def test_what_an_attribute_becomes(
    running: Running, attributes: dict[str, Any], expected: dict[str, Any]
) -> None:
    async def scenario() -> dict[str, Any]:
        async with running() as receiver:
            await load(receiver, protobuf([CHAT | attributes]))
            return calls(receiver)[0]

    row = asyncio.run(scenario())
    assert {name: row[name] for name in expected} == expected


def test_an_error_without_usage_is_kept_and_not_counted(running: Running) -> None:
    failed = {"gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o", "status": 2}

    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        async with running() as receiver:
            await load(receiver, protobuf([failed]))
            return calls(receiver)[0], totals(receiver)

    row, total = asyncio.run(scenario())
    assert (row["counted"], row["reason"], row["energy_wh"]) == (0, "error", 0)
    assert total["calls"] == 0


def test_every_span_has_an_outcome(running: Running) -> None:
    now = time.time_ns()
    spans: list[dict[str, Any]] = [
        CHAT,
        {"http.request.method": "GET"},
        CHAT | {"id": 0},
        CHAT | {"start_ns": now - 91 * 24 * HOUR_NS},
        CHAT | {"start_ns": now + 25 * HOUR_NS},
    ]

    async def scenario() -> tuple[dict[str, int], str]:
        async with running() as receiver:
            await load(receiver, protobuf(spans))
            rows = receiver.store.query(
                "SELECT outcome, toInt64(spans) AS spans FROM span_outcomes"
            )
            return {row["outcome"]: row["spans"] for row in rows}, prometheus_text(receiver)

    outcomes, metrics = asyncio.run(scenario())
    assert outcomes == {"stored": 1, "not_genai": 1, "bad_id": 1, "bad_time": 2}
    assert 'ecomind_loader_spans_total{ecomind_span_outcome="bad_time"' in metrics


def test_json_and_protobuf_become_the_same_call(running: Running) -> None:
    async def scenario() -> list[dict[str, Any]]:
        async with running() as receiver:
            await receiver.accept(LOCAL, json_request([CHAT], first_id=1), JSON)
            await receiver.accept(LOCAL, protobuf([CHAT], resource={}, first_id=2), PROTOBUF)
            await receiver.drain()
            columns = "* EXCEPT (trace_hash, span_id, start_time, received_at, segment_id)"
            return calls(receiver, columns)

    first, second = asyncio.run(scenario())
    assert first == second


def test_twins_in_one_segment_count_once_and_the_richer_stays(running: Running) -> None:
    poor = CHAT | {"gen_ai.response.id": "r1"}
    rich = poor | {"gen_ai.usage.cache_read.input_tokens": 512}
    other = CHAT | {"gen_ai.response.id": "r2"}

    async def scenario() -> tuple[list[dict[str, Any]], dict[str, Any]]:
        async with running() as receiver:
            await load(receiver, protobuf([poor, rich, other]))
            rows = receiver.store.query(
                "SELECT span_id, counted, reason FROM calls ORDER BY span_id"
            )
            return rows, totals(receiver)

    rows, total = asyncio.run(scenario())
    assert rows == [
        {"span_id": 1, "counted": 0, "reason": "duplicate"},
        {"span_id": 2, "counted": 1, "reason": ""},
        {"span_id": 3, "counted": 1, "reason": ""},
    ]
    assert total == {"calls": 2, "input": 2000, "output": 600}


def test_a_span_sent_twice_in_one_segment_is_stored_once(running: Running) -> None:
    async def scenario() -> tuple[int, dict[str, int]]:
        async with running() as receiver:
            body = protobuf([CHAT])
            await asyncio.gather(*(receiver.accept(LOCAL, body, PROTOBUF) for _ in range(3)))
            await receiver.drain()
            return len(calls(receiver)), receiver.status().dropped_spans

    stored, dropped = asyncio.run(scenario())
    assert stored == 1
    assert dropped == {"resent": 2}


def test_reconcile_cancels_twins_and_resends_across_segments(running: Running) -> None:
    poor = CHAT | {"gen_ai.response.id": "r1"}
    rich = poor | {"gen_ai.usage.cache_read.input_tokens": 512}
    container = CHAT | {"gen_ai.operation.name": "invoke_agent"}

    async def scenario() -> tuple[list[dict[str, Any]], dict[str, Any], int]:
        async with running() as receiver:
            await load(receiver, protobuf([poor, container]), protobuf([rich], first_id=10))
            await load(receiver, protobuf([poor, container]))  # the ack was lost
            later = time.time() + 2000
            receiver.reconciler.close_windows(later)
            assert receiver.reconciler.close_windows(later) == 0
            net = receiver.store.query(
                "SELECT span_id, counted, toInt64(sum(sign)) AS net FROM calls"
                " GROUP BY span_id, counted HAVING net != 0 ORDER BY span_id"
            )
            return net, totals(receiver), receiver.status().corrections

    net, total, corrections = asyncio.run(scenario())
    assert net == [
        {"span_id": 1, "counted": 0, "net": 1},  # the twin that knew less
        {"span_id": 2, "counted": 0, "net": 1},  # the container, once
        {"span_id": 10, "counted": 1, "net": 1},
    ]
    assert total == {"calls": 1, "input": 1000, "output": 300}
    assert corrections == 3


def test_a_backfill_of_many_days_loads_in_one_segment(running: Running) -> None:
    now = time.time_ns()
    spans = [CHAT | {"start_ns": now - day * 24 * HOUR_NS} for day in range(80)]

    async def scenario() -> tuple[int, int]:
        async with running() as receiver:
            await load(receiver, protobuf(spans))
            return len(calls(receiver)), totals(receiver)["calls"]

    assert asyncio.run(scenario()) == (80, 80)


def test_a_restart_loads_what_was_acknowledged(running: Running) -> None:
    async def scenario() -> tuple[dict[str, Any], dict[str, Any]]:
        async with running() as receiver:
            await receiver.accept(LOCAL, protobuf([CHAT] * 3), PROTOBUF)
        async with running() as receiver:
            return totals(receiver), totals(receiver)

    first, again = asyncio.run(scenario())
    assert first == again == {"calls": 3, "input": 3000, "output": 900}


@pytest.mark.parametrize(
    ("body", "media_type", "encoding", "status"),
    [
        (b"garbage", PROTOBUF, "", 400),
        (b"{", JSON, "", 400),
        (b'{"resourceSpans": 5}', JSON, "", 400),
        (b"", "text/plain", "", 415),
        (b"", PROTOBUF, "br", 415),
        (b"not gzip", PROTOBUF, "gzip", 400),
        (b"\x1f\x8b", PROTOBUF, "gzip", 400),
        (b"x" * 5000, PROTOBUF, "", 413),
    ],
)
def test_what_is_refused(
    running: Running, body: bytes, media_type: str, encoding: str, status: int
) -> None:
    async def scenario() -> int:
        async with running(request_max_bytes=4096) as receiver:
            with pytest.raises(RequestRefused) as refused:
                await receiver.accept(LOCAL, body, media_type, encoding)
            return refused.value.refusal.http_status

    assert asyncio.run(scenario()) == status


def test_names_beyond_two_hundred_a_day_are_other_and_still_counted(running: Running) -> None:
    spans = [
        CHAT | {"gen_ai.request.model": f"m-{n:03}", "gen_ai.response.model": ""}
        for n in range(250)
    ]

    async def scenario() -> tuple[list[dict[str, Any]], dict[str, Any], list[dict[str, Any]]]:
        async with running() as receiver:
            await load(receiver, protobuf(spans))
            later = CHAT | {"gen_ai.request.model": "m-999", "gen_ai.response.model": "m-000"}
            await load(receiver, protobuf([later], first_id=1000))
            rows = receiver.store.query(
                "SELECT uniqExact(request_model) AS models,"
                " countIf(request_model = '__other__') AS other FROM calls"
            )
            last = receiver.store.query(
                "SELECT request_model, response_model, team FROM calls WHERE span_id = 1000"
            )
            return rows, totals(receiver), last

    rows, total, last = asyncio.run(scenario())
    assert rows == [{"models": 201, "other": 51}]
    assert total == {"calls": 251, "input": 251_000, "output": 75_300}
    assert last == [
        {"request_model": "__other__", "response_model": "m-000", "team": "unattributed"}
    ]


def test_a_richer_copy_of_a_sent_span_does_not_cancel_the_call(running: Running) -> None:
    poor = CHAT | {"gen_ai.response.id": "r1", "id": 5}
    rich = poor | {"gen_ai.usage.cache_read.input_tokens": 512}

    async def scenario() -> dict[str, Any]:
        async with running() as receiver:
            await load(receiver, protobuf([poor, rich]))
            return totals(receiver)

    assert asyncio.run(scenario())["calls"] == 1

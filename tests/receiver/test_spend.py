"""Records of what was paid: what makes them calls, and what they leave alone."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from support.otlp import CHAT, protobuf
from support.receiver import Running, calls

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.kinds import Kind
from ecomind_receiver.server import Receiver
from ecomind_receiver.signals import LOGS
from ecomind_receiver.spool import envelope
from ecomind_receiver.tenants import LOCAL, Tenant

NS, HOUR, DAY = 10**9, 3600, 86_400
PAID = {"gen_ai.provider.name": "openai", "ecomind.spend.amount": 100.0}


def record(ago_seconds: int = HOUR, event: str = "ecomind.spend", **given: Any) -> dict[str, Any]:
    """A log record with PAID and `given`, `__` for a dot; None takes an attribute away."""
    more = {name.replace("__", "."): value for name, value in given.items()}
    told = {"event.name": event, **PAID, **more}
    kinds = {str: "stringValue", float: "doubleValue", int: "intValue"}
    return {
        "timeUnixNano": str((int(time.time()) // HOUR * HOUR - ago_seconds) * NS),
        "attributes": [
            {"key": key, "value": {kinds[type(value)]: value}}
            for key, value in told.items()
            if value is not None
        ],
    }


def request(*records: dict[str, Any], service: str = "shop") -> bytes:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    scopes = [{"scope": {"name": "test"}, "logRecords": list(records)}]
    return json.dumps({"resourceLogs": [{"resource": resource, "scopeLogs": scopes}]}).encode()


def of_event_field(made: dict[str, Any]) -> dict[str, Any]:
    """The same with its event in the field that OTLP has for it, instead of an attribute."""
    kept = [each for each in made["attributes"] if each["key"] != "event.name"]
    return {**made, "eventName": "ecomind.spend", "attributes": kept}


def stored(running: Running, *records: dict[str, Any], spans: bytes = b"") -> list[dict[str, Any]]:
    """The rows of calls, the dearest first, after the window was reconciled."""

    async def scenario() -> list[dict[str, Any]]:
        async with running() as receiver:
            await receiver.accept(LOCAL, request(*records), JSON, signal=LOGS)
            await receiver.drain()
            if spans:
                await receiver.accept(LOCAL, spans, PROTOBUF)
                await receiver.drain()
            receiver.reconciler.close_windows(time.time() + HOUR)
            return sorted(calls(receiver), key=lambda row: -row["spend_microusd"])

    return asyncio.run(scenario())


def test_a_line_of_an_invoice_is_a_call(running: Running) -> None:
    (row,) = stored(running, record(gen_ai__operation__name="invoice", ecomind__team="search"))
    assert (row["spend_microusd"], row["input_tokens"], row["output_tokens"]) == (10**8, 0, 0)
    assert (row["counted"], row["usage_quality"], row["usage_states"]) == (1, "reported", 0)
    assert (row["operation"], row["provider"], row["team"]) == ("invoice", "openai", "search")
    assert row["energy_wh"] == pytest.approx(16_206, abs=1)  # tests/processor/test_spend.py


@pytest.mark.parametrize("amount", [None, "much", -1.0, 0.0, 2e9])
def test_without_an_amount_it_is_none(running: Running, amount: object) -> None:
    assert stored(running, record(ecomind__spend__amount=amount)) == []


def test_the_event_may_be_named_in_its_own_field(running: Running) -> None:
    (row,) = stored(running, of_event_field(record()))
    assert (row["spend_microusd"], row["counted"]) == (10**8, 1)


def test_equal_lines_of_two_projects_are_two(running: Running) -> None:
    ads = Tenant(LOCAL.org_id, "ads")

    async def scenario() -> list[dict[str, Any]]:
        async with running(spool_segment_max_seconds=60) as receiver:
            for tenant in (LOCAL, ads, ads):
                await receiver.accept(tenant, request(record()), JSON, signal=LOGS)
            await receiver.drain()
            receiver.reconciler.close_windows(time.time() + HOUR)
            return calls(receiver)

    rows = asyncio.run(scenario())
    assert sorted(row["project_id"] for row in rows if row["sign"] > 0) == ["ads", "default"]
    assert sum(row["sign"] for row in rows) == 2


def test_equal_amounts_to_two_providers_are_two(running: Running) -> None:
    """They have no tokens and begin at once, as two views of one call would."""
    at_once_ns = (int(time.time()) // HOUR * HOUR - HOUR) * NS
    paid = {**PAID, "gen_ai.provider.name": "anthropic", "start_ns": at_once_ns}
    rows = stored(running, record(), spans=protobuf([paid], scope="other"))
    found = sorted((row["provider"], row["counted"]) for row in rows)
    assert found == [("anthropic", 1), ("openai", 1)]


def test_an_amount_on_another_record_makes_no_call_of_it(running: Running) -> None:
    assert stored(running, record(event="shop.order")) == []


def test_usage_is_the_better_evidence(running: Running) -> None:
    (row,) = stored(running, record(gen_ai__usage__output_tokens=300))
    assert (row["spend_microusd"], row["output_tokens"], row["counted"]) == (0, 300, 1)


def test_equal_records_are_one(running: Running) -> None:
    """A record is told by its time and content, so what makes two lines two must be in it."""
    rows = stored(running, record(), record(), record(ecomind__team="ads"))
    assert sum(row["sign"] for row in rows if row["counted"]) == 2


def test_invoices_do_not_make_spans_count_less(running: Running) -> None:
    """Where a service sends calls as spans and as records, the records count; not beside these."""
    unreported = {**CHAT, "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0}
    at_once = int(time.time()) // HOUR * HOUR - HOUR
    times = {"start_ns": at_once * NS, "end_ns": (at_once + 60) * NS}
    paid = {**PAID, "ecomind.spend.amount": 50.0}
    spans = protobuf([CHAT, {**unreported, **times}, {**paid, **times}], scope="other")
    rows = stored(running, record(), spans=spans)
    assert [(row["spend_microusd"], row["counted"]) for row in rows] == [
        (10**8, 1), (5 * 10**7, 1), (0, 1), (0, 1),
    ]  # fmt: skip


async def receive(
    receiver: Receiver, body: bytes, ago_days: int, kind: Kind = Kind.LOGS_JSON, org: str = "org_a"
) -> None:
    """Store a request as if it had come so many days ago."""
    received_ns = time.time_ns() - ago_days * DAY * NS
    spooled = envelope(Tenant(org, "p"), received_ns, (1, 2), body, kind)
    await receiver.spool.append(org, spooled, 1, kind)
    await receiver.drain()


def test_an_invoice_of_one_does_not_look_for_spans_of_another(running: Running) -> None:
    """A span that is sent again after weeks is a new one, whoever imports an invoice then."""
    span = protobuf([CHAT], start_ns=time.time_ns() - 50 * DAY * NS)

    async def scenario() -> list[dict[str, Any]]:
        async with running() as receiver:
            for ago_days in (40, 0):
                await receive(receiver, request(record(50 * DAY)), ago_days)
                await receive(receiver, span, ago_days, Kind.TRACES, "org_b")
            receiver.reconciler.close_windows(time.time() + HOUR)
            return receiver.store.query(
                "SELECT org_id, sum(sign) AS n FROM calls GROUP BY org_id ORDER BY org_id"
            )

    assert [tuple(row.values()) for row in asyncio.run(scenario())] == [("org_a", 1), ("org_b", 2)]


def test_what_is_sent_again_after_weeks_is_counted_once(running: Running) -> None:
    body = request(record(50 * DAY))

    async def scenario() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        async with running() as receiver:
            for ago_days in (40, 20, 0):
                await receive(receiver, body, ago_days)
            receiver.reconciler.close_windows(time.time() + HOUR)
            rollup = receiver.store.query(
                "SELECT sum(calls) AS calls, sum(u.spend_microusd) AS spend FROM usage_hourly AS u"
            )
            return calls(receiver), rollup

    rows, rollup = asyncio.run(scenario())
    assert sum(row["sign"] for row in rows) == 1
    assert rollup == [{"calls": 1, "spend": 10**8}]
    cancelled = {row["received_at"] for row in rows if row["sign"] < 0}
    assert len(cancelled) == 2 and min(row["received_at"] for row in rows) not in cancelled

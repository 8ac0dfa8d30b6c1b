"""What can't be loaded is kept apart and told of; what was loaded leaves no plaintext."""

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.otlp import CHAT, json_request, protobuf
from support.receiver import Running, calls, load

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.refusals import RequestRefused
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL, Tenant


def test_poison_is_quarantined_and_the_rest_is_loaded(running: Running) -> None:
    span = b"\x0a\x10" + b"t" * 16 + b"\x12\x08" + b"s" * 8 + b"\xff"  # ids, then no protobuf
    poison = b"\x0a\x21\x12\x1f\x12\x1d" + span  # in a sound frame: 29 bytes and 2 a level

    async def scenario() -> tuple[int, list[dict[str, Any]], list[str]]:
        async with running() as receiver:
            bodies = [protobuf([CHAT], first_id=1), poison, protobuf([CHAT], first_id=2)]
            await asyncio.gather(*(receiver.accept(LOCAL, body, PROTOBUF) for body in bodies))
            await receiver.drain()
            outcomes = receiver.store.query(
                "SELECT org_id, outcome, toInt64(spans) AS spans FROM span_outcomes"
                " ORDER BY outcome"
            )
            kept = [p.suffix for p in sorted((receiver.settings.data_dir / "quarantine").iterdir())]
            return len(calls(receiver)), outcomes, kept

    stored, outcomes, kept = asyncio.run(scenario())
    assert stored == 2
    assert outcomes == [
        {"org_id": "org_demo", "outcome": "quarantined", "spans": 1},
        {"org_id": "org_demo", "outcome": "stored", "spans": 2},
    ]
    assert kept == [".json", ".seg"]


def test_json_that_only_the_engine_refuses_is_quarantined(running: Running) -> None:
    good = json_request([CHAT], first_id=1)
    bad = json_request([CHAT], first_id=2).replace(b'"300"', b"1e400")

    async def scenario() -> tuple[int, dict[str, int]]:
        async with running() as receiver:
            await asyncio.gather(
                receiver.accept(LOCAL, good, JSON),
                receiver.accept(LOCAL, bad, JSON),
                receiver.accept(LOCAL, protobuf([CHAT], first_id=3), PROTOBUF),
            )
            with pytest.raises(RequestRefused, match=r"(?i)utf-8"):
                await receiver.accept(LOCAL, good.replace(b"gpt-4o", b"gpt\xff"), JSON)
            await receiver.drain()
            return len(calls(receiver)), receiver.status().dropped_spans

    assert asyncio.run(scenario()) == (2, {"quarantined": 1})


def test_what_was_refused_before_the_ack_is_not_quarantined_too(running: Running) -> None:
    """Of three spans one has no id: two were acknowledged, and two are in quarantine."""
    body = json_request([CHAT] * 3, first_id=1).replace(b'"300"', b"1e400")
    body = body.replace(b"0000000000000002", b"0000000000000000")

    async def scenario() -> tuple[int, dict[str, int]]:
        async with running() as receiver:
            answer = await receiver.accept(LOCAL, body, JSON)
            await receiver.drain()
            return answer.rejected, receiver.status().dropped_spans

    assert asyncio.run(scenario()) == (1, {"quarantined": 2, "bad_id": 1})


def test_poison_is_found_without_decoding_it_again_and_again(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client that sends nothing else must not keep the loader from the calls of others."""
    decoded: list[str] = []
    command = Store.command

    def noted(store: Store, sql: str, params: Mapping[str, object] | None = None) -> None:
        if "INSERT INTO staging" in sql:
            decoded.append(sql)
        command(store, sql, params)

    monkeypatch.setattr(Store, "command", noted)
    good = json_request([CHAT], first_id=1)

    async def scenario() -> tuple[int, dict[str, int]]:
        async with running(spool_segment_max_seconds=60) as receiver:
            bodies = [good] + [good.replace(b'"300"', b"1e400")] * 40 + [good] * 20
            await asyncio.gather(*(receiver.accept(LOCAL, body, JSON) for body in bodies))
            await receiver.drain()
            status = receiver.status()
            return status.stored_spans, status.dropped_spans

    stored, dropped = asyncio.run(scenario())
    assert (stored, dropped["quarantined"]) == (1, 40)
    assert len(decoded) == 4  # all, an empty record, those that can be read; and at last to load


def test_what_the_engine_does_not_see_is_told_of(running: Running) -> None:
    """The frame takes the last of two equal keys, the engine the first."""
    twice = json_request([CHAT] * 3).replace(b"{", b'{"resourceSpans": [], ', 1)

    async def scenario() -> tuple[int, int, dict[str, int], list[dict[str, Any]]]:
        async with running() as receiver:
            body = json_request([CHAT], first_id=9)
            for tenant in (LOCAL, Tenant("org_b", "p")):
                await receiver.accept(tenant, body, JSON)
            accepted = await receiver.accept(Tenant("org_b", "p"), twice, JSON)
            await receiver.drain()
            told = receiver.store.query(
                "SELECT org_id, project_id, toInt64(spans) AS spans FROM span_outcomes"
                " WHERE outcome = 'unread'"
            )
            status = receiver.status()
            return accepted.items, status.stored_spans, status.dropped_spans, told

    items, stored, dropped, told = asyncio.run(scenario())
    assert (items, stored, dropped) == (3, 2, {"unread": 3})
    assert told == [{"org_id": "org_b", "project_id": "p", "spans": 3}]


def test_no_plaintext_is_held_while_nothing_is_loaded(running: Running) -> None:
    """Neither of a segment that was loaded nor of one that waits for the store to come back."""

    def held() -> set[str]:
        found = set()
        for link in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                found.add(os.readlink(link))
        return {name for name in found if name.startswith(("pipe:", "/memfd:"))}

    async def scenario() -> list[set[str]]:
        async with running() as receiver:
            looks = [held()]
            await load(receiver, protobuf([CHAT]))
            looks.append(held())
            receiver.store.command("RENAME TABLE span_outcomes TO away")
            await receiver.accept(LOCAL, protobuf([CHAT], first_id=9), PROTOBUF)
            receiver.spool.seal()
            while not receiver.status().store_error:
                await asyncio.sleep(0.01)
            looks.append(held())
            receiver.store.command("RENAME TABLE away TO span_outcomes")
            await receiver.drain()
            return looks

    before, loaded, waiting = asyncio.run(scenario())
    assert loaded <= before
    assert waiting <= before

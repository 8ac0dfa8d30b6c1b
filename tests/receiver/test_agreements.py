"""Terms on the way of a call: whose they are, from when, and what a replay makes of a change."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from support.otlp import CHAT, protobuf
from support.receiver import Running, make_settings
from support.stating import CONTRACT, ENERGY, approve_in

from ecomind_receiver.agreements import Agreements
from ecomind_receiver.control.store import ControlError, ControlStore
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.pipeline import Job, Pipeline
from ecomind_receiver.server import Receiver
from ecomind_receiver.store import StoreError
from ecomind_receiver.tenants import Tenant

A, B, C = Tenant("org_a", "p"), Tenant("org_b", "p"), Tenant("org_c", "p")
NAMELESS = {
    "gen_ai.operation.name": "chat",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 300,
}


def found(receiver: Receiver) -> list[dict[str, Any]]:
    """Organisation, energy, tier, market factor and address of each counted call."""
    return receiver.store.query(
        "SELECT f.org_id AS org, round(energy_wh_mid, 6) AS energy_wh, c.model_tier AS tier,"
        " c.co2e_g_per_kwh_market AS market, f.coef_id AS coef_id FROM calls_footprint AS f"
        " INNER JOIN (SELECT * FROM coefficients LIMIT 1 BY coef_id) AS c USING (coef_id)"
        " WHERE f.counted ORDER BY org, span_id"
    )


def test_terms_are_of_one_organisation_only(running: Running, tmp_path: Path) -> None:
    """Three organisations send the same call, in one segment; one has terms.

    0.0001 · 1,000 + 0.001 · 300 = 0.4 Wh of IT energy, PUE 1.20: 0.48 Wh; others 0.8129 Wh.
    """
    settings = make_settings(tmp_path)
    approve_in(settings, "org_a", "energy", ENERGY)
    approve_in(settings, "org_a", "contract", CONTRACT)

    async def scenario() -> list[dict[str, Any]]:
        async with running(spool_segment_max_seconds=60) as receiver:
            for number, tenant in enumerate((A, B, C)):
                await receiver.accept(tenant, protobuf([CHAT], first_id=number + 1), PROTOBUF)
            await receiver.drain()
            assert receiver.status().loaded_segments == 1
            return found(receiver)

    a, b, c = asyncio.run(scenario())
    assert (a["org"], a["tier"], a["market"]) == ("org_a", "B", 20.0)
    assert a["energy_wh"] == pytest.approx(0.48)
    assert (b["tier"], b["market"]) == ("D", None)
    assert b["energy_wh"] == pytest.approx(0.8129, abs=5e-5)
    assert b["coef_id"] == c["coef_id"] != a["coef_id"]


def test_an_approval_is_seen_while_the_server_runs(running: Running, tmp_path: Path) -> None:
    async def scenario() -> list[str]:
        async with running() as receiver:
            tiers = []
            for number in range(2):
                await receiver.accept(A, protobuf([CHAT], first_id=number + 1), PROTOBUF)
                await receiver.drain()
                tiers.append(found(receiver)[-1]["tier"])
                approve_in(make_settings(tmp_path), "org_a", "energy", ENERGY)
                while not receiver.agreements.of("org_a").id:  # once a second
                    await asyncio.sleep(0.05)
            return tiers

    assert asyncio.run(asyncio.wait_for(scenario(), 30)) == ["D", "B"]


def test_a_replay_after_a_change_of_terms_stores_what_was_decided(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process ends after the plan was written; meanwhile terms change, and names are capped."""
    approve_in(make_settings(tmp_path), "org_a", "energy", ENERGY)
    stopped: list[bool] = []

    def stop(pipeline: Pipeline, job: Job) -> None:
        stopped.append(True)
        raise StoreError("the power went out")

    async def before() -> None:
        with monkeypatch.context() as broken:
            broken.setattr(Pipeline, "_mark_losers", stop)
            async with running(names_per_day_max=1) as receiver:
                for number, tenant in enumerate((A, B)):
                    spans = [CHAT, CHAT | {"gen_ai.response.model": "gpt-4o"}]
                    body = protobuf(spans, first_id=2 * number + 1)
                    await receiver.accept(tenant, body, PROTOBUF)
                while not stopped:
                    await asyncio.sleep(0.01)

    async def after() -> list[dict[str, Any]]:
        async with running(names_per_day_max=1) as receiver:
            await receiver.drain()
            return found(receiver)

    asyncio.run(before())
    for org_id in ("org_a", "org_b"):
        approve_in(
            make_settings(tmp_path), org_id, "energy", ENERGY | {"wh_per_output_token": 0.05}
        )
    rows = asyncio.run(after())
    tiers = {(row["org"], row["tier"]) for row in rows}
    assert len(rows) == 4
    assert ("org_a", "B") in tiers and ("org_b", "B") not in tiers
    assert max(row["energy_wh"] for row in rows if row["tier"] == "B") == pytest.approx(0.48)


def test_a_call_that_is_lent_its_model_gets_its_organisations_terms(
    running: Running, tmp_path: Path
) -> None:
    """Within a segment, and by the reconcile job across two."""
    approve_in(make_settings(tmp_path), "org_a", "energy", ENERGY)

    def bodies(first: int) -> tuple[bytes, bytes]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
            ExportTraceServiceRequest,
        )

        parts = []
        for id, given in ((first, NAMELESS), (first + 1, CHAT | {
            "gen_ai.operation.name": "invoke_agent"})):  # fmt: skip
            message = ExportTraceServiceRequest.FromString(protobuf([given], first_id=id))
            span = message.resource_spans[0].scope_spans[0].spans[0]
            span.trace_id = first.to_bytes(16, "big")
            if id == first:
                span.parent_span_id = (first + 1).to_bytes(8, "big")
            parts.append(message.SerializeToString())
        return parts[0], parts[1]

    async def scenario() -> list[list[dict[str, Any]]]:
        async with running() as receiver:
            seen = []
            for tenant, first in ((A, 10), (B, 20)):
                for body in bodies(first):
                    await receiver.accept(tenant, body, PROTOBUF)
                await receiver.drain()
            for tenant, first in ((A, 30), (B, 40)):
                for body in bodies(first):
                    await receiver.accept(tenant, body, PROTOBUF)
                    await receiver.drain()
            receiver.reconciler.settle()
            seen.append(
                receiver.store.query(
                    "SELECT org_id AS org, span_id AS id, c.model_tier AS tier FROM calls AS k"
                    " INNER JOIN (SELECT * FROM coefficients LIMIT 1 BY coef_id) AS c"
                    " USING (coef_id) WHERE k.counted GROUP BY org, id, tier"
                    " HAVING sum(k.sign) > 0 ORDER BY id"
                )
            )
            return seen

    (rows,) = asyncio.run(scenario())
    assert [(row["org"], row["id"], row["tier"]) for row in rows] == [
        ("org_a", 10, "B"),
        ("org_b", 20, "D"),
        ("org_a", 30, "B"),
        ("org_b", 40, "D"),
    ]


def test_a_control_store_that_is_away_leaves_the_last_known_terms(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tmp_path)
    approve_in(settings, "org_a", "energy", ENERGY)
    agreements = Agreements(settings)
    try:
        known = agreements.of("org_a")

        def away(store: ControlStore) -> int:
            raise ControlError("The control store can't be used: it is away.")

        monkeypatch.setattr(ControlStore, "changes", away)
        with pytest.raises(ControlError):
            agreements.refresh()
        assert agreements.of("org_a") is known
        assert agreements.of("org_b").id == 0
    finally:
        agreements.stop()


def test_looking_makes_no_control_store(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    agreements = Agreements(settings)
    agreements.stop()
    assert not (settings.data_dir / "control.db").exists()
    assert agreements.shown("org_a") == ()

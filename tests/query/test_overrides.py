"""What organisations state of factors, over the API: each sees and gets its own, and no other's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from support.otlp import CHAT, protobuf
from support.receiver import make_settings
from support.stating import ANN, BOB, CONTRACT, ENERGY, JANUARY, approve

from ecomind_query.app import create_app
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.overrides import OrgOverrides
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.store import ControlError, ControlStore, default_url
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import Scope, Tenant

SAME_CALL = "/v1/explain?model=gpt-4o&provider=openai&zone=USA&input_tokens=1000&output_tokens=300"


class Server:
    """A server that asks for keys, with two organisations, of which one has stated something."""

    def __init__(self, runner: asyncio.Runner, receiver: Receiver, keys: dict[str, str]) -> None:
        self.runner = runner
        self.receiver = receiver
        self._keys = keys
        self._app = create_app(receiver, receiver.settings)

    def get(self, path: str, org_id: str) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            headers = {"authorization": f"Bearer {self._keys[org_id]}"} if org_id else {}
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                return await http.get(path, headers=headers)

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    settings = make_settings(tmp_path_factory.mktemp("overrides"), auth="keys")
    settings.data_dir.mkdir(mode=0o700)
    control = ControlStore(default_url(settings))
    control.migrate()
    approve(control, "org_a", "energy", ENERGY)
    approve(control, "org_a", "contract", CONTRACT)
    approve(control, "org_b", "region", {"place": "eu-west-3", "zone": "DEU"})
    keys: dict[str, str] = {}
    with control.begin() as tx:
        OrgOverrides(tx, "org_a").propose("method", {"method": "class"}, JANUARY, None, BOB)
        own = OrgOverrides(tx, "org_a")
        refused = own.propose("method", {"method": "benchmark"}, JANUARY, None, ANN)
        own.reject(refused.id, BOB, "not now")
        peppers = Peppers(Secrets(settings).peppers)
        for org_id in ("org_a", "org_b"):
            Own(tx, org_id).create_project("p")
            _, keys[org_id] = OrgKeys(tx, org_id, peppers).create("k", None, [Scope.READ])
    control.close()
    with asyncio.Runner() as runner:
        receiver = Receiver(settings)
        runner.run(receiver.start())
        try:
            yield Server(runner, receiver, keys)
        finally:
            runner.run(receiver.stop())


def test_each_organisation_lists_its_own(server: Server) -> None:
    assert server.get("/v1/overrides", "").status_code == 401
    (theirs,) = server.get("/v1/overrides", "org_b").json()["overrides"]
    assert (theirs["kind"], theirs["says"]) == ("region", "eu-west-3 runs in DEU")
    own: list[dict[str, Any]] = server.get("/v1/overrides", "org_a").json()["overrides"]
    assert [(each["kind"], each["status"]) for each in own] == [
        ("energy", "approved"),
        ("contract", "approved"),
        ("method", "proposed"),  # what was rejected or withdrawn is not shown
    ]
    assert own[1]["says"] == "openai: 20 g CO2e/kWh, power purchase agreement"
    assert own[1]["document"] == "Energy of our models (2026), docs/energy.pdf"
    assert (own[1]["proposed_by"], own[1]["decided_by"]) == (ANN, BOB)
    assert own[0]["stated"] == {
        "model": "gpt-4o", "basis": "override", "wh_per_output_token": 0.001,
    }  # fmt: skip


def test_an_explanation_applies_the_callers_own(server: Server) -> None:
    """0.0001 · 1,000 + 0.001 · 300 = 0.4 Wh, PUE 1.20: 0.48 Wh; · 20 g/kWh ÷ 1,000 = 0.0096 g."""
    own, theirs = (server.get(SAME_CALL, org_id).json() for org_id in ("org_a", "org_b"))
    assert (own["tier_energy"], theirs["tier_energy"]) == ("B", "D")
    assert own["energy_wh"]["mid"] == pytest.approx(0.48)
    assert own["co2e_g_market"]["mid"] == pytest.approx(0.0096)
    assert theirs["energy_wh"]["mid"] == pytest.approx(0.8129, abs=5e-5)
    assert theirs["co2e_g_market"] is None
    assert "energy.pdf" not in str(theirs)


def test_stored_calls_are_by_their_own_organisations_terms(server: Server) -> None:
    async def send() -> None:
        for number, org_id in enumerate(("org_a", "org_b")):
            body = protobuf([CHAT], first_id=number + 1)
            await server.receiver.accept(Tenant(org_id, "p"), body, PROTOBUF)
        await server.receiver.drain()

    server.runner.run(send())
    own, theirs = (server.get("/v1/usage", org_id).json()["total"] for org_id in ("org_a", "org_b"))
    assert own["energy_wh"]["mid"] == pytest.approx(0.48)
    assert own["co2e_g_market"]["mid"] == pytest.approx(0.0096)
    assert theirs["energy_wh"]["mid"] == pytest.approx(0.8129, abs=5e-5)
    assert theirs["co2e_g_market"] is None
    (call,) = server.get("/v1/calls", "org_a").json()["calls"]
    steps = server.get(f"/v1/calls/{call['id']}", "org_a").json()["derivation"]
    assert "docs/energy.pdf" in str(steps)
    assert server.get(f"/v1/calls/{call['id']}", "org_b").status_code == 404


def test_a_control_store_that_is_away_is_said_so(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(org_id: str) -> None:
        raise ControlError("The control store can't be used.")

    monkeypatch.setattr(server.receiver.agreements, "shown", away)
    answer = server.get("/v1/overrides", "org_a")
    assert (answer.status_code, answer.json()["detail"]) == (
        503,
        "What organisations state can't be read now.",
    )
    assert server.get(SAME_CALL, "org_a").json()["tier_energy"] == "B"

"""Restatements as the API, the page and the command line give them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from fastapi.testclient import TestClient
from query.rows import PAPER, Seed
from support.receiver import make_settings
from typer.testing import CliRunner

from ecomind_processor.factors import FactorSet
from ecomind_processor.resolution import CallKey, resolve
from ecomind_query import cli
from ecomind_query.app import create_app
from ecomind_query.models import Range
from ecomind_query.restatements import change, compare
from ecomind_receiver.closing import SUMS
from ecomind_receiver.restating import Moved
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store

OLDER = FactorSet.load("ecomind-2026.1")
ORDER = {"from": "2024-11-18", "to": "2024-11-19", "reason": "yearly carbon intensity"}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A data directory with one closed day of 2024, stated by the older set with 2025's grid."""
    settings = make_settings(tmp_path_factory.mktemp("restatements"), retention_days=3650)
    store = Store(settings)
    key = CallKey("openai", "gpt-4o", "", "USA", "", date(2024, 11, 18), False)
    start = datetime(2024, 11, 18, 9, tzinfo=UTC)
    seed = Seed(store, "org_demo")
    for _ in range(2):
        seed.call(resolve(key, OLDER), start_time=start, response_model="", place="USA")
    store.insert("reconciled", ["window_end", "corrections"], [[datetime.now(UTC), 0]])
    store.close()
    return settings


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with asyncio.Runner() as runner:
        receiver = Receiver(settings, listeners=False)
        runner.run(receiver.start())
        receiver.closer.close_days(datetime(2024, 12, 1, tzinfo=UTC))
        try:
            app = create_app(receiver, settings)
            yield TestClient(app, base_url="http://localhost", client=("127.0.0.1", 50_000))
        finally:
            runner.run(receiver.stop())


def test_a_restatement_is_tried_kept_listed_and_asked_for(client: TestClient) -> None:
    """Grid 384.4 → 383.78 g/kWh: −0.16 % CO2e, worked by hand; energy does not move."""
    tried = client.post("/v1/restatements", json=ORDER | {"dry_run": True}).json()
    assert (tried["id"], tried["created_at"], tried["basis"]) == ("", None, "closed")
    kept = client.post("/v1/restatements", json=ORDER | {"requested_by": "alice"}).json()
    assert kept["id"].startswith("rs_") and kept["difference"] == tried["difference"]
    difference = kept["difference"]
    assert difference["calls"] == 2 and difference["energy_wh"]["percent"] == 0
    moved = difference["co2e_g_location"]
    assert moved["percent"] == pytest.approx((383.78 / 384.4 - 1) * 100)
    assert moved["restated"]["mid"] / moved["original"]["mid"] == pytest.approx(383.78 / 384.4)
    assert not difference["material"] and difference["threshold_percent"] == 5.0
    assert kept["original_sets"] == ["ecomind-2026.1, ecomind@v1"]
    assert client.get("/v1/restatements").json()["restatements"][0] == kept

    period = "from=2024-11-18&to=2024-11-19"
    stated = client.get(f"/v1/usage?{period}&group_by=model").json()
    restated = client.get(f"/v1/usage?restatement={kept['id']}&group_by=model").json()
    assert stated["total"]["co2e_g_location"] == moved["original"]
    assert restated["total"]["co2e_g_location"]["mid"] == pytest.approx(moved["restated"]["mid"])
    assert restated["rows"][0]["group"] == {"model": "gpt-4o"}
    assert (restated["restatement"], restated["total"]["calls"]) == (kept["id"], 2)


def test_closes_are_listed(client: TestClient) -> None:
    (close,) = client.get("/v1/closes?from=2024-11-01&to=2024-12-01").json()["closes"]
    assert (close["day"], close["generation"], close["rows"]) == ("2024-11-18", 1, 1)
    assert close["calls"] == 2 and len(close["root"]) == 64


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"to": "2027-01-01"}, "Only closed days can be restated"),
        ({"factor_set": "ecomind-1999.1"}, "There is no factor set"),
        ({"method": "guess"}, "is not one of ecomind@v1"),
        ({"factor_set": "ecomind-2026.1", "method": "ecologits@0.11.3"}, "use a newer set"),
        ({"from": "2000-01-01"}, "at most 3660 days"),
        ({"reason": " "}, "needs a reason"),
    ],
)
def test_what_can_not_be_restated_is_refused(
    given: dict[str, str], says: str, client: TestClient
) -> None:
    answer = client.post("/v1/restatements", json=ORDER | given)
    assert answer.status_code == 422
    assert says in answer.text


@pytest.mark.parametrize(
    ("query", "says"),
    [("restatement=rs_none", "is not one of this organisation"), ("restatement=' OR 1", "is not")],
)
def test_a_restatement_that_is_not_ones_own(query: str, says: str, client: TestClient) -> None:
    answer = client.get(f"/v1/usage?{query}")
    assert answer.status_code == 422 and says in answer.json()["detail"]


def test_restating_from_the_terminal(settings: Settings) -> None:
    options = ["--data-dir", str(settings.data_dir)]
    environment = {"ECOMIND_KEY_DIR": str(settings.key_dir), "COLUMNS": "120"}
    run = CliRunner().invoke
    asked = ["factors", "restate", "--from", "2024-11-18", "--to", "2024-11-19"]
    tried = run(cli.app, [*asked, "--dry-run", *options], env=environment)
    assert tried.exit_code == 0, tried.output
    assert "-0.16 %" in tried.stdout and "tried; nothing is kept" in tried.stdout
    silent = run(cli.app, [*asked, *options], env=environment)
    assert silent.exit_code == 1 and "needs a reason" in silent.stderr
    for given, says in (
        (["--set", "none"], "Error: --set: There is no factor set 'none' here."),
        (["--as", "x" * 129], "Error: --as: String should have at most 128 characters."),
        (["--method", "guess"], "Error: --method: 'guess' is not one of ecomind@v1"),
    ):
        refused = run(cli.app, [*asked, "--dry-run", *given, *options], env=environment)
        assert refused.exit_code == 1 and refused.stderr.startswith(says)
    kept = run(cli.app, [*asked, "--reason", "a test", *options], env=environment)
    assert kept.exit_code == 0 and "kept as rs_" in kept.stdout
    listed = run(cli.app, ["factors", "restatements", *options], env=environment)
    assert listed.exit_code == 0 and "rs_" in listed.stdout
    closed = run(cli.app, ["closes", "--from", "2024-11-01", "--to", "2024-12-01", *options],
                 env=environment)  # fmt: skip
    assert closed.exit_code == 0 and "2024-11-18" in closed.stdout


def moved(old: int, new: int, **sums: int) -> Moved:
    return Moved("openai", "gpt-4o", old, new, dict.fromkeys(SUMS, 0) | sums)


def test_a_difference_by_hand() -> None:
    """100 output tokens at 0.01 Wh and PUE 1.5 are 1.5 Wh; at half of that per token 0.75 Wh."""
    half = replace(PAPER, wh_per_output_token=0.005, factor_set="paper-2")
    known = {1: PAPER, 2: half}
    found = compare([moved(1, 2, calls=1, output_tokens=100)], known, 5.0)
    assert found.energy_wh.original == Range(low=0.75, mid=1.5, high=3.0)
    assert found.energy_wh.restated == Range(low=0.375, mid=0.75, high=1.5)
    assert found.energy_wh.percent == -50 and found.material
    assert found.co2e_g_market is None
    (model,) = found.by_model
    assert (model.model, model.calls, model.energy_wh.percent) == ("gpt-4o", 1, -50)


@pytest.mark.parametrize(("threshold", "material"), [(49.9, True), (50.0, True), (50.1, False)])
def test_the_threshold_decides_what_is_material(threshold: float, material: bool) -> None:
    half = replace(PAPER, wh_per_output_token=0.005)
    rows = [moved(1, 2, calls=1, output_tokens=100)]
    assert compare(rows, {1: PAPER, 2: half}, threshold).material is material


def test_a_change_from_nothing_has_no_percentage() -> None:
    zero = Range(low=0, mid=0, high=0)
    assert change(zero, zero).percent is None

"""`ecomind demo` as a newcomer types it, with the real server; its totals are the senders' own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(300)

COMMAND = [sys.executable, "-m", "ecomind_query", "demo", "--json"]
RECEIVED = ("calls", "input_tokens", "cache_read_tokens", "output_tokens", "reasoning_tokens")

ESTIMATED = {
    "input_tokens": 1500, "cache_read_tokens": 375, "output_tokens": 250, "reasoning_tokens": 62,
}  # fmt: skip
"""What a call counts that told nobody its tokens: docs/dialects.md."""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home of its own, and free ports."""
    ports = ("ECOMIND_API_PORT", "ECOMIND_OTLP_HTTP_PORT", "ECOMIND_OTLP_GRPC_PORT")
    home = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path)}
    return {**os.environ, **home, **dict.fromkeys(ports, "0")}


def sums(answer: dict[str, Any]) -> dict[str, int]:
    """What the history and the app say they sent."""
    ledgers = [answer["history"], *answer["app"]]
    return {name: sum(ledger.get(name, 0) for ledger in ledgers) for name in RECEIVED}


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=30) as response:
        return json.load(response)


def test_demo_counts_exactly_what_was_sent(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [*COMMAND, "--exit", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    total = answer["total"]

    # 39 calls of the app are answered; its 6 errors, 6 wrappers and the retries are no calls.
    assert sum(ledger["calls"] for ledger in answer["app"]) == 39
    assert answer["expected_calls"] == answer["history"]["calls"] + 39
    unknown = sum(ledger["calls_without_usage"] for ledger in (answer["history"], *answer["app"]))
    assert total["usage_quality"]["estimated"] == unknown > 0
    assert {name: total[name] - unknown * ESTIMATED.get(name, 0) for name in RECEIVED} == sums(
        answer
    )
    assert sum(row["totals"]["calls"] for row in answer["by_model"]) == total["calls"]
    assert {row["group"]["team"] for row in answer["by_team"]} == {
        "search", "support", "legal", "growth", "engineering", "data",
    }  # fmt: skip
    for name in ("energy_wh", "co2e_g_location", "co2e_g_embodied", "water_ml"):
        assert 0 < total[name]["low"] < total[name]["mid"] < total[name]["high"]
    assert total["cost_usd"] > 0
    assert answer["seconds"] < 120
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("ecomind-demo-*"))


def _hear_ctrl_c() -> None:
    """A shell starts what runs in its background deaf to SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_demo_stays_up_and_ends_quietly(tmp_path: Path, environment: dict[str, str]) -> None:
    demo = subprocess.Popen(
        COMMAND, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=_hear_ctrl_c,
    )  # fmt: skip
    assert demo.stdout and demo.stderr
    try:
        answer = json.loads(demo.stdout.readline())
        with urllib.request.urlopen(answer["page"], timeout=30) as page:
            assert page.status == 200
        listed = get(f"{answer['page']}/v1/calls?service=campaign-writer&limit=200")["calls"]
        calls = [call for call in listed if call["environment"] == "demo"]  # the app, not history
        counted = [call for call in calls if call["counted"]]
        unknown = [call for call in counted if call["usage_quality"] in ("missing", "estimated")]
        assert len(unknown) >= 3  # one stream without usage in each of three rounds
        assert all(call["output_tokens"] for call in counted if call not in unknown)
        failed = [call for call in calls if call["reason"] == "error"]
        assert len(failed) >= 3
        assert not any(call["counted"] or call["energy_wh"] for call in failed)
    finally:
        demo.send_signal(signal.SIGINT)
        _, said = demo.communicate(timeout=60)
    assert demo.returncode == 0, said
    assert "The demo has ended." in said
    assert "Traceback" not in said
    with pytest.raises(OSError):
        get(answer["page"] + "/health")
    assert not list(tmp_path.glob("ecomind-demo-*"))

"""The demo's own words: what it refuses, what it says of a dead child, how it sums up."""

from __future__ import annotations

import io
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from ecomind_query.demo import command, processes, summary
from ecomind_query.demo.errors import DemoError
from ecomind_query.models import Range, Totals, UsageRow

TOTALS = Totals(
    calls=68_169,
    adjusted_calls=68_169.0,
    coverage=1.0,
    usage_quality={"reported": 68_169, "partial": 0, "estimated": 0},
    input_tokens=512_000_000,
    cache_read_tokens=0,
    cache_write_tokens=0,
    output_tokens=28_900_000,
    reasoning_tokens=0,
    energy_wh=Range(low=12_000, mid=36_000, high=108_000),
    co2e_g_location=Range(low=4_000, mid=16_500, high=66_000),
    co2e_g_market=None,
    co2e_g_embodied=Range(low=480, mid=1_440, high=4_320),
    water_ml_onsite=Range(low=0, mid=0, high=0),
    water_ml_offsite=Range(low=0, mid=0, high=0),
    water_ml=Range(low=40_000, mid=120_000, high=360_000),
    cost_usd=1234.5,
    unpriced_calls=0,
)


def options(tmp_path: Path, data_dir: Path | None = None) -> command.Options:
    console = Console(file=io.StringIO(), width=100)
    return command.Options(console, tmp_path, data_dir, exit_after=True, as_json=False)


def said(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().replace("\u202f", " ")


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    command.require_extra()
    monkeypatch.setattr(command, "EXTRA_MODULES", ("openai", "no_such_parent.child"))
    with pytest.raises(DemoError, match=r"no_such_parent\.child.*pip install 'ecomind\[demo\]"):
        command.require_extra()


def test_busy_port_is_replaced_and_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ECOMIND_OTLP_HTTP_PORT", "ECOMIND_OTLP_GRPC_PORT"):
        monkeypatch.setenv(name, "0")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("ECOMIND_API_PORT", str(port))
        asked = options(tmp_path)
        settings = command.server_settings(asked)
    assert settings == {"ECOMIND_API_PORT": "0", "ECOMIND_KEY_DIR": str(tmp_path / "keys")}
    assert said(asked.console) == f"! Port {port} is in use; the page takes another.\n"


def test_kept_data_keeps_the_users_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ECOMIND_API_PORT", "ECOMIND_OTLP_HTTP_PORT", "ECOMIND_OTLP_GRPC_PORT"):
        monkeypatch.setenv(name, "0")
    assert command.server_settings(options(tmp_path, data_dir=tmp_path)) == {}


def test_dead_child_is_reported_with_its_last_lines(tmp_path: Path) -> None:
    log = tmp_path / "server.log"
    log.write_text("\n".join(f"line {number}" for number in range(9)))
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    child.wait()
    with pytest.raises(DemoError, match="The server stopped with status 3") as caught:
        processes.Child(child, "server", log).require_alive()
    assert caught.value.log_lines == ("line 4", "line 5", "line 6", "line 7", "line 8")


def test_app_that_fails_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # an openai that can't be imported
    (tmp_path / "openai.py").write_text("raise RuntimeError('no SDK today')")
    log = tmp_path / "app.log"
    with (
        pytest.raises(DemoError, match="The demo app stopped with status 1") as caught,
        processes.app("http://127.0.0.1:1/v1", "http://127.0.0.1:1", log, once=True),
    ):
        pass
    assert "RuntimeError: no SDK today" in caught.value.log_lines


def test_summary_gives_every_figure_its_range() -> None:
    console = Console(file=io.StringIO(), width=100)
    summary.print_totals(console, TOTALS, 30)
    text = [" ".join(line.split()) for line in said(console).splitlines()]
    assert text == [
        "",
        "The last 30 days: 68,169 calls, 512 M tokens in, 28.9 M out, $1,234.50",
        "low estimate high",
        "Energy 12.0 kWh 36.0 kWh 108 kWh",
        "Carbon 4.00 kg CO₂e 16.5 kg CO₂e 66.0 kg CO₂e",
        "Embodied 480 g CO₂e 1.44 kg CO₂e 4.32 kg CO₂e",
        "Water 40.0 L 120 L 360 L",
    ]


def test_groups_show_the_largest_and_count_the_rest() -> None:
    console = Console(file=io.StringIO(), width=80)
    rows = [UsageRow(group={"team": f"team {number}"}, totals=TOTALS) for number in range(10)]
    summary.print_groups(console, "team", rows)
    lines = [" ".join(line.split()) for line in said(console).splitlines()]
    assert lines[1] == "by team calls tokens energy CO₂e water cost"
    assert lines[2] == "team 0 68,169 541 M 36.0 kWh 16.5 kg 120 L $1,234.50"
    assert len(lines) == 2 + 8 + 1
    assert lines[-1] == "and 2 more"

"""`ecomind grid import` and `grid show`, as a person meets them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ecomind_query.cli import app
from ecomind_receiver.grids.cache import Hour, HourCache
from ecomind_receiver.grids.rows import hour_of

DATA = Path(__file__).parent / "data"
Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("ECOMIND_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(app, ["grid", *map(str, words)])


def test_a_table_is_made_and_shown(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, out = DATA / "entsoe_wide.csv", tmp_path / "grid.csv"
    done = run("import", "entsoe", file, "--zone", "de", "--out", out, "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "out": str(out),
        "hours": {"DEU": 4},
        "from": "2023-10-28T23:00:00+00:00",
        "to": "2023-10-29T03:00:00+00:00",
        "g_per_kwh": {"min": 11.0, "mean": 149.289, "max": 345.156},
        "estimated_hours": 1,
        "incomplete_hours": 1,
        "left_out_share": 0.026667,
        "left_out": {"waste": 0.026667},
        "unknown_zones": [],
    }
    monkeypatch.setenv("ECOMIND_GRID_HOURLY", f"uk-carbon-intensity, file:{out}")
    asked = ("--zone", "Germany", "--from", "2023-10-29T02:00Z", "--to", "2023-10-29T04:00Z")
    shown = json.loads(run("show", *asked, "--json").stdout)
    assert shown["zone"] == "DEU"
    assert shown["hours"] == [
        {
            "hour": "2023-10-29T02:00:00+00:00",
            "average": {
                "g_per_kwh": 120.5,
                "estimated": True,
                "source": "ENTSO-E generation by type, life cycle (IPCC 2014; oil: NREL 2021)",
            },
            "marginal": None,
        },
        {"hour": "2023-10-29T03:00:00+00:00", "average": None, "marginal": None},
    ]
    assert [plugin["hours"] for plugin in shown["plugins"]] == [0, 4]
    table = " ".join(run("show", *asked).stdout.split())
    assert "estimated 120.5" in table
    assert "Average known in 1 of 2 hours." in table


def test_an_import_for_people(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "grid.csv"
    done = run("import", "electricity-maps", DATA / "electricity_maps_2024.csv", "--out", out)
    assert done.exit_code == 0, done.output
    assert "hours of FRA" in done.stdout and "not in the factor set: SE-SE3" in done.stdout
    assert f"ECOMIND_GRID_HOURLY=file:{out}" in done.stderr


def test_what_a_server_has_fetched_is_shown_without_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime.now(UTC)
    cache = HourCache(tmp_path / "data" / "grids" / "uk-carbon-intensity.csv", "GBR")
    cache.put(hour_of(now), Hour(123.5, True))
    cache.save()
    monkeypatch.setenv("ECOMIND_GRID_HOURLY", "uk-carbon-intensity")
    found = json.loads(run("show", "--zone", "gb", "--json").stdout)["hours"]
    assert len(found) in (25, 26)
    known = [each["average"]["g_per_kwh"] for each in found if each["average"]]
    assert known == [123.5]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["import", "wattime", "x.csv", "--out", "y.csv"], 2, "entsoe"),
        (["import", "entsoe", "x.csv", "--out", "y.csv"], 2, "entsoe needs --zone"),
        (["import", "entsoe", "x.csv", "--zone", "de", "--out", "y.xlsx"], 2, "a .csv file"),
        (["import", "entsoe", "x.csv", "--zone", "Atlantis", "--out", "y.csv"], 1, "no zone 'Atl"),
        (["import", "entsoe", "no.csv", "--zone", "de", "--out", "y.csv"], 1, "no.csv can't be"),
        (["import", "entsoe", __file__, "--zone", "de", "--out", "y.csv"], 1, "is no file of Act"),
        (["show", "--zone", "de"], 2, "ECOMIND_GRID_HOURLY names no plug-in"),
    ],
)
def test_refusals(run: Run, words: list[str], code: int, sentence: str) -> None:
    done = run(*words)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("setting", "words", "code", "sentence"),
    [
        ("wattime", [], 2, "The setting ECOMIND_GRID_HOURLY is not usable: 'wattime' is no grid"),
        ("file:/nowhere/grid.csv", [], 2, "/nowhere/grid.csv can't be read"),
        ("uk-carbon-intensity", ["--from", "soon"], 1, "'soon' is not a time"),
        ("uk-carbon-intensity", ["--from", "2020-01-01"], 1, "more than 8,784 hours"),
    ],
)
def test_refusals_to_show(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setenv("ECOMIND_GRID_HOURLY", setting)
    done = run("show", "--zone", "gb", *words)
    assert (done.exit_code, done.stdout) == (code, "")
    assert sentence in done.stderr


def test_a_table_is_replaced_whole_or_not_at_all(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "grid.csv"
    out.write_text("as it was", "utf-8")
    files = (DATA / "entsoe_wide.csv", __file__)
    assert run("import", "entsoe", *files, "--zone", "de", "--out", out).exit_code == 1
    assert out.read_text("utf-8") == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["grid.csv"]

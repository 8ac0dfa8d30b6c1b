"""What ECOMIND_GRID_HOURLY may say, and the sentence for what it may not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError
from support.receiver import make_settings

from ecomind_processor.hourly import Intensity
from ecomind_receiver.grids.entries import UK_URL, TableEntry, UkEntry, parse_entries
from ecomind_receiver.grids.errors import GridError
from ecomind_receiver.grids.factory import grids_from


def test_a_list_is_read_in_order() -> None:
    text = " uk-carbon-intensity, file:/etc/ecomind/grid.csv,, file:m%2C1.Parquet?kind=marginal "
    assert parse_entries(text) == (
        UkEntry(UK_URL),
        TableEntry(Path("/etc/ecomind/grid.csv"), "average"),
        TableEntry(Path("m,1.Parquet"), "marginal"),
    )
    assert parse_entries("") == ()


@pytest.mark.parametrize(
    "url", ["https://copy.example/uk", "http://127.0.0.1:8088", "http://[::1]:8088/"]
)
def test_a_copy_of_the_service_may_be_named(url: str) -> None:
    assert parse_entries(f"uk-carbon-intensity?url={url}") == (UkEntry(url.rstrip("/")),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("wattime", "'wattime' is no grid plug-in; write entries such as uk-carbon-intensity"),
        ("uk-carbon-intensity?kind=marginal", "unknown option; it takes only ?url="),
        ("uk-carbon-intensity?url=http://copy.example", "https address; http is for loopback"),
        ("uk-carbon-intensity?url=ftp://copy.example", "https address"),
        ("file:", "is no grid plug-in"),
        ("file://server/grid.csv", "is no grid plug-in"),
        ("file:/grid.xlsx", "must name a file that ends in .csv or .parquet"),
        ("file:/grid.csv?kind=both", "has the kind 'both'; use one of average, marginal"),
        ("file:/grid.csv?zone=GBR", "unknown option; it takes only ?kind="),
        ("file:/g.csv, file:/g.csv?kind=marginal", "names something twice"),
        ("uk-carbon-intensity,uk-carbon-intensity", "names something twice"),
    ],
)
def test_a_wrong_entry_is_refused_at_start(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make_settings(tmp_path, grid_hourly=text)
    (error,) = refused.value.errors()
    assert error["loc"] == ("grid_hourly",)
    assert reason in error["msg"]


def test_grids_are_built_in_order_and_their_kinds_are_kept_apart(
    tmp_path: Path, zones: frozenset[str]
) -> None:
    for name, g_per_kwh in (("a", 100), ("m", 700)):
        text = f"zone,hour,g_per_kwh\nGBR,2026-11-18T14:00Z,{g_per_kwh}\n"
        (tmp_path / f"{name}.csv").write_text(text, "utf-8")
    text = f"uk-carbon-intensity, file:{tmp_path}/a.csv, file:{tmp_path}/m.csv?kind=marginal"
    grids = grids_from(make_settings(tmp_path, grid_hourly=text), zones)
    hour = datetime(2026, 11, 18, 14, tzinfo=UTC)
    assert grids.average("GBR", hour) == Intensity(100, "a.csv", hour, "average", False)
    assert grids.marginal("GBR", hour) == Intensity(700, "m.csv", hour, "marginal", False)
    assert [(s.name, s.kind, s.hours) for s in grids.statuses()] == [
        ("uk-carbon-intensity", "average", 0),
        (f"{tmp_path}/a.csv", "average", 1),
        (f"{tmp_path}/m.csv", "marginal", 1),
    ]


def test_a_table_with_a_mistake_stops_the_start(tmp_path: Path, zones: frozenset[str]) -> None:
    settings = make_settings(tmp_path, grid_hourly=f"file:{tmp_path}/none.csv")
    with pytest.raises(GridError, match="correct the path in ECOMIND_GRID_HOURLY"):
        grids_from(settings, zones)


def test_a_cache_that_cant_be_read_stops_the_start(tmp_path: Path, zones: frozenset[str]) -> None:
    settings = make_settings(tmp_path, grid_hourly="uk-carbon-intensity")
    (tmp_path / "data").write_text("in the way", "utf-8")
    with pytest.raises(GridError, match=r"uk-carbon-intensity\.csv can't be used: Not a directory"):
        grids_from(settings, zones)


def test_without_the_setting_nothing_is_known_and_nothing_starts(
    tmp_path: Path, zones: frozenset[str]
) -> None:
    with grids_from(make_settings(tmp_path), zones) as grids:
        assert grids.statuses() == ()
    assert not (tmp_path / "data").exists()

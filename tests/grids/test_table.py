"""Tables that an operator fills: what is read, what is refused and how it says so, what changes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from support.receiver import make_settings

from ecomind_receiver.grids import rows, series, table
from ecomind_receiver.grids.errors import GridError
from ecomind_receiver.grids.table import TableGrid
from ecomind_receiver.store import Store

HOUR = datetime(2026, 11, 18, 14, tzinfo=UTC)
HEADER = "zone,hour,g_per_kwh"
FULL = """\
zone,hour,g_per_kwh,source,estimated
GBR,2026-11-18T14:00Z,181.25,"My utility, 2026",false
GBR,2026-11-18T16:00:00+01:00,190,"My utility, 2026",true

DEU,2026-11-18T14:00:00.000Z,0,,
GBR,2026-11-18T13:00Z,170.5,,0
"""


@pytest.fixture
def read(tmp_path: Path, zones: frozenset[str]) -> Callable[[str], TableGrid]:
    def read_text(text: str) -> TableGrid:
        path = tmp_path / "grid.csv"
        path.write_text(text, "utf-8")
        return TableGrid(path, "average", zones)

    return read_text


def figures(grid: TableGrid, zone: str, hours: int = 4) -> list[float | None]:
    """From an hour before HOUR on."""
    found = [grid.factor(zone, HOUR + timedelta(hours=n - 1)) for n in range(hours)]
    return [each.g_per_kwh if each else None for each in found]


def test_a_table_answers_for_its_zones_and_hours(read: Callable[[str], TableGrid]) -> None:
    grid = read(FULL)
    assert grid.zones == {"GBR", "DEU"}
    assert figures(grid, "GBR") == [170.5, 181.25, 190.0, None]
    assert figures(grid, "DEU") == [None, 0.0, None, None]
    assert figures(grid, "FRA") == [None] * 4
    assert grid.factor("GBR", HOUR) == (181.25, "My utility, 2026", HOUR, "average", False)
    assert grid.factor("GBR", HOUR + timedelta(hours=1)).estimated  # type: ignore[union-attr]
    assert grid.factor("DEU", HOUR).source == "grid.csv"  # type: ignore[union-attr]
    assert grid.status()[1:] == ("average", ("DEU", "GBR"), 4, "", {"reads": 1})


def test_columns_may_stand_in_any_order_after_a_mark_of_utf_8(
    read: Callable[[str], TableGrid],
) -> None:
    grid = read("\ufeffG_PER_KWH, Hour ,ZONE\r\n12,2026-11-18T14:00Z,GBR\r\n")
    assert figures(grid, "GBR") == [None, 12.0, None, None]


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "the column zone is missing; the first line must name zone, hour, g_per_kwh"),
        ("zone,hour\n", 1, "the column g_per_kwh is missing"),
        (f"{HEADER},note\n", 1, "the column 'note' is unknown or there twice"),
        (f"{HEADER},hour\n", 1, "the column 'hour' is unknown or there twice"),
        (f"{HEADER}\nDE,2026-11-18T14:00Z,1\n", 2, "the zone 'DE' is not in the factor set"),
        (f"{HEADER}\nGBR,yesterday,1\n", 2, "the hour 'yesterday' is not a time; write 2026"),
        (f"{HEADER}\nGBR,2026-11-18T14:00,1\n", 2, "has no time zone; add Z for UTC"),
        (f"{HEADER}\nGBR,2026-11-18T14:30Z,1\n", 2, "is not a full hour in UTC"),
        (f"{HEADER}\nGBR,2026-11-18T14:00+05:30,1\n", 2, "is not a full hour in UTC"),
        (f"{HEADER}\nGBR,1999-12-31T23:00Z,1\n", 2, "must lie in 2000 to 2099"),
        (f"{HEADER}\nGBR,2026-11-18T14:00Z,much\n", 2, "g_per_kwh is 'much', which is no number"),
        (f"{HEADER}\nGBR,2026-11-18T14:00Z,1_0\n", 2, "g_per_kwh is '1_0', which is no number"),
        (f"{HEADER}\nGBR,2026-11-18T14:00Z,-1\n", 2, "must be from 0 to 2000 grams per kWh"),
        (f"{HEADER}\nGBR,2026-11-18T14:00Z,2001\n", 2, "must be from 0 to 2000"),
        (f"{HEADER}\nGBR,2026-11-18T14:00Z,nan\n", 2, "must be from 0 to 2000"),
        (f"{HEADER}\nGBR,2026-11-18T14:00Z\n", 2, "it has 2 values for 3 columns"),
        (f"{HEADER},estimated\nGBR,2026-11-18T14:00Z,1,perhaps\n", 2, "write true or false"),
        (f"{HEADER},source\nGBR,2026-11-18T14:00Z,1,{'x' * 201}\n", 2, "longer than 200"),
        (f'{HEADER}\nGBR,2026-11-18T14:00Z,"1\n', 2, "it is no CSV"),
        (
            f"{HEADER}\nGBR,2026-11-18T14:00Z,1\nGBR,2026-11-18T13:00Z,1\nGBR,2026-11-18T15:00+01:00,2\n",
            4,
            "the hour of GBR was given before, in 2; remove one of the two",
        ),
    ],
)
def test_a_mistake_is_named_with_file_line_and_fix(
    read: Callable[[str], TableGrid], tmp_path: Path, text: str, line: int, reason: str
) -> None:
    with pytest.raises(GridError) as refused:
        read(text)
    said = str(refused.value)
    assert said.startswith(f"{tmp_path / 'grid.csv'}, line {line}: ")
    assert reason in said
    assert said.endswith(".")


def test_other_bytes_are_no_table(tmp_path: Path, zones: frozenset[str]) -> None:
    path = tmp_path / "grid.csv"
    path.write_bytes(HEADER.encode() + b"\nGBR,2026-11-18T14:00Z,\xff\n")
    with pytest.raises(GridError, match="not UTF-8 text"):
        TableGrid(path, "average", zones)


def test_a_file_that_is_not_there_is_named_with_the_setting(
    tmp_path: Path, zones: frozenset[str]
) -> None:
    with pytest.raises(GridError, match=r"none\.csv can't be read: No such file.*GRID_HOURLY"):
        TableGrid(tmp_path / "none.csv", "average", zones)


def test_rows_and_sources_are_bounded(
    read: Callable[[str], TableGrid], monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"GBR,2026-11-18T{hour:02}:00Z,1,source {hour}" for hour in range(4)]
    text = "\n".join([f"{HEADER},source", *lines, ""])
    monkeypatch.setattr(series, "SOURCES_MAX", 3)
    with pytest.raises(GridError, match="line 5: there are more than 3 different sources"):
        read(text)
    monkeypatch.setattr(rows, "ROWS_MAX", 3)
    monkeypatch.setattr(series, "SOURCES_MAX", 1000)
    with pytest.raises(GridError, match="line 5: there are more than 3 rows; split the table"):
        read(text)


def test_a_new_version_is_taken_up_and_a_bad_one_is_not(
    read: Callable[[str], TableGrid], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    grid, path = read(FULL), tmp_path / "grid.csv"
    assert not grid.reload()
    path.write_text(f"{HEADER}\nFRA,2026-11-18T14:00Z,33\n", "utf-8")
    assert grid.reload()
    assert grid.zones == {"FRA"}
    assert grid.error == ""
    path.write_text(f"{HEADER}\nFRA,2026-11-18T14:00Z,-33\n", "utf-8")
    for _ in range(3):
        assert not grid.reload()
    assert figures(grid, "FRA") == [None, 33.0, None, None]
    assert "line 2: g_per_kwh is -33" in grid.error
    assert grid.error.endswith("The rows read before are still in use.")
    assert [r.message for r in caplog.records if r.levelname == "ERROR"] == [
        "a table of hourly intensities can't be used"
    ]
    path.unlink()
    assert not grid.reload()
    assert "can't be read" in grid.error
    path.write_text(f"{HEADER}\nFRA,2026-11-18T14:00Z,34\n", "utf-8")
    assert grid.reload()
    assert (figures(grid, "FRA")[1], grid.error) == (34.0, "")


def test_a_started_table_looks_by_itself(
    read: Callable[[str], TableGrid], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "LOOK_SECONDS", 0.01)
    grid, was_read = read(FULL), threading.Event()
    reload = grid.reload

    def told() -> None:
        if reload():
            was_read.set()

    monkeypatch.setattr(grid, "reload", told)
    grid.start()
    try:
        fresh = tmp_path / "fresh"
        fresh.write_text(f"{HEADER}\nFRA,2026-11-18T14:00Z,33\n", "utf-8")
        os.replace(fresh, tmp_path / "grid.csv")
        assert was_read.wait(60)
    finally:
        grid.stop()
    assert grid.zones == {"FRA"}


WRITE_PARQUET = """
import sys
from ecomind_receiver.store import memory_engine
engine = memory_engine()
engine.command(f"INSERT INTO FUNCTION file('{sys.argv[1]}', 'Parquet') {sys.argv[2]}")
engine.close()
"""


def write_parquet(path: Path, select: str) -> None:
    """By an engine in a process of its own: this one may hold a store."""
    subprocess.run([sys.executable, "-c", WRITE_PARQUET, str(path), select], check=True)


ROWS_OF_FULL = """SELECT * FROM values(
  'zone String, hour DateTime64(3, \\'UTC\\'), g_per_kwh Float32,
   source Nullable(String), estimated Bool',
  ('GBR', '2026-11-18 14:00:00', 181.25, 'My utility, 2026', false),
  ('GBR', '2026-11-18 15:00:00', 190, 'My utility, 2026', true),
  ('DEU', '2026-11-18 14:00:00', 0, NULL, false),
  ('GBR', '2026-11-18 13:00:00', 170.5, '', false))"""


def test_parquet_and_csv_are_the_same_table_also_beside_a_store(
    read: Callable[[str], TableGrid], tmp_path: Path, zones: frozenset[str]
) -> None:
    path = tmp_path / "odd {name}*.parquet"
    write_parquet(tmp_path / "plain.parquet", ROWS_OF_FULL)
    os.replace(tmp_path / "plain.parquet", path)
    of_csv = read(FULL)
    store = Store(make_settings(tmp_path / "home"))
    try:
        of_parquet = TableGrid(path, "average", zones)
    finally:
        store.close()
    assert of_parquet.zones == of_csv.zones
    for zone in of_csv.zones:
        for hour in (HOUR + timedelta(hours=n - 1) for n in range(4)):
            one, other = of_parquet.factor(zone, hour), of_csv.factor(zone, hour)
            if one is None or other is None:
                assert one is other
            else:
                assert one._replace(source="") == other._replace(source="")
                assert one.source == other.source.replace("grid.csv", path.name)


@pytest.mark.parametrize(
    ("select", "reason"),
    [
        ("SELECT 'GBR' AS zone, '2026-11-18T14:00:00Z' AS hour", "the column g_per_kwh is missing"),
        (
            "SELECT 'GBR' AS zone, '2026-11-18T14:00:00Z' AS hour, 1 AS g_per_kwh"
            " UNION ALL SELECT 'XXX', '2026-11-18T14:00:00Z', 2",
            "row 2: the zone 'XXX'",
        ),
        (
            "SELECT 'GBR' AS zone, toDateTime64('2026-11-18 14:30:00', 6, 'UTC') AS hour,"
            " 1 AS g_per_kwh",
            "row 1: the hour '2026-11-18T14:30:00.000000Z' is not a full hour",
        ),
    ],
)
def test_mistakes_in_parquet_are_named_by_row(
    tmp_path: Path, zones: frozenset[str], select: str, reason: str
) -> None:
    write_parquet(tmp_path / "grid.parquet", select)
    with pytest.raises(GridError) as refused:
        TableGrid(tmp_path / "grid.parquet", "average", zones)
    assert reason in str(refused.value)


def test_what_is_no_parquet_is_refused_without_quoting_it(
    tmp_path: Path, zones: frozenset[str]
) -> None:
    path = tmp_path / "grid.parquet"
    path.write_bytes(b"secret,words\n")
    with pytest.raises(GridError, match="can't be read as Parquet: engine error") as refused:
        TableGrid(path, "average", zones)
    assert "secret" not in str(refused.value)

"""Electricity Maps' hourly files: both generations of their headers, and what is no hourly file.

The files in `data` have the headers and zones of real downloads and figures of ours.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ecomind_query.grids.electricity_maps import Boundary
from ecomind_query.grids.errors import ImportRefused
from ecomind_query.grids.imports import Imported, import_electricity_maps
from ecomind_receiver.grids.rows import moment_of

DATA = Path(__file__).parent / "data"
HEADER = "Datetime (UTC),Zone id,Carbon intensity gCO₂eq/kWh (Life cycle),Data estimated\n"


def imported(*paths: Path, zone: str = "", boundary: Boundary = Boundary.LIFE_CYCLE) -> Imported:
    return import_electricity_maps(list(paths), zone, boundary, lambda _: None)


def hours(found: Imported) -> list[tuple[str, str, float, bool]]:
    return [(r.zone, f"{moment_of(r.hour):%Y %H}", r.g_per_kwh, r.estimated) for r in found.rows]


def test_zones_are_ours_and_the_life_cycle_is_taken() -> None:
    found = imported(DATA / "electricity_maps_2024.csv", DATA / "electricity_maps_2021.csv")
    assert hours(found) == [
        ("FRA", "2021 10", 38.0, False),
        ("FRA", "2021 11", 39.0, False),
        ("FRA", "2024 00", 40.25, False),
        ("FRA", "2024 01", 41.25, True),
    ]
    assert found.incomplete_hours == 1
    assert found.unknown_zones == ["SE-SE3"]
    assert {row.source for row in found.rows} == {"Electricity Maps, life cycle"}


def test_direct_emissions_on_request() -> None:
    found = imported(DATA / "electricity_maps_2021.csv", boundary=Boundary.DIRECT)
    assert [row.g_per_kwh for row in found.rows] == [18.0, 19.0]
    assert {row.source for row in found.rows} == {"Electricity Maps, direct"}


def test_one_zone_may_be_taken_for_one_of_ours(tmp_path: Path) -> None:
    lines = (DATA / "electricity_maps_2024.csv").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "se3.csv").write_text("".join([lines[0], *lines[4:]]), "utf-8")
    assert [row.zone for row in imported(tmp_path / "se3.csv", zone="SWE").rows] == ["SWE", "SWE"]
    with pytest.raises(ImportRefused, match=r"no zone for SE-SE3\. Say with --zone"):
        imported(tmp_path / "se3.csv")
    with pytest.raises(ImportRefused, match="files of one zone; these hold FR, SE-SE3"):
        imported(DATA / "electricity_maps_2024.csv", zone="SWE")


def test_finer_files_become_hours(tmp_path: Path) -> None:
    rows = [f"2024-01-01 {n // 12:02}:{n % 12 * 5:02}:00,FR,{n},false\n" for n in range(18)]
    (tmp_path / "fine.csv").write_text(HEADER + "".join(rows), "utf-8")
    found = imported(tmp_path / "fine.csv")
    # The mean of 0 to 11; the second hour has 6 of its 12 lines.
    assert hours(found) == [("FRA", "2024 00", 5.5, False)]
    assert found.incomplete_hours == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", r"has no column 'datetime \(utc\)'"),
        ("Datetime (UTC),Zone id\n", r"has no column 'carbon intensity' with \(life cycle\) or"),
        (HEADER, "The factor set has no zone for no rows"),
        (HEADER + "2024-01-01,FR,1,false\n", "is it a daily, monthly or yearly file"),
        (HEADER + "2024-01-01,FR,1,x\n2024-02-01,FR,1,x\n", "is it a daily, monthly or yearly"),
        (HEADER + "soon,FR,1,false\n", "line 2: Invalid isoformat string"),
        (HEADER + "2024-01-01,FR,much,false\n", "line 2: could not convert"),
        (HEADER + "2024-01-01\n", "line 2: it has too few columns"),
        (
            HEADER + "2024-01-01 00:00,FR,-5,x\n2024-01-01 01:00,FR,5,x\n",
            "line 2: -5.0 g/kWh is none",
        ),
        (
            HEADER + "2024-01-01 00:00,US-CA,1,x\n2024-01-01 00:00,US-CAL-CISO,1,x\n",
            "US-CA and US-CAL-CISO are both US-CAISO here",
        ),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "odd.csv").write_text(text, "utf-8")
    with pytest.raises(ImportRefused, match=reason):
        imported(tmp_path / "odd.csv")

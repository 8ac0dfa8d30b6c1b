"""Generation by type becomes an intensity: each layout of ENTSO-E's files, an hour worked by hand.

The files in `data` have the headers, areas, times and marks of real downloads; their figures are
ours, chosen so that an hour can be worked out in the head.
"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from ecomind_query.grids.errors import ImportRefused
from ecomind_query.grids.generation import Generation, generation
from ecomind_query.grids.imports import Imported, import_entsoe, write
from ecomind_query.grids.mtu import Mtu, MtuError, MtuReader
from ecomind_receiver.grids.rows import moment_of
from ecomind_receiver.grids.table import TableGrid

DATA = Path(__file__).parent / "data"


def imported(*names: str | Path, zone: str = "DEU", area: str = "") -> Imported:
    return import_entsoe([DATA / name for name in names], zone, area, lambda _: None)


def hours(found: Imported) -> list[tuple[str, float, bool]]:
    return [(f"{moment_of(r.hour):%m-%d %H}", r.g_per_kwh, r.estimated) for r in found.rows]


def test_the_old_layout_with_a_column_for_each_type() -> None:
    """29 October 2023, 01:00 in Berlin, is 23:00 UTC of the day before.

    Biomass 100·230 + lignite 200·820 + gas 100·490 + hard coal 100·820 + oil 10·840 + wind 450·11
    = 331,350; over 960 MWh: 345.15625. Pumped storage is not generation, nuclear there is none,
    and 40 MWh of waste are left out: 40 of 1,000 MWh that hour.
    02:00 comes twice, at 00:00 and 01:00 UTC: (100·230 + 100·11) / 200 = 120.5, then wind, 11.
    At 03:00 lignite is missing, which was reported that day; at 04:00 everything is.
    """
    found = imported("entsoe_wide.csv")
    assert hours(found) == [
        ("10-28 23", 345.156, False),
        ("10-29 00", 120.5, False),
        ("10-29 01", 11.0, False),
        ("10-29 02", 120.5, True),
    ]
    # 04:00 has nothing but what there is none of; 1,000 + 200 + 100 + 200 MWh in the others.
    assert found.incomplete_hours == 1
    assert found.left_out == {"waste": pytest.approx(40 / 1500)}


def test_the_new_layout_with_a_row_for_each_type() -> None:
    """31 March 2024: clocks go from 02:00 to 03:00, so 03:00 in Amsterdam is 01:00 UTC.

    Gas 100, 200, 300 and 400 MW in the quarters of that hour are 250 MWh, solar is 50 MWh:
    (250·490 + 50·48) / 300 = 416.333. The hour before has two of its four quarters: not written.
    27 October 2024: 02:00 (CEST) is 00:00 UTC and 02:00 (CET) is 01:00 UTC; each lacks a type.
    """
    found = imported("entsoe_rows.csv", zone="NLD")
    assert hours(found) == [
        ("03-31 01", 416.333, False),
        ("10-27 00", 48.0, True),
        ("10-27 01", 490.0, True),
    ]
    assert found.incomplete_hours == 1


def test_the_file_library_with_all_of_europe() -> None:
    """Run-of-river 3,000·24 + gas 1,000·490 = 562,000; over 4,000 MWh: 140.5."""
    for area in ("AT", "at", "Austria (AT)", "10YAT-APG------L"):
        assert hours(imported("entsoe_library.csv", zone="AUT", area=area)) == [
            ("02-01 00", 140.5, False)
        ]
    assert hours(imported("entsoe_library.csv", zone="FRA", area="FR")) == [
        ("02-01 00", 12.0, False)
    ]


def test_several_areas_need_a_choice() -> None:
    with pytest.raises(ImportRefused, match=r"several areas, such as FR and AT\. Choose one"):
        imported("entsoe_library.csv")
    with pytest.raises(ImportRefused, match=r"several areas, such as CTY\|Germany \(DE\) and BZN"):
        imported("entsoe_wide.csv", "entsoe_rows.csv")
    with pytest.raises(ImportRefused, match="holds no rows of the area DK1"):
        imported("entsoe_library.csv", area="DK1")
    assert hours(imported("entsoe_rows.csv", zone="NLD", area="nl"))
    assert hours(imported("entsoe_wide.csv", area="CTY|Germany (DE)"))


def test_years_of_older_column_names(tmp_path: Path) -> None:
    text = (
        "DateTime\tResolutionCode\tAreaCode\tAreaTypeCode\tAreaName\tMapCode\tProductionType\t"
        "ActualGenerationOutput\tActualConsumption\tUpdateTime\n"
        "2020-03-01 05:00:00.000\tPT60M\tX\tCTY\tAT CTY\tAT\tSolar\t10.00\t\t2020-03-06\n"
    )
    (tmp_path / "2020.csv").write_text(text, "utf-8-sig")
    assert hours(imported(tmp_path / "2020.csv", zone="AUT")) == [("03-01 05", 48.0, False)]


def test_the_table_that_is_written_answers(tmp_path: Path, zones: frozenset[str]) -> None:
    found = imported("entsoe_wide.csv")
    write(tmp_path / "grid.csv", found.rows)
    grid = TableGrid(tmp_path / "grid.csv", "average", zones)
    answer = grid.factor("DEU", datetime(2023, 10, 28, 23, tzinfo=UTC))
    assert answer is not None
    assert (answer.g_per_kwh, answer.estimated) == (345.156, False)
    assert answer.source == "ENTSO-E generation by type, life cycle (IPCC 2014; oil: NREL 2021)"


def test_what_is_told_last_stands(tmp_path: Path) -> None:
    header = '"MTU (UTC)","Area","Production Type","Generation (MW)"\n'
    for name, mw in (("first", 100), ("second", 300)):
        rows = '"01/01/2024 00:00 - 01/01/2024 01:00","BZN|NL","{}","{}"\n'
        text = header + rows.format("Solar", 100) + rows.format("Fossil Gas", mw)
        (tmp_path / f"{name}.csv").write_text(text, "utf-8")
    found = imported(tmp_path / "first.csv", tmp_path / "second.csv", zone="NLD")
    assert hours(found) == [("01-01 00", (100 * 48 + 300 * 490) / 400, False)]


def test_an_hour_with_much_that_has_no_factor_is_estimated(tmp_path: Path) -> None:
    header = '"MTU (UTC)","Area","Production Type","Generation (MW)"\n'
    row = '"01/01/2024 {0} - 01/01/2024 {1}","BZN|NL","{2}","{3}"\n'
    text = header
    for start, end, other in (("00:00", "01:00", 5), ("01:00", "02:00", 6), ("02:00", "03:00", 0)):
        text += row.format(start, end, "Solar", 0 if start == "02:00" else 95)
        text += row.format(start, end, "Fusion", other) + row.format(start, end, "Other", 0)
    (tmp_path / "nl.csv").write_text(text, "utf-8")
    found = imported(tmp_path / "nl.csv", zone="NLD")
    assert hours(found) == [("01-01 00", 48.0, False), ("01-01 01", 48.0, True)]
    assert found.incomplete_hours == 1
    assert found.left_out == {"fusion": pytest.approx(11 / 201)}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no file of Actual Generation per Production Type"),
        ("a,b\n1,2\n", "is no file of Actual Generation per Production Type"),
        ("MTU (UTC),Area,Production Type\n", r"column 'generation \(mw\)' is missing"),
        ("MTU (UTC),Area,Production Type,Generation (MW)\n", "holds no rows"),
        ("{rows}" + "x" * 200_000 + ",NL,Solar,1\n", "is no CSV: field larger than"),
        ("{rows}yesterday,NL,Solar,1\n", "line 2: 'yesterday' is no time unit such as"),
        ("{rows}31/02/2024 00:00 - 31/02/2024 01:00,NL,Solar,1\n", "line 2: .* is no date"),
        ("{rows}01/01/2024 00:00 - 01/01/2024 01:00,NL,Solar,much\n", "line 2: .*'much'"),
        ("{rows}01/01/2024 00:00 - 01/01/2024 01:00,NL,Solar,inf\n", "line 2: 'inf' is no power"),
        ("{rows}01/01/2024 00:00 - 01/01/2024 01:00,NL\n", "line 2: it has too few columns"),
        ("{rows}01/01/2024 00:10 - 01/01/2024 00:25,NL,Solar,1\n", "15 minutes from 00:10 are no"),
        ("{rows}01/01/2024 00:00 - 02/01/2024 00:00,NL,Solar,1\n", "1440 minutes from 00:00"),
        ("{rows}01/01/2024 00:00 - 01/01/2024 01:00,NL,Hydro Pumped Storage,1\n", "No hour is"),
        (
            "MTU,Area,Production Type,Generation (MW)\n"
            "01/01/2024 00:00 - 01/01/2024 01:00 (EET),NL,Solar,1\n",
            "in the zone 'EET'; export in UTC or CET/CEST",
        ),
        (
            "DateTime(UTC)\tResolutionCode\tAreaCode\tProductionType\tActualGenerationOutput[MW]\n"
            "2026-02-01\tP1D\tX\tSolar\t1\n",
            "the resolution 'P1D' is unknown",
        ),
    ],
)
def test_other_files_are_refused_with_line_and_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    rows = "MTU (UTC),Area,Production Type,Generation (MW)\n"
    (tmp_path / "odd.csv").write_text(text.replace("{rows}", rows), "utf-8")
    with pytest.raises(ImportRefused, match=reason):
        imported(tmp_path / "odd.csv", zone="NLD")


def test_other_bytes_are_refused(tmp_path: Path) -> None:
    (tmp_path / "odd.csv").write_bytes(b"MTU (UTC),\xff\n")
    with pytest.raises(ImportRefused, match="not UTF-8"):
        imported(tmp_path / "odd.csv")


@pytest.mark.parametrize(
    ("text", "start", "minutes"),
    [
        ("29/10/2023 01:45 - 29/10/2023 02:00", "2023-10-28T23:45Z", 15),
        ("29/10/2023 02:45 (CEST) - 29/10/2023 02:00 (CET)", "2023-10-29T00:45Z", 15),
        ("29/10/2023 02:00 (CEST) - 29/10/2023 02:00 (CET)", "2023-10-29T00:00Z", 60),
        ("29/10/2023 02:45 (CET) - 29/10/2023 03:00 (CET)", "2023-10-29T01:45Z", 15),
        ("26/03/2023 01:45 - 26/03/2023 03:00", "2023-03-26T00:45Z", 15),
        ("26/03/2023 01:00:00 - 26/03/2023 03:00:00", "2023-03-26T00:00Z", 60),
    ],
)
def test_units_around_the_change_of_clocks(text: str, start: str, minutes: int) -> None:
    unit = MtuReader("MTU (CET/CEST)").read(text)
    assert unit == Mtu(datetime.fromisoformat(start), minutes)


def test_an_hour_that_clocks_skip_is_none() -> None:
    assert MtuReader("MTU (CET/CEST)").read("26/03/2023 02:00 - 26/03/2023 03:00") is None


def test_a_unit_without_a_zone_is_refused() -> None:
    with pytest.raises(MtuError, match="in the zone '\\?'"):
        MtuReader("MTU").read("26/03/2023 01:00 - 26/03/2023 02:00")


def test_the_factors_are_those_of_the_tables_that_they_name() -> None:
    # IPCC AR5 WG III, Annex III, table A.III.2, medians; NREL/FS-6A50-80580 for oil.
    ipcc = {
        "Biomass": 230, "Fossil Brown coal/Lignite": 820, "Fossil Gas": 490,
        "Fossil Hard coal": 820, "Geothermal": 38, "Hydro Run-of-river and poundage": 24,
        "Hydro Run-of-river and pondage": 24, "Hydro Water Reservoir": 24, "Marine": 17,
        "Nuclear": 12, "Solar": 48, "Wind Offshore": 12, "Wind Onshore": 11,
    }  # fmt: skip
    table = generation()
    assert {n: v for n, (v, by) in table.types.items() if by == "ipcc-ar5"} == ipcc
    assert {n: v for n, (v, by) in table.types.items() if by == "nrel-2021"} == {"Fossil Oil": 840}
    assert {m.unit for m in table.measures.values()} == {"g/kWh"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"types": {"Solar": [48, "nobody"]}}, "add the measures"),
        ({"storage": ["Solar"]}, "a type stands in two places"),
        ({"more": 1}, "Extra inputs"),
    ],
)
def test_a_table_with_a_mistake_is_refused(change: dict[str, object], reason: str) -> None:
    text = files("ecomind_query").joinpath("grids", "generation.yaml").read_text("utf-8")
    with pytest.raises(ValidationError, match=reason):
        Generation.model_validate(yaml.safe_load(text) | change)

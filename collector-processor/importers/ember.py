"""Writes the yearly figures of countries and continents, by Ember as Our World in Data gives them.

Reads `owid-energy-data.csv` of Our World in Data, or an extract with the columns `country`,
`iso_code`, `year`, `carbon_intensity_elec` and the shares of fossil, nuclear and renewable
electricity. Single chart downloads (`Entity,Code,Year,<value>`) can add what an extract lacks: name
the column each one stands for. Where a share is not printed it comes from generation in TWh.

Writes the measures `ember` and `ember-mix` of `carbon.yaml`, for the zones in `zones.yaml`.
"""

from __future__ import annotations

import argparse
import csv
from collections import defaultdict
from pathlib import Path

from importers import carbon_file

URL = "https://ourworldindata.org/grapher/carbon-intensity-electricity"
MIX_URL = "https://ourworldindata.org/grapher/share-elec-by-source"
LICENCE = "CC BY 4.0"

# Zones that are no country, and what Our World in Data calls them. A row of Ember's own is taken
# before one that Our World in Data adds up from several sources: it reaches further.
AGGREGATES = {
    "WOR": "World",
    "AFRICA": "Africa (Ember)",
    "ASIA": "Asia (Ember)",
    "EU": "EU (Ember)",
    "EUROPE": "Europe (Ember)",
    "LATIN-AMERICA": "Latin America and Caribbean (Ember)",
    "MIDDLE-EAST": "Middle East (Ember)",
    "NORTH-AMERICA": "North America (Ember)",
    "OCEANIA": "Oceania (Ember)",
}

Year = dict[str, float]
Table = defaultdict[str, defaultdict[int, Year]]


def read_energy(path: Path, table: Table) -> None:
    """Adds the rows of `owid-energy-data.csv`."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            figures = table[_zone(row["country"], row["iso_code"])][int(row["year"])]
            for column in (*_SHARES, *_GENERATION, "carbon_intensity_elec"):
                if row.get(column):
                    figures[column] = float(row[column])


def read_chart(path: Path, column: str, table: Table) -> None:
    """Adds one chart's download as a column; what the table already holds stays."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        for entity, code, year, value, *_ in list(csv.reader(file))[1:]:
            if value:
                table[_zone(entity, code)][int(year)].setdefault(column, float(value))


def mix(figures: Year) -> list[float] | None:
    """The shares of a year, where they are printed or follow from what is."""
    fossil, nuclear, renewable = (
        _share(figures, column, parts) for column, parts in _SHARES.items()
    )
    if fossil is None or renewable is None:
        return None
    if nuclear is None:  # a country without reactors can have a blank instead of a zero
        nuclear = 0.0
    return carbon_file.mix_of(fossil, nuclear, renewable)


_SHARES = {
    "fossil_share_elec": ("coal_electricity", "gas_electricity", "oil_electricity"),
    "nuclear_share_elec": ("nuclear_electricity",),
    "renewables_share_elec": ("renewables_electricity",),
}
_GENERATION = ("electricity_generation", *(part for parts in _SHARES.values() for part in parts))


def _share(figures: Year, column: str, parts: tuple[str, ...]) -> float | None:
    if column in figures:
        return figures[column]
    total = figures.get("electricity_generation")
    if not total or not all(part in figures for part in parts):
        return None
    return 100 * sum(figures[part] for part in parts) / total


def _zone(entity: str, code: str) -> str:
    by_name = {name: zone for zone, name in AGGREGATES.items()}
    return by_name.get(entity) or (code if len(code) == 3 else entity)


def main() -> None:
    """Runs the import."""
    parser = carbon_file.options(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("energy", type=Path, help="owid-energy-data.csv")
    parser.add_argument("--chart", action="append", default=[], help="<column>=<chart's .csv>")
    parser.add_argument("--release", required=True, help="year and month of the data, as 2026-04")
    args = parser.parse_args()

    table: Table = defaultdict(lambda: defaultdict(dict))
    read_energy(args.energy, table)
    for chart in args.chart:
        column, path = chart.split("=", 1)
        read_chart(Path(path), column, table)

    zones = carbon_file.known_zones(args.factors)
    carbon: dict[str, carbon_file.Years] = defaultdict(dict)
    mixes: dict[str, carbon_file.Mixes] = defaultdict(dict)
    for zone in sorted(zones & table.keys()):
        for year, figures in sorted(table[zone].items()):
            if year < carbon_file.FIRST_YEAR:
                continue
            if intensity := figures.get("carbon_intensity_elec"):
                carbon[zone][year] = round(intensity, 2)
            if shares := mix(figures):
                mixes[zone][year] = shares
            elif "fossil_share_elec" in figures:
                print(f"{zone} {year}: the shares don't add up; left out")

    release = f"release of {args.release}"
    title = "Ember, yearly electricity data, by way of Our World in Data"
    year = int(args.release[:4])
    path = args.factors / "carbon.yaml"
    file = carbon_file.load(path)
    file.add(
        "ember",
        {
            "unit": "g/kWh",
            "boundary": "life cycle of generation, production mix, location-based, calendar year;"
            " CO2e",
            "source": carbon_file.source(
                f"{title} (carbon intensity of electricity, {release})",
                URL,
                year,
                LICENCE,
                args.retrieved,
            ),
            **({"note": args.note} if args.note else {}),
        },
        carbon=carbon,
    )
    file.add(
        "ember-mix",
        {
            "unit": "% of generation",
            "boundary": "share of electricity generated in the zone, calendar year; fossil: coal,"
            " gas, oil and other; renewable: hydropower, wind, solar, bioenergy and other",
            "source": carbon_file.source(
                f"{title} (electricity by source, {release})",
                MIX_URL,
                year,
                LICENCE,
                args.retrieved,
            ),
            **({"note": args.note} if args.note else {}),
        },
        mix=mixes,
    )
    path.write_text(file.render(), encoding="utf-8")
    print(f"{len(carbon)} zones with a carbon intensity, {len(mixes)} with a mix")
    lacking = sorted(key for key in table.keys() - zones if _is_country(key, table))
    print("countries that have a carbon intensity and no zone:", ", ".join(lacking))


def _is_country(key: str, table: Table) -> bool:
    return len(key) == 3 and any("carbon_intensity_elec" in year for year in table[key].values())


if __name__ == "__main__":
    main()

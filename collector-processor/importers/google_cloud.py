"""Writes the yearly carbon intensity of the grids that Google Cloud regions draw from.

Reads the folder `data/yearly` of Google's repository region-carbon-info: one `.csv` a year. Each
year is a release of its own. The share of carbon-free energy in these files counts what Google
buys, so it is no mix of the grid and stays out. A zero (Montréal in 2021 and
2022) would claim a grid without emissions and stays out too.

Writes the measures `gcp-<year>` of `carbon.yaml`, for the regions in `zones.yaml`. The zone of a
region is its name in capitals with `GCP-` before it.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

from importers import carbon_file

URL = "https://github.com/GoogleCloudPlatform/region-carbon-info"
LICENCE = "Apache-2.0"

# When the figures of a year first appeared in the repository.
RELEASED = {2019: 2021, 2020: 2021, 2021: 2022, 2022: 2023, 2023: 2024, 2024: 2025}

_GRID = "rid carbon intensity"


def read(path: Path) -> tuple[bool, dict[str, float]]:
    """Whether a file says its figures are of the life cycle, and the figures by region."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        column = next(name for name in reader.fieldnames or () if _GRID in name)
        figures = {row["Google Cloud Region"]: float(row[column]) for row in reader if row[column]}
    return column.startswith("Lifecycle"), figures


def main() -> None:
    """Runs the import."""
    parser = carbon_file.options(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("yearly", type=Path, help="the folder data/yearly")
    args = parser.parse_args()

    zones = carbon_file.known_zones(args.factors)
    path = args.factors / "carbon.yaml"
    file = carbon_file.load(path)
    for table in sorted(args.yearly.glob("[0-9][0-9][0-9][0-9].csv")):
        year = int(table.stem)
        if year not in RELEASED:
            raise carbon_file.ImportFailure(f"say in RELEASED when {table.name} came out.")
        life_cycle, figures = read(table)
        kind = "life-cycle" if life_cycle else "operational gross"
        carbon = {
            zone: {year: round(figure, 2)}
            for region, figure in figures.items()
            if (zone := f"GCP-{region.upper()}") in zones and figure > 0
        }
        file.add(
            f"gcp-{year}",
            {
                "unit": "g/kWh",
                "boundary": f"{kind} emissions of the grid a Google Cloud region draws from,"
                f" location-based, {year}; CO2e",
                "source": carbon_file.source(
                    f"Google Cloud, region-carbon-info {year}",
                    URL,
                    RELEASED[year],
                    LICENCE,
                    args.retrieved,
                ),
                **({"note": args.note} if args.note else {}),
            },
            carbon=carbon,
        )
        print(f"{year}: {len(carbon)} of {len(figures)} regions")
    path.write_text(file.render(), encoding="utf-8")


if __name__ == "__main__":
    main()

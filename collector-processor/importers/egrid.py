"""Writes one year of the US grid subregions, from the summary tables of the EPA's eGRID.

Reads the summary tables of one data year: the workbook (`.xlsx`, sheets "Table 1" and "Table 2"),
or the text of their PDF (`.txt`, as a PDF reader saves it). Takes the total output rate of CO2 in
lb/MWh from table 1 and the resource mix from table 2.

Writes the measures `egrid-<year>` and `egrid-<year>-mix` of `carbon.yaml`, for the subregions in
`zones.yaml`. The zone of a subregion is its acronym with `US-` before it.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from importers import carbon_file, workbook

URL = "https://www.epa.gov/egrid/summary-data"
LICENCE = "US government work"
G_PER_KWH = 0.45359237  # of a pound per MWh
ZONES = {"CAMX": "US-CAISO"}  # zones that are named otherwise

# The resource mix's columns, in the order of table 2. The last one, fuel that is unknown or bought
# as waste heat, is in none of the three shares.
FOSSIL, NUCLEAR, RENEWABLE = slice(0, 4), slice(4, 5), slice(5, 10)
FUELS = 11


def from_workbook(path: Path) -> Iterator[tuple[str, float, list[float]]]:
    """Acronym, rate in lb/MWh and fuel shares in percent of each subregion."""
    rates = {acronym: float(cells[0]) for acronym, cells in _cells(path, "Table 1")}
    for acronym, cells in _cells(path, "Table 2"):
        # nameplate capacity and net generation come before the shares
        yield acronym, rates[acronym], [100 * float(cell) for cell in cells[2 : 2 + FUELS]]


def from_text(path: Path) -> Iterator[tuple[str, float, list[float]]]:
    """The same, from the text of the PDF."""
    rates: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = re.match(r"([A-Z]{4}) \D+?((?: [\d,.]+%?)+)$", line.strip())
        if not match:
            continue
        acronym, numbers = match[1], match[2].split()
        shares = [number for number in numbers if number.endswith("%")]
        if len(shares) == FUELS:
            yield acronym, rates[acronym], [float(share.rstrip("%")) for share in shares]
        else:
            rates[acronym] = float(numbers[0].replace(",", ""))


def _cells(path: Path, sheet: str) -> Iterator[tuple[str, list[str]]]:
    for cells in workbook.rows(path, sheet):
        filled = [cell for cell in cells if cell]
        if filled and re.fullmatch(r"[A-Z]{4}", filled[0]):  # the name of the subregion follows
            yield filled[0], filled[2:]


def main() -> None:
    """Runs the import."""
    parser = carbon_file.options(__doc__ or "")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("tables", type=Path, help="the summary tables, .xlsx or .txt")
    parser.add_argument("--data-year", type=int, required=True)
    parser.add_argument("--released", type=int, required=True, help="year of this edition")
    parser.add_argument("--edition", default="", help='as "revision 2"')
    args = parser.parse_args()

    text = args.tables.suffix == ".txt"
    zones = carbon_file.known_zones(args.factors)
    carbon: dict[str, carbon_file.Years] = {}
    mixes: dict[str, carbon_file.Mixes] = {}
    for acronym, rate, fuels in (from_text if text else from_workbook)(args.tables):
        zone = ZONES.get(acronym, f"US-{acronym}")
        if zone not in zones:
            continue
        # the PDF prints one decimal of lb/MWh, the workbook three
        carbon[zone] = {args.data_year: round(rate * G_PER_KWH, 1 if text else 2)}
        parts = (sum(fuels[part]) for part in (FOSSIL, NUCLEAR, RENEWABLE))
        if shares := carbon_file.mix_of(*parts):
            mixes[zone] = {args.data_year: shares}
        else:
            print(f"{zone}: the shares don't add up; left out")

    title = " ".join(filter(None, [f"US EPA, eGRID{args.data_year}", args.edition]))
    name = f"egrid-{args.data_year}"
    path = args.factors / "carbon.yaml"
    file = carbon_file.load(path)
    file.add(
        name,
        {
            "unit": "g/kWh",
            "boundary": "combustion at the plants, CO2 only (CH4 and N2O add about 0.5 %), output"
            f" rate of the eGRID subregion, location-based, {args.data_year}; lb/MWh x 0.45359237",
            "source": carbon_file.source(
                f"{title}, summary table 1: subregion output emission rates",
                URL,
                args.released,
                LICENCE,
                args.retrieved,
            ),
            "note": "Combustion only, so it reads lower than a life-cycle figure of the same grid."
            + (f" {args.note}" if args.note else ""),
        },
        carbon=carbon,
    )
    file.add(
        f"{name}-mix",
        {
            "unit": "% of generation",
            "boundary": f"share of net generation in the eGRID subregion, {args.data_year}; fossil:"
            " coal, oil, gas and other fossil; renewable: hydropower, biomass, wind, solar and"
            " geothermal; fuel that is unknown or purchased is in none of them",
            "source": carbon_file.source(
                f"{title}, summary table 2: subregion resource mix",
                URL,
                args.released,
                LICENCE,
                args.retrieved,
            ),
            **({"note": args.note} if args.note else {}),
        },
        mix=mixes,
    )
    path.write_text(file.render(), encoding="utf-8")
    print(f"{len(carbon)} zones with a carbon intensity, {len(mixes)} with a mix")


if __name__ == "__main__":
    main()

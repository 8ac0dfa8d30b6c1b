"""Writes the water stress class of countries into the rows of `zones.yaml`.

Reads the country rankings of WRI's Aqueduct: the workbook of the download (`.xlsx`, sheet
"country_baseline"), or that sheet as `.csv`. Takes baseline water stress (`bws`) weighted by total
withdrawal (`Tot`); a country without a class, and a zone that is no country, gets none.

Changes nothing in `zones.yaml` but the `stress` of its rows. The measure they name stands there and
is kept by hand.
"""

from __future__ import annotations

import argparse
import csv
import re
from collections.abc import Iterable
from pathlib import Path

from importers import carbon_file, workbook

# What a label of Aqueduct begins with, in small letters and without blanks.
CLASSES = {
    "low(": "low",
    "low-medium(": "low-medium",
    "medium-high(": "medium-high",
    "high(": "high",
    "extremelyhigh(": "extremely-high",
    "aridandlowwateruse": "arid",
}


def classes(rows: Iterable[list[str]]) -> dict[str, str]:
    """The class of each country by its ISO code."""
    lines = iter(rows)
    header = next(lines)
    found: dict[str, str] = {}
    for line in lines:
        row = dict(zip(header, line, strict=False))
        if row.get("indicator_name") != "bws" or row.get("weight") != "Tot":
            continue
        label = row["label"].lower().replace(" ", "")
        for start, name in CLASSES.items():
            if label.startswith(start):
                found[row["gid_0"]] = name
    return found


def stressed(text: str, by_country: dict[str, str], measure: str) -> str:
    """`zones.yaml` with the classes of its countries in place of those it had."""
    return "\n".join(_line(line, by_country, measure) for line in text.split("\n"))


def _line(line: str, by_country: dict[str, str], measure: str) -> str:
    match = re.match(r"  - \{id: ([A-Z]{3}), .*tier: C,", line)
    if not match:
        return line
    line = re.sub(r", stress: \[[^]]*\]", "", line)
    name = by_country.get(match[1])
    if name is None:
        return line
    return re.sub(r"(, aliases: .*)?\}$", rf", stress: [{name}, {measure}]\g<0>", line, count=1)


def main() -> None:
    """Runs the import."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--factors", type=Path, default=carbon_file.FACTORS)
    parser.add_argument("--measure", required=True, help="the measure in zones.yaml")
    parser.add_argument("rankings", type=Path, help="the country rankings, .xlsx or .csv")
    args = parser.parse_args()

    if args.rankings.suffix == ".csv":
        with args.rankings.open(encoding="utf-8-sig", newline="") as file:
            by_country = classes(list(csv.reader(file)))
    else:
        by_country = classes(workbook.rows(args.rankings, "country_baseline"))
    path = args.factors / "zones.yaml"
    text = stressed(path.read_text(encoding="utf-8"), by_country, args.measure)
    path.write_text(text, encoding="utf-8")
    print(f"{text.count(', stress: [')} zones with a class, of {len(by_country)} countries read")


if __name__ == "__main__":
    main()

"""Reads and writes `carbon.yaml`: the yearly carbon intensity and electricity mix of grid zones.

Every importer owns some measures of the file. It hands over their figures, which replace what the
file held under the same measures; the rest stays as it was, so the importers can run in any order.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FIRST_YEAR = 2015
FACTORS = Path(__file__).resolve().parent.parent / "ecomind_processor" / "factors"

Years = dict[int, float]
Mixes = dict[int, list[float]]

HEADER = """\
# Carbon intensity of the electricity of each grid zone, and what it was made from, year by year.
#
# The scripts in `collector-processor/importers/` write this file; change them, not a number here.
# A year of a zone stands under one measure only. `mix` gives the shares [fossil, nuclear,
# renewable] of generation in percent; a few tenths can be missing, for what the source assigns to
# none of the three.
"""


class ImportFailure(Exception):
    """The input can't become figures. The message says what is wrong with it."""


@dataclass
class CarbonFile:
    """The content of `carbon.yaml`."""

    measures: dict[str, dict[str, Any]] = field(default_factory=dict)
    carbon: dict[str, dict[str, Years]] = field(default_factory=dict)
    mix: dict[str, dict[str, Mixes]] = field(default_factory=dict)

    def drop(self, measures: Iterable[str]) -> None:
        """Forgets everything under these measures."""
        for name in measures:
            self.measures.pop(name, None)
            for years in self.carbon.values():
                years.pop(name, None)
            for mixes in self.mix.values():
                mixes.pop(name, None)

    def add(
        self,
        name: str,
        measure: dict[str, Any],
        carbon: Mapping[str, Years] | None = None,
        mix: Mapping[str, Mixes] | None = None,
    ) -> None:
        """Puts the figures of one measure, zone by zone, in place of its former ones."""
        self.drop([name])
        self.measures[name] = measure
        for zone, years in (carbon or {}).items():
            if years:
                self.carbon.setdefault(zone, {})[name] = years
        for zone, mixes in (mix or {}).items():
            if mixes:
                self.mix.setdefault(zone, {})[name] = mixes

    def render(self) -> str:
        """The file's text: measures, zones and years in order."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield HEADER
        yield "measures:"
        for name, measure in sorted(self.measures.items()):
            yield f"  {name}:"
            for key, value in measure.items():
                yield f"    {key}: {_inline(value)}"
        yield ""
        yield "carbon:"
        for zone, by_measure in sorted(self.carbon.items()):
            _once_a_year(zone, by_measure.values())
            yield from _row(zone, by_measure, 2)
        yield ""
        yield "mix:"
        for zone, mixes in sorted(self.mix.items()):
            _once_a_year(zone, mixes.values())
            yield from _row(zone, mixes, 1)


def load(path: Path) -> CarbonFile:
    """Reads the file; one that is not there yet is empty."""
    if not path.exists():
        return CarbonFile()
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return CarbonFile(content["measures"], content["carbon"], content["mix"])


def known_zones(factors: Path) -> set[str]:
    """The ids in `zones.yaml`."""
    content = yaml.safe_load((factors / "zones.yaml").read_text(encoding="utf-8"))
    return {row["id"] for row in content["zones"]}


def options(description: str) -> argparse.ArgumentParser:
    """A parser with the options that all importers share."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--factors", type=Path, default=FACTORS, help="folder of the YAML sources")
    parser.add_argument(
        "--retrieved",
        type=datetime.date.fromisoformat,
        required=True,
        help="the day on which the input was downloaded",
    )
    parser.add_argument("--note", default="", help="how the input differs from the publisher's")
    return parser


def source(
    title: str, url: str, year: int, licence: str, retrieved: datetime.date
) -> dict[str, Any]:
    """The `source` of a measure."""
    return {"title": title, "url": url, "year": year, "licence": licence, "retrieved": retrieved}


def mix_of(fossil: float, nuclear: float, renewable: float) -> list[float] | None:
    """Three shares in percent, or nothing where they don't account for the generation."""
    shares = [abs(round(share, 1)) for share in (fossil, nuclear, renewable)]
    return shares if abs(sum(shares) - 100) <= 0.6 else None


def _once_a_year(zone: str, series: Iterable[Mapping[int, object]]) -> None:
    seen: set[int] = set()
    for years in series:
        if twice := seen & years.keys():
            raise ImportFailure(f"{zone}: two measures claim {sorted(twice)}.")
        seen |= years.keys()


def _row(zone: str, by_measure: Mapping[str, Mapping[int, Any]], decimals: int) -> Iterator[str]:
    parts = [
        f"{name}: {{{', '.join(f'{y}: {_figure(v, decimals)}' for y, v in sorted(years.items()))}}}"
        for name, years in sorted(by_measure.items())
    ]
    if parts:
        yield f"  {zone}: {{{', '.join(parts)}}}"


def _figure(value: float | list[float], decimals: int) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_figure(share, decimals) for share in value)}]"
    return f"{value:.{decimals}f}".rstrip("0").rstrip(".")


def _inline(value: object) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_inline(item)}' for key, item in value.items())}}}"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return str(value).lower() if isinstance(value, bool) else str(value)

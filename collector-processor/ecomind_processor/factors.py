"""Factor sets: every number the method uses, with its unit, boundary and source.

Owns reading a compiled set. A set is one immutable JSON file, made by `ecomind factors compile`
from the YAML beside it and read here with the standard library alone, so that the receiver, the SDK
and an auditor's notebook hold the same numbers. Its SHA-256 is checked on load: a set that was
edited by hand is refused, because stored rows name the set as their evidence.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from ecomind_processor.factor_rows import (
    UNDATED,
    Architecture,
    Dated,
    Facility,
    Host,
    Hosting,
    LibraryMix,
    Line,
    Measure,
    Mix,
    Model,
    ModelClass,
    Number,
    Series,
    Source,
    Spelling,
    Zone,
)

DEFAULT_SET = "ecomind-2026.2.0"
"""The set that new events are enriched with, unless another was chosen."""


class FactorSetError(Exception):
    """A factor set that isn't there, or isn't what its checksum says. The message names the fix."""


@dataclass(frozen=True, eq=False)
class FactorSet:
    """One immutable, versioned set of factors. Hashed by identity, so it can key a cache."""

    id: str
    published: datetime.date
    method: str
    sha256: str
    notice: str
    measures: Mapping[str, Measure]
    constants: Mapping[str, Number]
    energy_bands: Mapping[str, float]
    grid_bands: Mapping[str, float]
    benchmarks: Mapping[str, Number]
    architectures: Mapping[str, Architecture]
    registered: Mapping[str, str]
    hostings: Mapping[str, Hosting]
    mixes: Mapping[str, LibraryMix]
    classes: Mapping[str, ModelClass]
    models: Mapping[str, Model]
    names: Mapping[str, str]
    aliases: Mapping[str, str]
    lines: tuple[Line, ...]
    spelling: Spelling
    zones: Mapping[str, Zone]
    zone_names: Mapping[str, str]
    facilities: Mapping[str, Facility]
    facility_names: Mapping[str, str]
    regions: Mapping[str, tuple[str, str]]
    hosts: tuple[Host, ...]

    @classmethod
    def load(cls, name: str = "") -> FactorSet:
        """The set of that name, or the chosen one.

        Raises FactorSetError when there is none or it was altered.
        """
        return _load(name or _chosen[-1])

    @cached_property
    def epochs(self) -> tuple[datetime.date, ...]:
        """Days on which something may resolve differently than the day before, oldest first."""
        series = (number for zone in self.zones.values() for number in zone.co2e_g_per_kwh)
        ratios = (n for f in self.facilities.values() for s in (f.pue, f.wue_l_per_kwh) for n in s)
        years = {number.year for number in (*series, *ratios)} - {UNDATED}
        released = {m.released for m in self.models.values() if m.released}
        return tuple(sorted(released | {datetime.date(year, 1, 1) for year in years}))

    def constant(self, name: str) -> float:
        """The value of a constant of the method, in the unit that the set states."""
        return self.constants[name].value


def fold(name: str) -> str:
    """The form in which model names are compared: lower case, dots as hyphens."""
    return name.strip().lower().replace(".", "-")


_FOLDERS: list[Traversable] = [files("ecomind_processor") / "factors"]


_chosen = [DEFAULT_SET]


def choose(name: str, folder: Path | None = None) -> FactorSet:
    """Enrich with this set from now on in this process, and look for sets in `folder` too.

    A set that ships with Ecomind goes before one of the same name there. Raises FactorSetError.
    """
    if folder is not None and folder not in _FOLDERS:
        if not folder.is_dir():
            raise FactorSetError(f"There is no folder {folder} with factor sets.")
        _FOLDERS.append(folder)
    found = _load(name)
    _chosen.append(name)
    return found


def available() -> tuple[str, ...]:
    """Names of the sets that can be loaded."""
    found = (file.name for folder in _FOLDERS for file in folder.iterdir())
    return tuple(sorted({name[:-5] for name in found if name.endswith(".json")}))


def read_document(name: str) -> dict[str, Any]:
    """The compiled document of that name. Raises FactorSetError as `FactorSet.load` does."""
    known = available()
    for folder in _FOLDERS if name in known else ():
        file = folder / f"{name}.json"
        if file.is_file():
            return _checked(name, file)
    raise FactorSetError(f"There is no factor set {name!r} here. Use one of: {', '.join(known)}.")


def _checked(name: str, file: Traversable) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    if document.get("id") != name or checksum(document) != document.get("sha256"):
        raise FactorSetError(
            f"The factor set {name!r} does not match its checksum. "
            "Reinstall Ecomind, or run `ecomind factors compile` if you changed its sources."
        )
    return document


def checksum(document: Mapping[str, Any]) -> str:
    """SHA-256 of a compiled set in canonical form, its own `sha256` left out."""
    body = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _load(name: str) -> FactorSet:
    return parse(read_document(name))


def parse(d: Mapping[str, Any]) -> FactorSet:
    """A factor set from a compiled document, which is trusted to be valid."""
    models = {m["id"]: _model(m) for m in d["models"]}
    zones = {z["id"]: _zone(z) for z in d["zones"]}
    facilities = {f["id"]: _facility(f) for f in d["facilities"]}
    architectures = {key: _architecture(a) for key, a in d["architectures"].items()}
    listed = sorted(architectures.items(), reverse=True)
    return FactorSet(
        id=d["id"],
        published=datetime.date.fromisoformat(d["published"]),
        method=d["method"],
        sha256=d["sha256"],
        notice=d["notice"],
        measures={key: _measure(m) for key, m in d["measures"].items()},
        constants={key: Number(*n) for key, n in d["constants"].items()},
        energy_bands=d["bands"]["energy"],
        grid_bands=d["bands"]["grid"],
        benchmarks={key: Number(*n) for key, n in d["benchmarks"].items()},
        architectures=architectures,
        registered={fold(key.rpartition("/")[2]): key for key, a in listed if a.provider},
        hostings=_hostings(d.get("providers", {})),
        mixes={zone: LibraryMix(*mix) for zone, mix in d.get("mixes", {}).items()},
        classes={c["id"]: _class(c) for c in d["classes"]},
        models=models,
        names={fold(name): m.id for m in models.values() for name in (m.id, *m.names)},
        aliases={fold(name): m.id for m in models.values() for name in m.aliases},
        lines=tuple(_line(x) for x in d["lines"]),
        spelling=_spelling(d["spelling"]),
        zones=zones,
        zone_names={
            name.lower(): z.id for z in zones.values() for name in (z.name, *z.aliases, z.id)
        },
        facilities=facilities,
        facility_names={name: f.id for f in facilities.values() for name in (f.id, *f.aliases)},
        regions={key: (zone, facility) for key, (zone, facility) in d["regions"].items()},
        hosts=tuple(Host(re.compile(h["match"]), h["facility"], h["zone"]) for h in d["hosts"]),
    )


def _measure(m: Mapping[str, Any]) -> Measure:
    s = m["source"]
    retrieved = datetime.date.fromisoformat(s["retrieved"])
    source = Source(s["title"], s["url"], s["year"], s["licence"], retrieved)
    return Measure(m["unit"], m["boundary"], source, m["judgement"], m["note"])


def _architecture(a: Mapping[str, Any]) -> Architecture:
    total, active = a["total_b"], a["active_b"]
    return Architecture(
        total_b=(total[0], total[1]),
        active_b=(active[0], active[1]),
        tokens_per_second=a.get("tokens_per_second"),
        by=a["by"],
        seconds_to_first_token=a.get("seconds_to_first_token"),
        provider=a.get("provider", ""),
    )


def _hostings(providers: Mapping[str, Any]) -> dict[str, Hosting]:
    """EcoLogits' providers by the facilities of ours that they stand for."""
    return {
        facility: Hosting(key, h["zone"], tuple(h["pue"]), tuple(h["wue"]), h["by"])
        for key, h in providers.items()
        for facility in h["serves"]
    }


def _series(raw: Sequence[Any]) -> Series:
    """A number of every year known: [[year, value, measure], …], or [value, measure] of none."""
    rows = raw if isinstance(raw[0], list) else [[UNDATED, *raw]]
    return Series(Dated(*row) for row in rows)


def _class(c: Mapping[str, Any]) -> ModelClass:
    return ModelClass(
        c["id"], c["name"], tuple(c["models"]), c["architecture"], tuple(c["markers"])
    )


def _model(m: Mapping[str, Any]) -> Model:
    return Model(
        id=m["id"],
        vendor=m["vendor"],
        released=_day(m["released"]),
        retired=_day(m["retired"]),
        kind=m["kind"],
        evidence=m["evidence"],
        names=tuple(m["names"]),
        aliases=tuple(m["aliases"]),
    )


def _day(text: str | None) -> datetime.date | None:
    return datetime.date.fromisoformat(text) if text else None


def _line(x: Mapping[str, Any]) -> Line:
    return Line(
        x["id"], re.compile(x["match"]), tuple(map(fold, x["pointers"])), tuple(x["models"])
    )


def _spelling(s: Mapping[str, Any]) -> Spelling:
    return Spelling(
        s["region_prefixes"],
        frozenset(s["vendor_prefixes"]),
        frozenset(s["tags"]),
        tuple(s["suffixes"]),
    )


def _zone(z: Mapping[str, Any]) -> Zone:
    return Zone(
        id=z["id"],
        name=z["name"],
        tier=z["tier"],
        parent=z["parent"],
        co2e_g_per_kwh=_series(z["co2e"]),
        water_l_per_kwh=Number(*z["water"]) if z["water"] else None,
        aliases=tuple(z["aliases"]),
        mix=tuple(Mix(*row) for row in z.get("mix", ())),
        water_stress=tuple(z["stress"]) if z.get("stress") else None,
    )


def _facility(f: Mapping[str, Any]) -> Facility:
    return Facility(
        id=f["id"],
        name=f["name"],
        zone=f["zone"],
        pue=_series(f["pue"]),
        wue_l_per_kwh=_series(f["wue"]),
        water_basis=f["water_basis"],
        aliases=tuple(f["aliases"]),
    )

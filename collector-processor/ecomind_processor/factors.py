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
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

DEFAULT_SET = "ecomind-2026.1"
"""The set that new events are enriched with."""


class FactorSetError(Exception):
    """A factor set that isn't there, or isn't what its checksum says. The message names the fix."""


class Number(NamedTuple):
    """A number and the key of the measure that says its unit, boundary and source."""

    value: float
    by: str


@dataclass(frozen=True)
class Source:
    """Where a number was read. `retrieved` is the day somebody looked."""

    title: str
    url: str
    year: int
    licence: str
    retrieved: datetime.date


@dataclass(frozen=True)
class Measure:
    """What numbers of one origin mean. `judgement` marks what nobody has measured."""

    unit: str
    boundary: str
    source: Source
    judgement: bool
    note: str


@dataclass(frozen=True)
class Architecture:
    """Parameter counts in billions as (min, max), and the serving speed where known."""

    total_b: tuple[float, float]
    active_b: tuple[float, float]
    tokens_per_second: float | None
    by: str


@dataclass(frozen=True)
class Model:
    """A catalogue entry. `kind` is benchmark, architecture, like or class; `evidence` its key."""

    id: str
    vendor: str
    released: datetime.date | None
    retired: datetime.date | None
    kind: str
    evidence: str
    names: tuple[str, ...]
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class ModelClass:
    """What an unknown name costs: the geometric mean of `models`, or one `architecture`.

    A name that holds one of `markers` belongs to the class.
    """

    id: str
    name: str
    models: tuple[str, ...]
    architecture: str
    markers: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A family and tier of it, models oldest first; what moving pointers and new names mean."""

    id: str
    match: re.Pattern[str]
    pointers: tuple[str, ...]
    models: tuple[str, ...]


@dataclass(frozen=True)
class Zone:
    """A grid zone: g CO2e and litres of water per kWh. No water means the parent's."""

    id: str
    name: str
    tier: str
    parent: str
    co2e_g_per_kwh: Number
    water_l_per_kwh: Number | None
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Facility:
    """Who runs the machines. WUE: L per kWh of IT energy, by consumption or withdrawal."""

    id: str
    name: str
    zone: str
    pue: Number
    wue_l_per_kwh: Number
    water_basis: str
    aliases: tuple[str, ...]


@dataclass(frozen=True)
class Host:
    """An endpoint's host: `match` may capture `region`; `zone` is "" where the host says none."""

    match: re.Pattern[str]
    facility: str
    zone: str


@dataclass(frozen=True)
class Spelling:
    """What is taken off a name before it is looked up."""

    region_prefixes: Mapping[str, str]
    vendor_prefixes: frozenset[str]
    tags: frozenset[str]
    suffixes: tuple[str, ...]


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
    def load(cls, name: str = DEFAULT_SET) -> FactorSet:
        """The set of that name. Raises FactorSetError when there is none or it was altered."""
        return _load(name)

    def constant(self, name: str) -> float:
        """The value of a constant of the method, in the unit that the set states."""
        return self.constants[name].value


def fold(name: str) -> str:
    """The form in which model names are compared: lower case, dots as hyphens."""
    return name.strip().lower().replace(".", "-")


def available() -> tuple[str, ...]:
    """Names of the sets that this installation holds."""
    folder = files("ecomind_processor") / "factors"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".json")))


def checksum(document: Mapping[str, Any]) -> str:
    """SHA-256 of a compiled set in canonical form, its own `sha256` left out."""
    body = {key: value for key, value in document.items() if key != "sha256"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@cache
def _load(name: str) -> FactorSet:
    if name not in available():
        raise FactorSetError(
            f"There is no factor set {name!r} here. Use one of: {', '.join(available())}."
        )
    file = files("ecomind_processor") / "factors" / f"{name}.json"
    document = json.loads(file.read_text(encoding="utf-8"))
    if checksum(document) != document["sha256"]:
        raise FactorSetError(
            f"The factor set {name!r} does not match its checksum. "
            "Reinstall Ecomind, or run `ecomind factors compile` if you changed its sources."
        )
    return parse(document)


def parse(d: Mapping[str, Any]) -> FactorSet:
    """A factor set from a compiled document, which is trusted to be valid."""
    models = {m["id"]: _model(m) for m in d["models"]}
    zones = {z["id"]: _zone(z) for z in d["zones"]}
    facilities = {f["id"]: _facility(f) for f in d["facilities"]}
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
        architectures={key: _architecture(a) for key, a in d["architectures"].items()},
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
        (total[0], total[1]), (active[0], active[1]), a["tokens_per_second"], a["by"]
    )


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
        co2e_g_per_kwh=Number(*z["co2e"]),
        water_l_per_kwh=Number(*z["water"]) if z["water"] else None,
        aliases=tuple(z["aliases"]),
    )


def _facility(f: Mapping[str, Any]) -> Facility:
    return Facility(
        id=f["id"],
        name=f["name"],
        zone=f["zone"],
        pue=Number(*f["pue"]),
        wue_l_per_kwh=Number(*f["wue"]),
        water_basis=f["water_basis"],
        aliases=tuple(f["aliases"]),
    )

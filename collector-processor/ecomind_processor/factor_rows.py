"""The rows of a factor set: what one model, zone or facility carries.

Every number knows the measure that says its unit, boundary and source, and, where it is a year's,
its year: a figure holds from the first of January of its year until a newer one is known, and the
oldest also for the time before it.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

UNDATED = 0
"""The year of a number that is no year's."""


class Number(NamedTuple):
    """A number and the key of the measure that says its unit, boundary and source."""

    value: float
    by: str


class Dated(NamedTuple):
    """A number of one calendar year (UNDATED: of none) and the key of its measure."""

    year: int
    value: float
    by: str


class Series(tuple[Dated, ...]):
    """The years of one number, oldest first; never empty."""

    def on(self, day: datetime.date) -> Dated:
        """The newest number whose year has begun by `day`; before all of them, the oldest."""
        return next((d for d in reversed(self) if d.year <= day.year), self[0])


class Mix(NamedTuple):
    """Shares of a year's electricity in percent, and the key of their measure."""

    year: int
    fossil: float
    nuclear: float
    renewable: float
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
    """Parameter counts in billions as (min, max), and the serving speed where known.

    `provider` is EcoLogits' name of the provider where the row is EcoLogits', else "".
    """

    total_b: tuple[float, float]
    active_b: tuple[float, float]
    tokens_per_second: float | None
    by: str
    seconds_to_first_token: float | None = None
    provider: str = ""


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
    """A grid zone: g CO2e and litres of water per kWh. No water means the parent's.

    `water_stress` is the class of its baseline water stress and the key of the measure.
    """

    id: str
    name: str
    tier: str
    parent: str
    co2e_g_per_kwh: Series
    water_l_per_kwh: Number | None
    aliases: tuple[str, ...]
    mix: tuple[Mix, ...] = ()
    water_stress: tuple[str, str] | None = None


@dataclass(frozen=True)
class Facility:
    """Who runs the machines. WUE: L per kWh of IT energy, by consumption or withdrawal."""

    id: str
    name: str
    zone: str
    pue: Series
    wue_l_per_kwh: Series
    water_basis: str
    aliases: tuple[str, ...]


class LibraryMix(NamedTuple):
    """A country's electricity as EcoLogits uses it, and the key of the measure."""

    co2e_g_per_kwh: float
    water_l_per_kwh: float
    by: str


@dataclass(frozen=True)
class Hosting:
    """Whose machines EcoLogits puts a provider's models on: spans as (min, max)."""

    provider: str
    zone: str
    pue: tuple[float, float]
    wue_l_per_kwh: tuple[float, float]
    by: str


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

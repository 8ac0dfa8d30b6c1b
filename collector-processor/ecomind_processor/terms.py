"""What an organisation has agreed or knows better than the factor set: its terms.

Owns which statement of an organisation holds for a call on a day. There are four kinds: the energy
of a model, a contract for electricity, where something runs, and the method. Of several that fit,
the one that is about the call most narrowly holds, then the one that came into force last, then the
one approved last; nothing is ever edited, so the order of the statements is part of their meaning.

Every number here was stated by the organisation and carries the document it was read in, which
goes into the texts of the coefficients, so that a figure says whose word it rests on. Wh are of IT
energy with idle capacity included, as in coefficients, so that nothing is multiplied in again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar

from ecomind_processor import models
from ecomind_processor.factor_rows import Facility, Zone
from ecomind_processor.factors import FactorSet, fold

OVERRIDE, DISCLOSED = "override", "disclosed"
BASES = {OVERRIDE: "override of the organisation", DISCLOSED: "disclosure of the provider"}
"""Basis of an energy statement → how coefficients name it."""

INSTRUMENTS = {
    "ppa": "power purchase agreement",
    "certificate": "energy attribute certificates (EAC, GO, REC)",
    "tariff": "supplier's tariff",
    "residual_mix": "residual mix",
}
"""What makes a market-based factor contractual (GHG Protocol, Scope 2 Guidance, 2015)."""

MARKET = "; market: "
"""Before the contract in the text that says how a zone was found."""

ANYBODY = ""
"""A statement without a provider is about all of them."""


class Document(NamedTuple):
    """Where a statement can be read: title, address or file reference, year."""

    title: str
    reference: str
    year: int

    def __str__(self) -> str:
        """As coefficients and explanations cite it."""
        return f"{self.title} ({self.year}), {self.reference}"


class InForce(Protocol):
    """A statement and the days it holds for."""

    @property
    def valid_from(self) -> date:
        """Its first UTC day."""

    @property
    def valid_to(self) -> date | None:
        """The UTC day before which it ends; None: it does not."""


@dataclass(frozen=True)
class EnergyOverride:
    """Wh of IT energy per token of a model; what is left out follows the method's ratios."""

    model: str
    wh_per_output_token: float
    document: Document
    valid_from: date
    valid_to: date | None = None
    provider: str = ANYBODY
    basis: str = OVERRIDE
    wh_per_input_token: float | None = None
    wh_per_cache_read_token: float | None = None
    wh_per_cache_write_token: float | None = None


@dataclass(frozen=True)
class Contract:
    """Grams of CO2e per kWh of facility energy, market-based, at a provider; 0 is a number."""

    provider: str
    co2e_g_per_kwh: float
    instrument: str
    document: Document
    valid_from: date
    valid_to: date | None = None
    zone: str = ""


@dataclass(frozen=True)
class RegionMap:
    """The grid zone of a stated place (region or endpoint's host), or of a provider's calls."""

    zone: str
    valid_from: date
    valid_to: date | None = None
    place: str = ""
    provider: str = ANYBODY


@dataclass(frozen=True)
class OwnMethod:
    """The method that the organisation counts by, one of `resolution.METHODS`."""

    method: str
    valid_from: date
    valid_to: date | None = None


Statement = EnergyOverride | Contract | RegionMap | OwnMethod
KINDS: dict[str, type[Statement]] = {
    "energy": EnergyOverride,
    "contract": Contract,
    "region": RegionMap,
    "method": OwnMethod,
}
"""Name of a kind → its statements; `Terms` has a field of each name."""

_S = TypeVar("_S", bound=InForce)


class Zones(NamedTuple):
    """Grid zones by stated place and by facility, as an organisation has mapped them."""

    by_place: Mapping[str, str] = {}
    by_facility: Mapping[str, str] = {}


@dataclass(frozen=True)
class Terms:
    """Everything an organisation has stated, each kind in the order of approval."""

    energy: tuple[EnergyOverride, ...] = ()
    contract: tuple[Contract, ...] = ()
    region: tuple[RegionMap, ...] = ()
    method: tuple[OwnMethod, ...] = ()

    @cached_property
    def id(self) -> int:
        """Content address: the first 64 bits of SHA-256 over the document; 0 for nothing stated."""
        if not any(getattr(self, kind) for kind in KINDS):
            return 0
        canonical = json.dumps(self.document(), sort_keys=True, separators=(",", ":"))
        return int.from_bytes(hashlib.sha256(canonical.encode()).digest()[:8], "big")

    @cached_property
    def epochs(self) -> tuple[date, ...]:
        """Days on which something may resolve differently than the day before, oldest first."""
        stated = [each for kind in KINDS for each in getattr(self, kind)]
        days = {day for each in stated for day in (each.valid_from, each.valid_to) if day}
        return tuple(sorted(days))

    def document(self) -> dict[str, list[dict[str, Any]]]:
        """The terms as JSON can hold them; `parse` reads them again."""
        return {kind: [written(each) for each in getattr(self, kind)] for kind in KINDS}

    def method_on(self, day: date) -> str:
        """The method of the organisation; "" where the set's own holds."""
        found = latest(in_force(self.method, day))
        return found.method if found else ""

    def zones_on(self, day: date, factors: FactorSet) -> Zones:
        """Where things run by the organisation's word."""
        known = [each for each in in_force(self.region, day) if each.zone in factors.zones]
        holding = sorted(known, key=lambda each: each.valid_from)
        return Zones(
            {each.place: each.zone for each in holding if each.place},
            {facility_of(each.provider, factors): each.zone for each in holding if not each.place},
        )

    def contract_on(
        self, day: date, facility: Facility, zone: Zone, factors: FactorSet
    ) -> Contract | None:
        """The contract for what a facility takes from a zone's grid; one for the zone comes first.

        A contract for a zone also covers the zones within it, as a market does.
        """
        around = _around(zone, factors)
        fitting = [
            each
            for each in in_force(self.contract, day)
            if facility_of(each.provider, factors) == facility.id
            and (not each.zone or each.zone in around)
        ]
        nearest = min((_distance(each, around) for each in fitting), default=0)
        return latest(each for each in fitting if _distance(each, around) == nearest)

    def energy_on(
        self, day: date, names: Iterable[str], facility: Facility, factors: FactorSet
    ) -> EnergyOverride | None:
        """The energy stated for a model of one of these names; one for its provider comes first."""
        fitting = [
            each
            for each in in_force(self.energy, day)
            if each.provider == ANYBODY or facility_of(each.provider, factors) == facility.id
        ]
        for name in filter(None, names):
            meant = _meant(name, factors) if fitting else frozenset()
            named = [each for each in fitting if _literal(each.model, factors) in meant]
            found = latest(e for e in named if e.provider) or latest(named)
            if found or models.identify(name, day, factors):
                return found
        return None


NO_TERMS = Terms()
"""Of an organisation that has stated nothing."""


def market_text(contract: Contract) -> str:
    """The evidence for a market-based factor, as it follows the text about the zone."""
    return f"{MARKET}{INSTRUMENTS[contract.instrument]}, {contract.document}"


def facility_of(provider: str, factors: FactorSet) -> str:
    """The facility that a provider's id or alias means; itself where the set knows none."""
    return factors.facility_names.get(provider, provider)


def in_force(stated: Iterable[_S], day: date) -> list[_S]:
    """Those that hold on the day: from the first of their days on, before the end."""
    return [
        each
        for each in stated
        if each.valid_from <= day and (each.valid_to is None or day < each.valid_to)
    ]


def latest(stated: Iterable[_S]) -> _S | None:
    """What came into force last; of the same day, what was approved last."""
    found: _S | None = None
    for each in stated:
        if found is None or each.valid_from >= found.valid_from:
            found = each
    return found


def written(stated: Statement) -> dict[str, Any]:
    """A statement as JSON can hold it."""
    values = {field.name: getattr(stated, field.name) for field in fields(stated)}
    return {name: _written(value) for name, value in values.items()}


def statement(kind: str, document: Mapping[str, Any]) -> Statement:
    """The statement of that kind that `written` wrote."""
    values = dict(document)
    if "document" in values:
        values["document"] = Document(*values["document"])
    for name in ("valid_from", "valid_to"):
        if isinstance(values.get(name), str):
            values[name] = date.fromisoformat(values[name])
    return KINDS[kind](**values)


def parse(document: Mapping[str, Iterable[Mapping[str, Any]]]) -> Terms:
    """The terms that `Terms.document` wrote."""
    return gathered((kind, statement(kind, each)) for kind in KINDS for each in document[kind])


def gathered(stated: Iterable[tuple[str, Statement]]) -> Terms:
    """Terms of statements with their kinds, in the order of approval."""
    by_kind: dict[str, list[Any]] = {kind: [] for kind in KINDS}
    for kind, each in stated:
        by_kind[kind].append(each)
    return Terms(**{kind: tuple(found) for kind, found in by_kind.items()})


def _written(value: object) -> object:
    if isinstance(value, date):
        return value.isoformat()
    return list(value) if isinstance(value, Document) else value


def _literal(model: str, factors: FactorSet) -> str:
    """A stated model's name, its provider's wrapping off, folded."""
    read = models.read(model, factors)
    return fold(model) if read.tuned else read.spellings[0]


def _meant(name: str, factors: FactorSet) -> frozenset[str]:
    """Every name, folded, under which a statement is about the model of this name.

    Another exact name of a model is that model, and so is its dated snapshot where the set does not
    know that by itself; an alias, a prefix or a fine-tuned model is not.
    """
    read = models.read(name, factors)
    if read.tuned:
        return frozenset({fold(name)})
    forms = frozenset(read.spellings)
    known = forms & factors.names.keys()
    known = known or frozenset(map(models.without_date, forms)) & factors.names.keys()
    return forms | known | {fold(factors.names[form]) for form in known}


def _around(zone: Zone, factors: FactorSet) -> list[str]:
    """The zone and those it lies in, from the inside out."""
    found = [zone.id]
    while zone.parent:
        zone = factors.zones[zone.parent]
        found.append(zone.id)
    return found


def _distance(contract: Contract, around: list[str]) -> int:
    return around.index(contract.zone) if contract.zone else len(around)

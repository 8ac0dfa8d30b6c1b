"""Where a call ran: its grid zone, and who runs the machines.

Owns the reading of places. The rules go from what the call states to what its provider usually
does, and end at the world's average. An organisation may map a place that its calls state, which
settles it, or say where a provider runs its calls, which replaces what that provider usually does.
Two things are never used, because they say where the *caller*
is: the caller's address, and the application's own cloud region.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from ecomind_processor.factor_rows import Facility, Number, Zone
from ecomind_processor.factors import FactorSet
from ecomind_processor.terms import Zones

WORLD = "WOR"
UNKNOWN = "unknown"
MAPPED = "map of the organisation"
NO_ZONES = Zones()


class Placement(NamedTuple):
    """A zone, how it was found, and the facility whose PUE and WUE apply."""

    zone: Zone
    how: str
    facility: Facility


class Clues(NamedTuple):
    """What a call says about its place; all in lower case but `raw`, which is as received."""

    raw: str
    stated: str
    host: str
    provider: str
    hint: str
    own: Zones


_CODE = re.compile(
    r"^([A-Z]{2,3})-[A-Z0-9-]+$"
)  # in lower case it could as well be a host: my-proxy
_CLOUD_AREA = re.compile(
    r"^([a-z]+)-(?:gov-)?(?:central|east|west|(?:north|south)(?:central|east|west)?)-?\d*$"
)
_AVAILABILITY_ZONE = re.compile(r"(?<=\d)-?[a-f]$")
_HOST = re.compile(r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^/@]*@)?([a-z0-9.-]+)")


def place(
    stated: str, provider: str, hint: str, factors: FactorSet, own: Zones = NO_ZONES
) -> Placement:
    """The placement of a call.

    `stated` is an inference region, country or grid code as the call states it, or the endpoint's
    host; `hint` is a zone suggested by the model's name; `own` is how the organisation maps
    places. Unknown values fall through to the next rule, never to an error.
    """
    text = stated.strip().lower()
    found = _HOST.match(text)
    host = found.group(1) if found else ""
    clues = Clues(stated.strip(), text, host, provider.strip().lower(), hint, own)
    hits = (rule(clues, factors) for rule in RULES)
    placed = next((hit for hit in hits if hit), _world(clues, factors))
    mapped = own.by_place.get(text) or own.by_place.get(host)
    return placed._replace(zone=factors.zones[mapped], how=MAPPED) if mapped else placed


def _operator(clues: Clues, factors: FactorSet) -> Facility:
    return factors.facilities[factors.facility_names.get(clues.provider, UNKNOWN)]


def _in_region(name: str, how: str, factors: FactorSet) -> Placement | None:
    for region in (name, _AVAILABILITY_ZONE.sub("", name), name.replace(" ", "")):
        if region in factors.regions:
            zone, facility = factors.regions[region]
            return Placement(factors.zones[zone], how, factors.facilities[facility])
    return None


def _stated_region(clues: Clues, factors: FactorSet) -> Placement | None:
    return _in_region(clues.stated, "stated cloud region", factors)


def _stated_zone(clues: Clues, factors: FactorSet) -> Placement | None:
    zone = factors.zone_names.get(clues.stated)
    if zone is None:
        return None
    return Placement(factors.zones[zone], "stated grid zone", _operator(clues, factors))


def _area_of_code(clues: Clues, factors: FactorSet) -> Placement | None:
    found = _CODE.match(clues.raw) or _CLOUD_AREA.match(clues.stated)
    zone = factors.zone_names.get(found.group(1).lower()) if found else None
    if zone is None:
        return None
    return Placement(factors.zones[zone], "area of the stated code", _operator(clues, factors))


def _endpoint(clues: Clues, factors: FactorSet) -> Placement | None:
    for host in factors.hosts:
        found = host.match.search(clues.host)
        if not found:
            continue
        region = found.groupdict().get("region")
        placed = _in_region(region, "region in the endpoint's host", factors) if region else None
        if placed:
            return placed
        facility = factors.facilities[host.facility]
        stated = host.zone or clues.hint
        if not stated and facility.id in clues.own.by_facility:
            return _mapped(facility, clues, factors)
        return Placement(factors.zones[stated or facility.zone], "endpoint's host", facility)
    return None


def _prefix_hint(clues: Clues, factors: FactorSet) -> Placement | None:
    if not clues.hint:
        return None
    how = "region prefix of the model's name"
    return Placement(factors.zones[clues.hint], how, _operator(clues, factors))


def _provider_default(clues: Clues, factors: FactorSet) -> Placement | None:
    facility = _operator(clues, factors)
    if facility.id in clues.own.by_facility:
        return _mapped(facility, clues, factors)
    if facility.id == UNKNOWN:
        return None
    return Placement(factors.zones[facility.zone], "provider default", facility)


def _mapped(facility: Facility, clues: Clues, factors: FactorSet) -> Placement:
    return Placement(factors.zones[clues.own.by_facility[facility.id]], MAPPED, facility)


def _world(clues: Clues, factors: FactorSet) -> Placement:
    return Placement(factors.zones[WORLD], "world average", _operator(clues, factors))


Rule = Callable[[Clues, FactorSet], Placement | None]
RULES: tuple[Rule, ...] = (
    _stated_region,
    _stated_zone,
    _area_of_code,
    _endpoint,
    _prefix_hint,
    _provider_default,
)


def water(zone: Zone, factors: FactorSet) -> tuple[Zone, Number]:
    """The zone or its nearest ancestor with a water figure (the world has one), and that figure."""
    figure = zone.water_l_per_kwh
    while figure is None:
        zone = factors.zones[zone.parent]
        figure = zone.water_l_per_kwh
    return zone, figure

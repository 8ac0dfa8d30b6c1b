"""What must hold across the files of a factor set.

Each check is a function that yields sentences; the compiler runs them all and prints them together,
so that one run shows every mistake.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from ecomind_processor.factors import fold
from ecomind_processor.placement import UNKNOWN, WORLD
from ecomind_query.factors.sources import Architecture, Measured, Model, Sources

MOST_ROUNDING_PERCENT = 0.6
NEEDED_CLASSES = ("text", "embedding")


def _numbers(s: Sources) -> Iterator[tuple[str, Measured, str, str]]:
    """(file, its content, row, measure) of every number in the set."""
    for name, constant in s.method.constants.items():
        yield "method", s.method, name, constant.by
    for label, bands in (("energy", s.method.bands.energy), ("grid", s.method.bands.grid)):
        yield "method", s.method, f"bands.{label}", bands.by
    for name, constant in s.ecologits.constants.items():
        yield "ecologits", s.ecologits, name, constant.by
    for name, row in s.ecologits.architectures.items():
        yield "ecologits", s.ecologits, name, row.by
    for name, row in s.models.architectures.items():
        yield "models", s.models, name, row.by
    for name, benchmark in s.benchmarks.benchmarks.items():
        yield "benchmarks", s.benchmarks, name, benchmark.joules_per_output_token[1]
    for name, hosting in s.ecologits.providers.items():
        yield "ecologits", s.ecologits, name, hosting.by
    for name, mix in s.ecologits.mixes.items():
        yield "ecologits", s.ecologits, name, mix[2]
    for zone in s.zones.zones:
        for told in filter(None, (zone.stress, zone.water)):
            yield "zones", s.zones, zone.id, told[1]
    for name, by in ((n, by) for part in (s.carbon.carbon, s.carbon.mix) for n, by in part.items()):
        for measure in by:
            yield "carbon", s.carbon, name, measure
    for facility in s.providers.facilities:
        for ratio in (facility.pue, facility.wue):
            for measure in ratio if isinstance(ratio, dict) else ratio[1:]:
                yield "providers", s.providers, facility.id, str(measure)


def measured_files(s: Sources) -> dict[str, Measured]:
    """The files that hold numbers, by name."""
    return {name: file for name, file in s if isinstance(file, Measured)}


def measured(s: Sources) -> Iterator[str]:
    """Every number names a measure of its own file."""
    for file, content, row, measure in _numbers(s):
        if measure not in content.measures:
            yield (
                f"{file}.yaml, row {row!r}: there is no measure {measure!r}; "
                "add it under `measures` with unit, boundary and source."
            )


def measures_once(s: Sources) -> Iterator[str]:
    """A measure's key means one thing in the whole set."""
    counts = Counter(key for file in measured_files(s).values() for key in file.measures)
    for key in (key for key, count in counts.items() if count > 1):
        yield f"The measure {key!r} is defined in two files; give one of them another name."


def architectures(s: Sources) -> dict[str, Architecture]:
    """Architectures of both files by key."""
    return {**s.ecologits.architectures, **s.models.architectures}


def architectures_once(s: Sources) -> Iterator[str]:
    """An architecture stands in one file only, and its spans run from small to large."""
    for key in s.ecologits.architectures.keys() & s.models.architectures.keys():
        yield f"models.yaml, architecture {key!r}: ecologits.yaml has it too; remove one."
    for key, row in architectures(s).items():
        if row.total_b[0] > row.total_b[1] or row.active_b[0] > row.active_b[1]:
            yield f"Architecture {key!r}: write spans as [min, max]."


def evidence(s: Sources) -> Iterator[str]:
    """A model has one evidence, and it exists; a `like` points at a model with its own."""
    models = {model.id: model for model in s.models.models}
    known: dict[str, set[str]] = {
        "benchmark": set(s.benchmarks.benchmarks),
        "architecture": set(architectures(s)),
        "like": {key for key, model in models.items() if not model.like},
        "class": set(s.models.classes),
    }
    for model in models.values():
        given = model.evidence()
        if len(given) != 1:
            yield (
                f"models.yaml, row {model.id!r}: give one of benchmark, architecture, like "
                f"or class; it has {len(given)}."
            )
        for kind, key in given:
            if key not in known[kind]:
                yield f"models.yaml, row {model.id!r}: there is no {kind} {key!r} to rest on."


def dates(s: Sources) -> Iterator[str]:
    """Nothing is retired before it is released."""
    for model in s.models.models:
        if model.released and model.retired and model.retired <= model.released:
            yield f"models.yaml, row {model.id!r}: it is retired before its release."


def names_once(s: Sources) -> Iterator[str]:
    """A name, folded, means one model; and so does an alias."""
    owners: dict[str, str] = {}
    for model in s.models.models:
        for name in {fold(name) for name in _all_names(model)}:
            if owners.setdefault(name, model.id) != model.id:
                yield f"models.yaml, row {model.id!r}: {name!r} already means {owners[name]!r}."
    ids = Counter(model.id for model in s.models.models)
    for key in (key for key, count in ids.items() if count > 1):
        yield f"models.yaml, row {key!r}: the id is used twice."


def _all_names(model: Model) -> tuple[str, ...]:
    return (model.id, *model.names, *model.aliases)


def lines(s: Sources) -> Iterator[str]:
    """A line lists known models with known release days, oldest first."""
    models = {model.id: model for model in s.models.models}
    for line in s.models.lines:
        known = [models[key] for key in line.models if key in models]
        for key in (key for key in line.models if key not in models):
            yield f"models.yaml, line {line.id!r}: there is no model {key!r}."
        days = [model.released for model in known if model.released]
        if len(days) != len(known) or days != sorted(days):
            yield f"models.yaml, line {line.id!r}: its models need release days, oldest first."


def classes(s: Sources) -> Iterator[str]:
    """Both default classes exist and rest on something."""
    ids = {model.id for model in s.models.models}
    for key in NEEDED_CLASSES:
        if key not in s.models.classes:
            yield f"models.yaml: the class {key!r} is missing; unknown names rest on it."
    for key, group in s.models.classes.items():
        if bool(group.models) == bool(group.architecture):
            yield f"models.yaml, class {key!r}: give either models or an architecture."
        if set(group.models) - ids or (
            group.architecture and group.architecture not in architectures(s)
        ):
            yield f"models.yaml, class {key!r}: it names something that isn't there."


def zones(s: Sources) -> Iterator[str]:
    """Zones have unique names and lead up to a world that has a water figure."""
    by_id = {zone.id: zone for zone in s.zones.zones}
    world = by_id.get(WORLD)
    if world is None or world.water is None:
        yield f"zones.yaml: the zone {WORLD!r} must exist and have a water figure."
    for zone in s.zones.zones:
        if zone.id != WORLD and zone.parent not in by_id:
            yield f"zones.yaml, row {zone.id!r}: there is no parent zone {zone.parent!r}."
    owners: dict[str, str] = {}
    for zone in s.zones.zones:
        for name in {name.lower() for name in (zone.id, zone.name, *zone.aliases)}:
            if owners.setdefault(name, zone.id) != zone.id:
                yield f"zones.yaml, row {zone.id!r}: {name!r} already means {owners[name]!r}."


def years(s: Sources) -> Iterator[str]:
    """Every zone has the carbon of at least one year, each year once; shares add to 100 %."""
    ids = {zone.id for zone in s.zones.zones}
    for key in sorted(ids - s.carbon.carbon.keys()):
        yield f"carbon.yaml: zone {key!r} has no year; add one, or take it out of zones.yaml."
    for part, rows in (("carbon", s.carbon.carbon), ("mix", s.carbon.mix)):
        for key, by in rows.items():
            if key not in ids:
                yield f"carbon.yaml, {part} of {key!r}: zones.yaml has no such zone."
            counts = Counter(year for told in by.values() for year in told)
            for year in (year for year, count in counts.items() if count > 1):
                yield f"carbon.yaml, {part} of {key!r}: {year} stands under two measures."
    for key, by_measure in s.carbon.mix.items():
        for year, shares in ((y, n) for told in by_measure.values() for y, n in told.items()):
            if abs(sum(shares) - 100) > MOST_ROUNDING_PERCENT:
                yield f"carbon.yaml, mix of {key!r}, {year}: the shares add to {sum(shares):.1f} %."


def hostings(s: Sources) -> Iterator[str]:
    """What EcoLogits' providers stand for exists, each once, and so do their zones."""
    operators = {facility.id for facility in s.providers.facilities}
    served = Counter(f for hosting in s.ecologits.providers.values() for f in hosting.serves)
    for key, count in served.items():
        if key not in operators or count > 1:
            yield f"ecologits.yaml, providers: {key!r} must be one facility, served once."
    for name, hosting in s.ecologits.providers.items():
        if hosting.zone not in s.ecologits.mixes:
            yield f"ecologits.yaml, provider {name!r}: there is no mix of {hosting.zone!r}."
    if WORLD not in s.ecologits.mixes:
        yield f"ecologits.yaml: the mix of {WORLD!r} is missing; unknown zones rest on it."


def places(s: Sources) -> Iterator[str]:
    """Every place leads to a zone and a facility that exist; a region belongs to one facility."""
    ids = {zone.id for zone in s.zones.zones}
    operators = {facility.id for facility in s.providers.facilities}
    if UNKNOWN not in operators:
        yield f"providers.yaml: the facility {UNKNOWN!r} is missing; unknown providers rest on it."
    for facility in s.providers.facilities:
        if facility.zone not in ids:
            yield f"providers.yaml, row {facility.id!r}: there is no zone {facility.zone!r}."
    for operator, regions in s.places.regions.items():
        for region, zone_id in regions.items():
            if zone_id not in ids or operator not in operators:
                yield f"places.yaml, region {region!r}: its facility or zone does not exist."
    for host in s.places.hosts:
        if host.facility not in operators or (host.zone and host.zone not in ids):
            yield f"places.yaml, host {host.match!r}: its facility or zone does not exist."
    for prefix, hint in s.models.spelling.region_prefixes.items():
        if hint and hint not in ids:
            yield f"models.yaml, region prefix {prefix!r}: there is no zone {hint!r}."


def places_once(s: Sources) -> Iterator[str]:
    """Regions and provider names are unique."""
    regions = Counter(region for group in s.places.regions.values() for region in group)
    names = Counter(n for f in s.providers.facilities for n in (f.id, *f.aliases))
    for key in (key for key, count in (regions + names).items() if count > 1):
        yield f"places.yaml or providers.yaml: {key!r} is listed twice."


Check = Callable[[Sources], Iterator[str]]
CHECKS: tuple[Check, ...] = (
    measured,
    measures_once,
    architectures_once,
    evidence,
    dates,
    names_once,
    lines,
    classes,
    zones,
    years,
    hostings,
    places,
    places_once,
)

"""From the YAML sources of a factor set to the one JSON file that everything reads.

Owns the compiled document's layout; `ecomind_processor.factors.parse` is its reader. The output is
a pure function of the sources, so a committed file can be tested for freshness byte by byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from ecomind_processor.factors import checksum
from ecomind_query.commands.common import AsJson, fail, print_json
from ecomind_query.factors.references import CHECKS, architectures, measured_files
from ecomind_query.factors.sources import Facility, FactorSourceError, Sources, Zone, read

SOURCE_DIR = Path(str(files("ecomind_processor"))) / "factors"
"""Where the sources of the bundled set live, in a checkout."""

PUBLISHED = {
    "ecomind-2026.1": "9edbd9c995a4fe27a32628c9319961f4d462f4517dc3be20aa43e3e4cf88b36e",
}
"""Sets that were released, and the SHA-256 that each keeps for good."""

NOTICE = (
    "The entries of `architectures` whose measure begins with `ecologits-`, and the constants by "
    "`ecologits-formula`, are taken from EcoLogits and are subject to the Mozilla Public License, "
    "v. 2.0 (https://mozilla.org/MPL/2.0/); their source form is ecologits.yaml. Carbon "
    "intensities by Ember and water figures by the World Resources Institute: CC BY 4.0. "
    "Everything else: Apache-2.0, or facts with the source that each measure names."
)


def compile_factors(source_dir: Path, out: Path | None = None) -> Path:
    """Check the sources in `source_dir` and write the set to `out`.

    Without `out` the file is `<set id>.json` beside the sources. Returns the file written. Raises
    FactorSourceError with one sentence per mistake.
    """
    sources = read(source_dir)
    mistakes = [sentence for check in CHECKS for sentence in check(sources)]
    if mistakes:
        raise FactorSourceError("\n".join(mistakes))
    body = document(sources)
    published = PUBLISHED.get(body["id"])
    if published and published != body["sha256"]:
        raise FactorSourceError(
            f"method.yaml, set.id: {body['id']} was published and its numbers stay; rows that were"
            " stored name it as their evidence. Give the changed set a new id."
        )
    target = out or source_dir / f"{body['id']}.json"
    target.write_text(rendered(body), encoding="utf-8")
    return target


def compile_command(
    source_dir: Annotated[
        Path, typer.Argument(help="Folder with the YAML sources of one set.")
    ] = SOURCE_DIR,
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: <set id>.json beside the sources.")
    ] = None,
) -> None:
    """Check the sources of a factor set and compile them to JSON."""
    try:
        target = compile_factors(source_dir, out)
    except FactorSourceError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    except OSError as error:
        fail(f"{error.filename} can't be used: {error.strerror}.")
    typer.echo(f"{target}  sha256 {json.loads(target.read_text(encoding='utf-8'))['sha256']}")


def validate(
    source_dir: Annotated[
        Path, typer.Argument(help="Folder with the YAML sources of one set.")
    ] = SOURCE_DIR,
    as_json: AsJson = False,
) -> None:
    """Check the sources of a factor set and write nothing."""
    try:
        sources = read(source_dir)
        mistakes = [sentence for check in CHECKS for sentence in check(sources)]
    except FactorSourceError as error:
        mistakes = str(error).splitlines()
    except OSError as error:
        mistakes = [f"{error.filename} can't be read: {error.strerror}."]
    if as_json:
        print_json({"valid": not mistakes, "mistakes": mistakes})
    else:
        for sentence in mistakes:
            typer.echo(sentence, err=True)
        if not mistakes:
            typer.echo(f"{source_dir}: {sources.method.set.id} is valid.")
    if mistakes:
        raise typer.Exit(1)


def rendered(body: Mapping[str, Any]) -> str:
    """The document as text, a line per row: a change of one factor is a change of one line."""
    parts = []
    for key, value in body.items():
        parts.append(f"{json.dumps(key)}: {_rows(value)}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _rows(value: Any) -> str:
    def dump(item: Any) -> str:
        return json.dumps(item, ensure_ascii=False)

    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(dump(item) for item in value) + "\n]"
    if isinstance(value, dict):
        inner = ",\n".join(f"{dump(key)}: {dump(item)}" for key, item in value.items())
        return "{\n" + inner + "\n}"
    return dump(value)


def document(s: Sources) -> dict[str, Any]:
    """The compiled set as plain data, checksum included."""
    named = s.method.set
    constants = {**s.method.constants, **s.ecologits.constants}
    body: dict[str, Any] = {
        "id": named.id,
        "published": named.published.isoformat(),
        "method": named.method,
        "sha256": "",
        "notice": NOTICE,
        "measures": {
            key: measure.model_dump(mode="json")
            for file in measured_files(s).values()
            for key, measure in file.measures.items()
        },
        "date_sources": [source.model_dump(mode="json") for source in s.models.date_sources],
        "constants": {key: [c.value, c.by] for key, c in constants.items()},
        "constant_units": {key: c.unit for key, c in constants.items()},
        "bands": s.method.bands.model_dump(mode="json"),
        "benchmarks": {
            k: list(b.joules_per_output_token) for k, b in s.benchmarks.benchmarks.items()
        },
        "architectures": {
            key: row.model_dump(mode="json", exclude_defaults=True)
            for key, row in architectures(s).items()
        },
        "providers": {k: p.model_dump(mode="json") for k, p in s.ecologits.providers.items()},
        "mixes": {zone: list(mix) for zone, mix in s.ecologits.mixes.items()},
        "classes": [{"id": k, **c.model_dump(mode="json")} for k, c in s.models.classes.items()],
        "models": [_model(m) for m in s.models.models],
        "lines": [line.model_dump(mode="json") for line in s.models.lines],
        "spelling": s.models.spelling.model_dump(mode="json"),
        "zones": [_zone(zone, s) for zone in s.zones.zones],
        "facilities": [_facility(facility) for facility in s.providers.facilities],
        "regions": {r: [z, f] for f, group in s.places.regions.items() for r, z in group.items()},
        "hosts": [host.model_dump(mode="json") for host in s.places.hosts],
    }
    return {**body, "sha256": checksum(body)}


def _model(m: Any) -> dict[str, Any]:
    ((kind, key),) = m.evidence()
    kept = m.model_dump(
        mode="json", include={"id", "vendor", "released", "retired", "names", "aliases"}
    )
    return {**kept, "kind": kind, "evidence": key}


def _zone(zone: Zone, s: Sources) -> dict[str, Any]:
    mix = [
        [year, *shares, by]
        for by, years in s.carbon.mix.get(zone.id, {}).items()
        for year, shares in years.items()
    ]
    kept = zone.model_dump(mode="json", exclude={"stress"})
    if zone.stress:
        kept["stress"] = list(zone.stress)
    return {**kept, "co2e": _series(s.carbon.carbon[zone.id]), "mix": sorted(mix)}


def _facility(facility: Facility) -> dict[str, Any]:
    return {
        **facility.model_dump(mode="json"),
        "pue": _series(facility.pue),
        "wue": _series(facility.wue),
    }


def _series(number: Any) -> list[Any]:
    """[[year, value, measure], …], oldest first; of a number that is no year's, as it is."""
    if not isinstance(number, dict):
        return list(number)
    return sorted(
        [year, value, by] for by, years in number.items() for year, value in years.items()
    )

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
from ecomind_query.factors.references import CHECKS, architectures
from ecomind_query.factors.sources import FactorSourceError, Sources, read

SOURCE_DIR = Path(str(files("ecomind_processor"))) / "factors"
"""Where the sources of the bundled set live, in a checkout."""

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
    target = out or source_dir / f"{sources.method.set.id}.json"
    target.write_text(rendered(document(sources)), encoding="utf-8")
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
    typer.echo(f"{target}  sha256 {json.loads(target.read_text(encoding='utf-8'))['sha256']}")


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
    measured = (s.method, s.ecologits, s.benchmarks, s.models, s.zones, s.providers)
    body: dict[str, Any] = {
        "id": named.id,
        "published": named.published.isoformat(),
        "method": named.method,
        "sha256": "",
        "notice": NOTICE,
        "measures": {k: m.model_dump(mode="json") for f in measured for k, m in f.measures.items()},
        "date_sources": [source.model_dump(mode="json") for source in s.models.date_sources],
        "constants": {key: [c.value, c.by] for key, c in constants.items()},
        "constant_units": {key: c.unit for key, c in constants.items()},
        "bands": s.method.bands.model_dump(mode="json"),
        "benchmarks": {
            k: list(b.joules_per_output_token) for k, b in s.benchmarks.benchmarks.items()
        },
        "architectures": {k: a.model_dump(mode="json") for k, a in architectures(s).items()},
        "classes": [{"id": k, **c.model_dump(mode="json")} for k, c in s.models.classes.items()],
        "models": [_model(m) for m in s.models.models],
        "lines": [line.model_dump(mode="json") for line in s.models.lines],
        "spelling": s.models.spelling.model_dump(mode="json"),
        "zones": [zone.model_dump(mode="json") for zone in s.zones.zones],
        "facilities": [facility.model_dump(mode="json") for facility in s.providers.facilities],
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

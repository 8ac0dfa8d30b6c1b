"""Makes `ecologits.yaml` from the published wheels of EcoLogits, oldest release first.

Reads the model tables of every wheel given, and from the newest one also its constants, its
providers and its electricity mixes. Writes the YAML to the standard output. A model that a later
release dropped keeps the row of the last release that had it, because a factor set must be able to
explain last year. Primary energy and abiotic depletion are left behind: their source may not be
redistributed.

    python -m importers.ecologits RETRIEVED ecologits-0.5.2-*.whl … > ecologits.yaml

`RETRIEVED` is the day the wheels were downloaded, as 2026-11-28.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

HEADER = """\
# Parameter counts, serving speeds, regressions, providers and electricity mixes of EcoLogits.
#
# This file is a table taken from EcoLogits (https://github.com/mlco2/ecologits, (c) its authors)
# and is subject to the terms of the Mozilla Public License, v. 2.0: you can obtain a copy at
# https://mozilla.org/MPL/2.0/. The rest of the project is Apache-2.0. A model that later releases
# dropped keeps the row of the last release that had it; the measure names that release. A measure
# that ends in `-guessed` has the models whose makers publish no size, by the library's own warning:
# their counts are EcoLogits' guess, mostly given as a range. Made by importers/ecologits.py.
"""

CONSTANTS = {
    "gpu_energy_alpha_wh_per_token_per_b": (
        "GPU_ENERGY_ALPHA",
        "Wh per token and GPU, per billion active parameters",
    ),
    "gpu_energy_beta_per_request": ("GPU_ENERGY_BETA", "1 per concurrent request"),
    "gpu_energy_gamma_wh_per_token": ("GPU_ENERGY_GAMMA", "Wh per token and GPU"),
    "latency_alpha_seconds_per_token_per_b": (
        "LATENCY_ALPHA",
        "s per token, per billion active parameters",
    ),
    "latency_beta_seconds_per_token_per_request": (
        "LATENCY_BETA",
        "s per token, per concurrent request",
    ),
    "latency_gamma_seconds_per_token": ("LATENCY_GAMMA", "s per token"),
    "batch_size": ("BATCH_SIZE", "concurrent requests"),
    "gpu_memory_gb": ("GPU_MEMORY", "GB"),
    "server_gpus": ("SERVER_GPUS", "GPUs"),
    "gpu_embodied_kg": ("GPU_EMBODIED_IMPACT_GWP", "kg CO2e, the making of one GPU"),
    "server_embodied_kg": (
        "SERVER_EMBODIED_IMPACT_GWP",
        "kg CO2e, the making of a server without its GPUs",
    ),
}
"""Our name → the library's name of it and its unit."""

DERIVED = """\
  weight_bytes_per_parameter: {value: 2.0, unit: "bytes", by: ecologits-formula}
  weight_memory_overhead: {value: 1.2, unit: "ratio", by: ecologits-formula}
  server_power_w: {value: 1200.0, unit: "W, the server without its GPUs", by: ecologits-formula}
  hardware_lifetime_s: {value: 94608000.0, unit: "s, 3 years of 365 days", by: ecologits-formula}
"""

SERVES = {
    "anthropic": ("anthropic",),
    "cohere": ("cohere",),
    "google_genai": ("gcp.gemini", "gcp.vertex_ai"),
    "huggingface_hub": ("huggingface",),
    "mistralai": ("mistral_ai",),
    "openai": ("openai", "azure.ai.openai"),
}
"""The library's provider → the facilities of ours that it stands for."""


GUESSED = "-guessed"
_NOT_RELEASED = re.compile("model[-_]arch(itecture)?[-_]not[-_]released")
"""The library's own warning on a model whose maker publishes no size."""


class Row(NamedTuple):
    """One model of one release: parameters in billions as (min, max), speed in tokens/s and s."""

    provider: str
    total_b: tuple[float, float]
    active_b: tuple[float, float]
    tokens_per_second: float | None
    seconds_to_first_token: float | None
    release: str
    guessed: bool

    @property
    def measure(self) -> str:
        """The measure of the row: the release, and whether its authors guessed the size."""
        return f"ecologits-{self.release}{GUESSED if self.guessed else ''}"


def main(retrieved: str, *wheels: str) -> None:
    """Write the YAML of these wheels, oldest first, to the standard output."""
    rows: dict[str, Row] = {}
    for wheel in wheels:
        rows |= models(Path(wheel))
    sys.stdout.write(HEADER + "\nmeasures:\n")
    for release, guessed in sorted(
        {(row.release, row.guessed) for row in rows.values()}, key=_order
    ):
        sys.stdout.write(measure(release, retrieved, guessed))
    newest = Path(wheels[-1])
    sys.stdout.write(other_measures(_release(newest), retrieved))
    sys.stdout.write("\nconstants:\n" + "".join(constants(newest)) + DERIVED)
    sys.stdout.write(
        "\n# billions of parameters: [min, max] of the whole model and of the part active for one"
        " token; seconds\narchitectures:\n"
    )
    for name, row in sorted(rows.items(), key=lambda item: (item[1].provider, item[0])):
        sys.stdout.write(f"  {json.dumps(name)}: {_row(row)}\n")
    sys.stdout.write(
        "\n# whose machines the library puts a provider's models on, as [min, max]\nproviders:\n"
    )
    sys.stdout.write("".join(providers(newest)))
    sys.stdout.write(
        "\n# [g CO2e per kWh, L of water per kWh, measure] of a country's electricity\nmixes:\n"
    )
    sys.stdout.write("".join(mixes(newest)))


def models(wheel: Path) -> dict[str, Row]:
    """The models of a release and its aliases, by name."""
    release = _release(wheel)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        if "ecologits/data/models.csv" in names:
            table = archive.read("ecologits/data/models.csv").decode()
            return {
                line["name"]: _from_csv(line, release)
                for line in csv.DictReader(io.StringIO(table))
            }
        document = json.loads(archive.read("ecologits/data/models.json"))
    found = {model["name"]: _from_json(model, release) for model in document["models"]}
    for alias in document.get("aliases") or ():
        found[alias["name"]] = found[alias["alias"]]
    return found


def _from_csv(line: dict[str, str], release: str) -> Row:
    total, active = _halves(line["total_parameters"]), _halves(line["active_parameters"])
    provider, guessed = _provider(line["provider"]), _is_guessed(line["warnings"])
    return Row(provider, total or active, active or total, None, None, release, guessed)


def _halves(text: str) -> tuple[float, float]:
    low, _, high = text.partition(";")
    return float(low), float(high or low)


def _from_json(model: dict[str, Any], release: str) -> Row:
    parameters = model["architecture"]["parameters"]
    mixture = isinstance(parameters, dict) and "active" in parameters
    total = _span(parameters["total"] if mixture else parameters)
    active = _span(parameters["active"] if mixture else parameters)
    served = model.get("deployment") or {}
    return Row(
        _provider(model["provider"]),
        total,
        active,
        served.get("tps"),
        served.get("ttft"),
        release,
        _is_guessed(" ".join(model["warnings"] or ())),
    )


def _is_guessed(warnings: str) -> bool:
    return bool(_NOT_RELEASED.search(warnings))


def _span(value: Any) -> tuple[float, float]:
    return (value["min"], value["max"]) if isinstance(value, dict) else (value, value)


def _provider(name: str) -> str:
    return "google_genai" if name == "google" else name


def _row(row: Row) -> str:
    parts = [
        f"provider: {row.provider}",
        f"total_b: {_pair(row.total_b)}",
        f"active_b: {_pair(row.active_b)}",
    ]
    if row.tokens_per_second:
        parts.append(f"tokens_per_second: {_digits(row.tokens_per_second)}")
    if row.seconds_to_first_token:
        parts.append(f"seconds_to_first_token: {_digits(row.seconds_to_first_token)}")
    return "{" + ", ".join([*parts, f"by: {row.measure}"]) + "}"


def constants(wheel: Path) -> Iterator[str]:
    """The lines of the library's constants."""
    values = _assignments(_text(wheel, "ecologits/impacts/llm.py"))
    for name, (theirs, unit) in CONSTANTS.items():
        number = float(values[theirs])
        yield f'  {name}: {{value: {number!r}, unit: "{unit}", by: ecologits-formula}}\n'


def _assignments(text: str) -> dict[str, Any]:
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:
                continue
    return found


def providers(wheel: Path) -> Iterator[str]:
    """The lines of the library's provider configurations."""
    tree = ast.parse(_text(wheel, "ecologits/tracers/utils.py"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PROVIDER_CONFIG_MAP":
            assert isinstance(node.value, ast.Dict)
            for key, call in zip(node.value.keys, node.value.values, strict=True):
                assert isinstance(key, ast.Constant) and isinstance(call, ast.Call)
                given, name = {word.arg: word.value for word in call.keywords}, str(key.value)
                yield (
                    f"  {name}: {{zone: {ast.literal_eval(given['datacenter_location'])},"
                    f" pue: {_pair(_bounds(given['datacenter_pue']))},"
                    f" wue: {_pair(_bounds(given['datacenter_wue']))},"
                    f" serves: [{', '.join(SERVES[name])}], by: ecologits-providers}}\n"
                )


def _bounds(node: ast.expr) -> tuple[float, float]:
    if isinstance(node, ast.Call):
        span = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
        return span["min"], span["max"]
    value = ast.literal_eval(node)
    return value, value


def mixes(wheel: Path) -> Iterator[str]:
    """The lines of the library's electricity mixes."""
    document = json.loads(_text(wheel, "ecologits/data/electricity_mixes.json"))
    for mix in sorted(document["electricity_mixes"], key=lambda mix: str(mix["name"])):
        grams = round(mix["gwp"] * 1000, 6)
        numbers = f"{_digits(grams)}, {_digits(mix['wue'])}"
        yield f"  {mix['name']}: [{numbers}, ecologits-mixes]\n"


def measure(release: str, retrieved: str, guessed: bool) -> str:
    """The measure of one release's table, of the models whose size is published or guessed."""
    years = {"0.2": 2024, "0.3": 2024, "0.4": 2024, "0.5": 2024, "0.6": 2025, "0.7": 2025}
    years |= {"0.8": 2025, "0.9": 2025, "0.10": 2026, "0.11": 2026}
    size = "; its maker publishes no size: the library's authors guess it" if guessed else ""
    return _measure(
        f"ecologits-{release}{GUESSED if guessed else ''}",
        "billion parameters, tokens/s, s",
        f"architecture and serving speed of one model instance{size}; no energy",
        f"EcoLogits {release}, table of models",
        release,
        years[release.rpartition(".")[0]],
        retrieved,
        guessed,
    )


def other_measures(release: str, retrieved: str) -> str:
    """The measures of what is no table of models."""
    told = (
        (
            "ecologits-formula",
            "as named",
            "GPUs and host server of one request at batch size 64, before the facility (IT energy)",
            f"EcoLogits {release}, impacts/llm.py",
        ),
        (
            "ecologits-providers",
            "ratio; L/kWh",
            "data centres that the library assumes for a provider",
            f"EcoLogits {release}, provider configuration",
        ),
        (
            "ecologits-mixes",
            "g/kWh; L/kWh",
            "electricity of a country as the library uses it: carbon intensity and water",
            f"EcoLogits {release}, electricity_mixes.json",
        ),
    )
    return "".join(
        _measure(*four, release, 2026, retrieved, four[0] == "ecologits-providers") for four in told
    )


def _measure(
    key: str,
    unit: str,
    boundary: str,
    title: str,
    release: str,
    year: int,
    retrieved: str,
    judgement: bool,
) -> str:
    marked = "    judgement: true\n" if judgement else ""
    return (
        f"  {key}:\n    unit: {unit}\n    boundary: {json.dumps(boundary)}\n"
        f'    source: {{title: "{title}", url: "https://pypi.org/project/ecologits/{release}/",'
        f' year: {year}, licence: "MPL-2.0", retrieved: {retrieved}}}\n{marked}'
    )


def _text(wheel: Path, name: str) -> str:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(name).decode()


def _release(wheel: Path) -> str:
    found = re.match(r"ecologits-([\d.]+)-", wheel.name)
    if not found:
        raise SystemExit(f"{wheel} is no wheel of EcoLogits.")
    return found[1]


def _order(table: tuple[str, bool]) -> tuple[list[int], bool]:
    release, guessed = table
    return [int(part) for part in release.split(".")], guessed


def _pair(span: tuple[float, float]) -> str:
    return f"[{_digits(span[0])}, {_digits(span[1])}]"


def _digits(value: float) -> str:
    return repr(int(value) if float(value).is_integer() else value)


if __name__ == "__main__":
    main(*sys.argv[1:])

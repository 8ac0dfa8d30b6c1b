"""The registry is valid, its copies are fresh, and a mistake in it is refused in a sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import generate
from ecomind_semconv import dialects, names
from weaver_registry import Registry, RegistryError, load

MODEL = generate.SEMCONV / "model"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return load(MODEL)


@pytest.mark.parametrize("template", generate.OUTPUTS)
def test_generated_files_are_fresh(registry: Registry, template: str) -> None:
    written = generate.OUTPUTS[template].read_text(encoding="utf-8")
    assert written == generate.render(template, registry), "run `python semconv/generate.py`"


def test_names_are_those_of_the_wire() -> None:
    assert names.ECOMIND_ENERGY == "ecomind.energy"
    assert names.ECOMIND_MEASURED_ENERGY == "ecomind.measured.energy"
    assert names.ECOMIND_CO2E_LOCATION_LOW == "ecomind.co2e.location_low"
    assert list(names.EcomindModelTier) == ["A", "B", "C", "D", "E", "F"]
    assert list(names.EcomindMethod) == ["measured", "ecomind@v1"]


def test_every_metric_states_its_unit() -> None:
    assert {metric.name: metric.unit for metric in names.METRICS} == {
        "ecomind.energy.usage": "J",
        "ecomind.co2e.emission": "g",
        "ecomind.water.usage": "L",
        "ecomind.receiver.requests": "{request}",
        "ecomind.receiver.spans": "{span}",
        "ecomind.spool.size": "By",
        "ecomind.spool.segments": "{segment}",
        "ecomind.kafka.waiting": "{record}",
        "ecomind.kafka.lost": "{record}",
        "ecomind.loader.spans": "{span}",
        "ecomind.loader.lag": "s",
        "ecomind.loader.duration": "s",
        "ecomind.loader.failures": "{attempt}",
        "ecomind.receiver.postponed": "{request}",
        "ecomind.receiver.in_flight": "By",
        "ecomind.spool.limit": "By",
        "ecomind.spool.writable": "1",
        "ecomind.clock.jumps": "{jump}",
        "ecomind.clock.behind": "s",
        "ecomind.backup.time": "s",
        "ecomind.reconcile.corrections": "{call}",
        "ecomind.quarantine.records": "{record}",
        "ecomind.tenant.claims": "{claim}",
        "ecomind.key.refusals": "{request}",
        "ecomind.quota.refusals": "{request}",
        "ecomind.quota.degraded": "1",
    }


def test_our_output_is_never_read_as_input() -> None:
    read = {key for keys in dialects.FIELDS.values() for key in keys}
    assert read.isdisjoint(names.ECOMIND_FOOTPRINT_ATTRIBUTES)


def test_every_attribute_of_ours_that_is_read_is_defined() -> None:
    tables = (dialects.FIELDS, dialects.RESOURCE_FIELDS)
    read = {key for table in tables for keys in table.values() for key in keys}
    ours = {key for key in read if key.startswith("ecomind.")}
    assert ours == {key for key in names.ECOMIND_CONTEXT_ATTRIBUTES if key.startswith("ecomind.")}


def test_the_package_needs_only_the_standard_library() -> None:
    script = (
        "import sys, ecomind_semconv.names, ecomind_semconv.units, ecomind_semconv.dialects;"
        "roots = {name.partition('.')[0] for name in sys.modules};"
        "print(*sorted(roots & {'yaml', 'jinja2', 'pydantic', 'opentelemetry'}))"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


Edit = Callable[[Any], None]

MISTAKES: list[tuple[str, str, Edit, str]] = [
    (
        "unknown key",
        "registry.yaml",
        lambda raw: raw["attributes"][0].update(colour="red"),
        "ecomind.team: attribute has no colour",
    ),
    (
        "missing brief",
        "registry.yaml",
        lambda raw: raw["attributes"][0].pop("brief"),
        "ecomind.team: attribute needs brief",
    ),
    (
        "bad type",
        "registry.yaml",
        lambda raw: raw["attributes"][0].update(type="float"),
        "ecomind.team: type 'float' is not one of",
    ),
    (
        "unit in a name",
        "registry.yaml",
        lambda raw: raw["attributes"][3].update(key="ecomind.energy_wh"),
        "ecomind.energy_wh: leave the unit wh out of the name",
    ),
    (
        "reference to nothing",
        "registry.yaml",
        lambda raw: raw["attributes"].pop(0),
        "reference 'ecomind.team' is not one of",
    ),
    (
        "name and namespace at once",
        "registry.yaml",
        lambda raw: raw["attributes"].append({**raw["attributes"][0], "key": "ecomind.energy.x"}),
        "ecomind.energy: is a name and a namespace at once",
    ),
    (
        "one constant twice",
        "registry.yaml",
        lambda raw: raw["attributes"].append({**raw["attributes"][0], "key": "ecomind.factor.set"}),
        "another name has the same constant, ECOMIND_FACTOR_SET",
    ),
    (
        "foreign namespace",
        "metrics.yaml",
        lambda raw: raw["metrics"][0].update(name="gen_ai.energy"),
        "gen_ai.energy: write it as ecomind.",
    ),
    (
        "unit in a metric's name",
        "metrics.yaml",
        lambda raw: raw["metrics"][0].update(name="ecomind.energy.joules"),
        "leave the unit joules out of the name",
    ),
    (
        "bad instrument",
        "metrics.yaml",
        lambda raw: raw["metrics"][0].update(instrument="sum"),
        "ecomind.energy.usage: instrument 'sum' is not one of counter, gauge, histogram",
    ),
    (
        "no value type",
        "metrics.yaml",
        lambda raw: raw["metrics"][0].update(annotations={}),
        "metric_value_type None is not one of double, int",
    ),
    (
        "unknown group",
        "metrics.yaml",
        lambda raw: raw["metrics"][0].update(attributes=[{"ref_group": "nobody"}]),
        "ecomind.energy.usage: ref_group 'nobody' is not one of",
    ),
    (
        "reference twice",
        "metrics.yaml",
        lambda raw: raw["metrics"][0]["attributes"].append({"ref": "ecomind.team"}),
        "ecomind.energy.usage: refers twice to ecomind.team",
    ),
    (
        "level without condition",
        "spans.yaml",
        lambda raw: raw["attribute_groups"][0]["attributes"][0].update(requirement_level={}),
        "requirement_level needs conditionally_required",
    ),
    (
        "old format",
        "spans.yaml",
        lambda raw: raw.update(file_format="definition/1"),
        "spans.yaml: file_format 'definition/1' is not one of definition/2",
    ),
    (
        "no schema url",
        "manifest.yaml",
        lambda raw: raw.pop("schema_url"),
        "manifest.yaml: manifest needs schema_url",
    ),
]


@pytest.mark.parametrize(
    ("file", "edit", "sentence"),
    [mistake[1:] for mistake in MISTAKES],
    ids=[mistake[0] for mistake in MISTAKES],
)
def test_a_mistake_is_refused(tmp_path: Path, file: str, edit: Edit, sentence: str) -> None:
    for source in MODEL.glob("*.yaml"):
        raw = yaml.safe_load(source.read_text(encoding="utf-8"))
        if source.name == file:
            edit(raw)
        (tmp_path / source.name).write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(RegistryError) as caught:
        load(tmp_path)
    assert sentence in str(caught.value)

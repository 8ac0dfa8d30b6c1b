"""The bundled set: what it covers, where its numbers come from, and what its sources refuse."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from ecomind_processor.factors import DEFAULT_SET, FactorSet, FactorSetError, checksum, parse
from ecomind_processor.footprint import Coefficients
from ecomind_processor.provenance import provenance
from ecomind_query.factors.compile import SOURCE_DIR, compile_command, compile_factors
from ecomind_query.factors.sources import FactorSourceError

Resolver = Callable[..., Coefficients]
COMMITTED = SOURCE_DIR / f"{DEFAULT_SET}.json"


def test_the_committed_set_is_fresh(tmp_path: Path) -> None:
    """If this fails: run `ecomind factors compile` and commit the result."""
    made = compile_factors(SOURCE_DIR, tmp_path / "set.json")
    assert made.read_bytes() == COMMITTED.read_bytes()


def test_the_set_knows_itself(factors: FactorSet) -> None:
    assert (factors.id, factors.method) == ("ecomind-2026.1", "ecomind@v1")
    assert re.fullmatch(r"[0-9a-f]{64}", factors.sha256)
    assert factors.published == date(2026, 11, 23)
    assert "Mozilla Public License" in factors.notice
    assert FactorSet.load() is factors


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(FactorSetError, match=r"no factor set 'ecomind-1999\.1'.*ecomind-2026\.1"):
        FactorSet.load("ecomind-1999.1")


def test_an_edited_set_is_noticed() -> None:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert checksum(document) == document["sha256"]
    document["zones"][0]["co2e"][0] = 1.0
    assert checksum(document) != document["sha256"]


def test_coverage(factors: FactorSet) -> None:
    assert len(factors.models) >= 60
    assert len({model.vendor for model in factors.models.values()}) >= 8
    assert sum(model.retired is not None for model in factors.models.values()) >= 20
    countries = [zone for zone in factors.zones.values() if zone.tier == "C"]
    assert len(countries) >= 40
    operators = [facility for _, facility in factors.regions.values()]
    assert operators.count("gcp.vertex_ai") >= 40
    assert operators.count("aws.bedrock") >= 30
    assert operators.count("azure.ai.openai") >= 40


def test_every_number_has_unit_boundary_and_source(factors: FactorSet) -> None:
    numbers = [
        *factors.constants.values(),
        *factors.benchmarks.values(),
        *(zone.co2e_g_per_kwh for zone in factors.zones.values()),
        *(zone.water_l_per_kwh for zone in factors.zones.values() if zone.water_l_per_kwh),
        *(n for f in factors.facilities.values() for n in (f.pue, f.wue_l_per_kwh)),
    ]
    used = {number.by for number in numbers} | {a.by for a in factors.architectures.values()}
    for key in used:
        measure = factors.measures[key]
        source = measure.source
        assert measure.unit and measure.boundary and source.title and source.licence, key
        assert source.url.startswith(("https://", "docs/")), key
        assert 2017 <= source.year <= 2026 and source.retrieved <= factors.published, key


def test_the_mpl_table_is_a_file_of_its_own_with_its_notice() -> None:
    head = (SOURCE_DIR / "ecologits.yaml").read_text(encoding="utf-8")[:800]
    assert "Mozilla Public License, v. 2.0" in head and "EcoLogits" in head


@pytest.mark.parametrize(
    ("model", "titles"),
    [
        ("gpt-4o", ["EcoLogits 0.11.3, models.json", "EcoLogits 0.11.3, impacts/llm.py"]),
        ("llama-3.1-70b", ["The ML.ENERGY Benchmark v3", "Google, Measuring the environmental"]),
        ("acme-70b", ["EcoLogits 0.11.3, impacts/llm.py"]),
        ("grok-4", ["EcoLogits 0.11.3, models.json", "EcoLogits 0.11.3, impacts/llm.py"]),
        ("acme", ["EcoLogits 0.11.3, models.json", "EcoLogits 0.11.3, impacts/llm.py"]),
        ("acme-embed", ["Ecomind methodology", "EcoLogits 0.11.3, impacts/llm.py"]),
    ],
)
def test_provenance_names_the_source_of_the_energy(
    model: str, titles: list[str], factors: FactorSet, coefficients: Resolver
) -> None:
    cited = provenance(coefficients(model, place="USA"), factors)
    found = [c.measure.source.title for c in cited if c.quantity == "energy"]
    assert [f.startswith(t) for f, t in zip(found, titles, strict=True)] == [True] * len(titles)


def test_provenance_of_every_other_quantity(factors: FactorSet, coefficients: Resolver) -> None:
    cited = provenance(coefficients("gpt-4o", place="us-central1", measured=True), factors)
    assert {c.quantity: c.measure.source.year for c in cited} == {
        "pue": 2025,
        "co2e_location": 2024,
        "co2e_embodied": 2026,
        "water_onsite": 2025,
        "water_offsite": 2020,
    }


# what is broken: file, text, replacement → what the compiler must say
BROKEN = [
    ("zones", "co2e: [384.4, ember-2025]", "co2e: 384.4", r"zones\.yaml, row 'USA', .*\[value, me"),
    ("zones", "co2e: [384.4, ember-2025]", "co2e: [-1, ember-2025]", r"row 'USA'.*greater than 0"),
    ("zones", "[384.4, ember-2025]", "[384.4, hearsay]", r"row 'USA'.*no measure 'hearsay'"),
    (
        "zones",
        "tier: C, parent: WOR, co2e: [384.4",
        "teir: C, parent: WOR, co2e: [384.4",
        r"teir: is not a known key",
    ),
    ("zones", "    unit: L/kWh\n", "", r"measures\.wri-2020\.unit: is missing"),
    ("zones", "[gb, uk", "[us, uk", r"'us' already means"),
    ("benchmarks", "retrieved: 2026-11-23}", "}", r"source\.retrieved: is missing"),
    ("benchmarks", "    boundary:", "    limit:", r"boundary: is missing; every number needs unit"),
    ("models", "id: gpt-4o-mini,", "id: gpt-4o,", r"row 'gpt-4o': the id is used twice"),
    ("models", "like: o1,", "like: o9,", r"there is no like 'o9'"),
    ("models", "benchmark: llama-3.1-8b,", "", r"row 'llama-3\.1-8b'.*it has 0"),
    ("models", "retired: 2025-06-06", "retired: 2021-06-06", r"retired before its release"),
    ("models", "models: [gpt-4o-mini, gpt-4o]", "models: [gpt-nine]", r"class 'text'.*isn't there"),
    ("places", "us-east-1: US-SRVC", "us-east-1: US-NOPE", r"region 'us-east-1'"),
    ("places", "match: '^eu[.]api", "match: '^(eu[.]api", r"is no regular expression"),
    ("providers", "id: unknown,", "id: unkown,", r"facility 'unknown' is missing"),
    ("method", "id: ecomind-2026.1,", "id: latest,", r"set\.id: String should match pattern"),
]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    for file in SOURCE_DIR.glob("*.yaml"):
        shutil.copy(file, folder)
    return folder


@pytest.mark.parametrize(("file", "text", "instead", "says"), BROKEN)
def test_a_broken_source_is_refused_in_a_sentence(
    file: str, text: str, instead: str, says: str, copied: Path
) -> None:
    path = copied / f"{file}.yaml"
    before = path.read_text(encoding="utf-8")
    assert text in before
    path.write_text(before.replace(text, instead, 1), encoding="utf-8")
    with pytest.raises(FactorSourceError, match=says):
        compile_factors(copied)


def test_a_missing_file_is_named(copied: Path) -> None:
    (copied / "zones.yaml").unlink()
    with pytest.raises(FactorSourceError, match=r"zones\.yaml is missing"):
        compile_factors(copied)


def test_the_command_compiles_or_says_why(copied: Path) -> None:
    app = Typer()
    app.command()(compile_command)
    done = CliRunner().invoke(app, [str(copied)])
    assert done.exit_code == 0 and "sha256" in done.stdout
    made = json.loads((copied / f"{DEFAULT_SET}.json").read_text(encoding="utf-8"))
    assert parse(made).id == DEFAULT_SET
    (copied / "method.yaml").write_text("set: [", encoding="utf-8")
    failed = CliRunner().invoke(app, [str(copied)])
    assert failed.exit_code == 1 and "no valid YAML" in failed.stderr

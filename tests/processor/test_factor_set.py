"""The bundled set: what it covers, where its numbers come from, and what its sources refuse."""

import json
import re
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from ecomind_processor import factors as factors_module
from ecomind_processor.factors import (
    DEFAULT_SET,
    FactorSet,
    FactorSetError,
    available,
    checksum,
    parse,
    read_document,
)
from ecomind_processor.footprint import Coefficients
from ecomind_query import cli
from ecomind_query.factors.compile import SOURCE_DIR, compile_command, compile_factors
from ecomind_query.factors.sources import FactorSourceError

Resolver = Callable[..., Coefficients]
COMMITTED = SOURCE_DIR / f"{DEFAULT_SET}.json"


def test_the_committed_set_is_fresh(tmp_path: Path) -> None:
    """If this fails: run `ecomind factors compile` and commit the result."""
    made = compile_factors(SOURCE_DIR, tmp_path / "set.json")
    assert made.read_bytes() == COMMITTED.read_bytes()


def test_the_set_knows_itself(factors: FactorSet) -> None:
    assert (factors.id, factors.method) == ("ecomind-2026.2.0", "ecomind@v1")
    assert re.fullmatch(r"[0-9a-f]{64}", factors.sha256)
    assert factors.published == date(2026, 11, 29)
    assert "Mozilla Public License" in factors.notice
    assert FactorSet.load() is factors


def test_an_unknown_set_is_refused_with_the_known_ones() -> None:
    known = r"ecomind-2026\.1, ecomind-2026\.2\.0"
    with pytest.raises(FactorSetError, match=rf"no factor set 'ecomind-1999\.1'.*{known}"):
        FactorSet.load("ecomind-1999.1")


def test_a_published_set_never_changes() -> None:
    """Rows that were stored name it as their evidence: new numbers make a new set."""
    assert FactorSet.load("ecomind-2026.1").sha256 == (
        "9edbd9c995a4fe27a32628c9319961f4d462f4517dc3be20aa43e3e4cf88b36e"
    )


def test_an_edited_set_is_noticed() -> None:
    document = json.loads(COMMITTED.read_text(encoding="utf-8"))
    assert checksum(document) == document["sha256"]
    document["zones"][0]["co2e"][0][1] = 1.0
    assert checksum(document) != document["sha256"]


def test_coverage(factors: FactorSet) -> None:
    assert len(factors.models) >= 60
    assert len({model.vendor for model in factors.models.values()}) >= 8
    assert sum(model.retired is not None for model in factors.models.values()) >= 20
    countries = [zone for zone in factors.zones.values() if zone.tier == "C"]
    assert len(countries) >= 205
    years = {zone.id: [known.year for known in zone.co2e_g_per_kwh] for zone in countries}
    assert sum(found[0] == 2015 for found in years.values()) >= 200
    assert sum(found[-1] >= 2024 for found in years.values()) >= 190
    assert all(zone.mix for zone in countries if zone.id in ("USA", "FRA", "SWE", "DEU", "IND"))
    assert sum(bool(zone.mix) for zone in factors.zones.values()) >= 230
    assert sum(bool(zone.water_stress) for zone in countries) >= 155
    regions = [zone for zone in factors.zones.values() if zone.id.startswith("US-")]
    assert all(len(zone.co2e_g_per_kwh) == 3 for zone in regions) and len(regions) >= 17
    assert sum("0.11.3" in a.by for a in factors.architectures.values()) == 351
    assert sum(bool(a.provider) for a in factors.architectures.values()) == 506
    operators = [facility for _, facility in factors.regions.values()]
    assert operators.count("gcp.vertex_ai") >= 40
    assert operators.count("aws.bedrock") >= 30
    assert operators.count("azure.ai.openai") >= 40


def test_every_country_lies_in_a_continent_and_that_in_the_world(factors: FactorSet) -> None:
    for zone in factors.zones.values():
        if zone.tier == "C":
            around = factors.zones[zone.parent]
            assert (around.tier, around.co2e_g_per_kwh[-1].by) == ("D", "ember"), zone.id
    members = [zone.id for zone in factors.zones.values() if zone.parent == "EU"]
    assert len(members) == 27
    continents = {zone.id: zone for zone in factors.zones.values() if zone.tier == "D"}
    assert {zone.parent for zone in continents.values()} == {"WOR", "EUROPE"}
    assert [zone.id for zone in continents.values() if zone.parent == "EUROPE"] == ["EU"]
    assert not any(zone.water_l_per_kwh for zone in continents.values())  # else say so in the docs


def test_the_set_is_fresh_enough(factors: FactorSet) -> None:
    """If this fails: import the publishers' new releases (collector-processor/importers)."""
    newest = max(known.year for known in factors.zones["WOR"].co2e_g_per_kwh)
    assert factors.published.year - newest <= 1
    read = [measure.source.retrieved for measure in factors.measures.values()]
    assert (factors.published - min(read)).days <= 365


@pytest.mark.parametrize(
    ("day", "year", "g_per_kwh"),
    [
        ("2014-06-01", 2015, 504.9),  # before all of them, the oldest
        ("2020-01-01", 2020, 411.73),
        ("2020-12-31", 2020, 411.73),
        ("2024-07-01", 2024, 383.78),
        ("2026-11-28", 2025, 384.4),  # until a newer one is known, the newest
    ],
)
def test_the_year_of_a_call_decides(
    day: str, year: int, g_per_kwh: float, factors: FactorSet
) -> None:
    found = factors.zones["USA"].co2e_g_per_kwh.on(date.fromisoformat(day))
    assert found == (year, g_per_kwh, "ember")


def test_every_number_has_unit_boundary_and_source(factors: FactorSet) -> None:
    numbers = [
        *factors.constants.values(),
        *factors.benchmarks.values(),
        *(year for zone in factors.zones.values() for year in zone.co2e_g_per_kwh),
        *(year for zone in factors.zones.values() for year in zone.mix),
        *(zone.water_l_per_kwh for zone in factors.zones.values() if zone.water_l_per_kwh),
        *(n for f in factors.facilities.values() for n in (*f.pue, *f.wue_l_per_kwh)),
        *factors.hostings.values(),
        *factors.mixes.values(),
        *factors.architectures.values(),
    ]
    used = {number.by for number in numbers}
    for key in used:
        measure = factors.measures[key]
        source = measure.source
        assert measure.unit and measure.boundary and source.title and source.licence, key
        assert source.url.startswith(("https://", "docs/")), key
        assert 2017 <= source.year <= 2026 and source.retrieved <= factors.published, key


def test_a_guess_is_marked_as_a_judgement(factors: FactorSet) -> None:
    """EcoLogits warns of every model whose maker publishes no architecture."""
    by_provider: dict[str, set[bool]] = {}
    for row in factors.architectures.values():
        by_provider.setdefault(row.provider, set()).add(factors.measures[row.by].judgement)
    closed = ("anthropic", "google_genai", "openai")
    assert {name: by_provider[name] for name in closed} == {
        "anthropic": {True}, "google_genai": {False, True}, "openai": {True},
    }  # fmt: skip
    assert by_provider["huggingface_hub"] == by_provider["cohere"] == {False}
    assert factors.measures["ecologits-providers"].judgement
    assert factors.measures["ecologits-assumed"].judgement


def test_the_mpl_table_is_a_file_of_its_own_with_its_notice() -> None:
    head = (SOURCE_DIR / "ecologits.yaml").read_text(encoding="utf-8")[:800]
    assert "Mozilla Public License, v. 2.0" in head and "EcoLogits" in head


# what is broken: file, text, replacement → what the compiler must say
BROKEN = [
    ("carbon", "2025: 384.4}", "2025: -1}", r"carbon\.yaml, carbon\.USA.*greater than 0"),
    ("carbon", "  USA: {ember: ", "  USA: {hearsay: ", r"row 'USA'.*no measure 'hearsay'"),
    ("carbon", "2025: 384.4}", "25: 384.4}", r"carbon\.USA.*greater than or equal to 2000"),
    ("carbon", "  USA: {ember: ", "  USB: {ember: ", r"zone 'USA' has no year"),
    ("carbon", "[57, 17.4,", "[67, 17.4,", r"mix of 'USA', 2025: the shares add to 110"),
    ("ecologits", "USA: [384.4, 3.1321, ", "USA: [384.4, ", r"ecologits\.yaml, mixes\.USA"),
    ("zones", "tier: C, parent: EU, water", "teir: C, parent: EU, water", r"teir: is not a kn"),
    ("zones", "    unit: L/kWh\n", "", r"measures\.wri-2020\.unit: is missing"),
    ("zones", "[gb, uk", "[us, uk", r"'us' already means"),
    ("benchmarks", "retrieved: 2026-11-23}", "}", r"source\.retrieved: is missing"),
    ("benchmarks", "year: 2026, ", "", r"source\.year: is missing; every number needs unit"),
    ("benchmarks", 'licence: "Apache-2.0", ', "", r"source\.licence: is missing; every number"),
    ("benchmarks", "    source:", "    hearsay:", r"source: is missing; every number needs unit"),
    ("benchmarks", "    unit: J per output token\n", "", r"unit: is missing; every number needs"),
    ("benchmarks", "[0.119, mlenergy-v3]", "0.119", r"write \[value, measure\]"),
    ("benchmarks", "    boundary:", "    limit:", r"boundary: is missing; every number needs unit"),
    ("models", "id: gpt-4o-mini,", "id: gpt-4o,", r"row 'gpt-4o': the id is used twice"),
    ("models", "like: o1,", "like: o9,", r"there is no like 'o9'"),
    ("models", "benchmark: llama-3.1-8b,", "", r"row 'llama-3\.1-8b'.*it has 0"),
    ("models", "retired: 2025-06-06", "retired: 2021-06-06", r"retired before its release"),
    ("models", "models: [gpt-4o-mini, gpt-4o]", "models: [gpt-nine]", r"class 'text'.*isn't there"),
    ("places", "us-east-1: US-SRVC", "us-east-1: US-NOPE", r"region 'us-east-1'"),
    ("places", "match: '^eu[.]api", "match: '^(eu[.]api", r"is no regular expression"),
    ("providers", "id: unknown,", "id: unkown,", r"facility 'unknown' is missing"),
    ("method", "id: ecomind-2026.2.0,", "id: latest,", r"set\.id: String should match pattern"),
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


@pytest.fixture
def own_set(copied: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a compiled set of somebody's own, and sets as they were afterwards."""
    monkeypatch.setattr(factors_module, "_FOLDERS", list(factors_module._FOLDERS))
    monkeypatch.setattr(factors_module, "_chosen", list(factors_module._chosen))
    method = copied / "method.yaml"
    text = method.read_text("utf-8")
    method.write_text(text.replace("id: ecomind-2026.2.0,", "id: acme-2026.1.0,"), "utf-8")
    compile_factors(copied)
    return copied


def test_a_set_of_ones_own_is_chosen(own_set: Path) -> None:
    assert factors_module.choose("acme-2026.1.0", own_set).id == "acme-2026.1.0"
    assert FactorSet.load().id == "acme-2026.1.0"
    assert available() == ("acme-2026.1.0", "ecomind-2026.1", "ecomind-2026.2.0")
    assert FactorSet.load("ecomind-2026.1").id == "ecomind-2026.1"


def test_the_commands_take_the_chosen_set(own_set: Path) -> None:
    chosen = {"ECOMIND_FACTOR_SET": "acme-2026.1.0", "ECOMIND_FACTOR_DIR": str(own_set)}

    def answer(*words: str) -> Any:
        done = CliRunner().invoke(cli.app, [*words, "--json"], env=chosen)
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    assert answer("explain", "gpt-4o", "--output-tokens", "5")["factor_set"] == "acme-2026.1.0"
    listed = answer("factors", "list")
    assert [one["id"] for one in listed if one["default"]] == ["acme-2026.1.0"]
    assert answer("factors", "show", "--part", "benchmarks")["id"] == "acme-2026.1.0"
    assert answer("factors", "diff", DEFAULT_SET) == []  # it is a copy of that under another name
    assert answer("factors", "diff", "ecomind-2026.1")


def test_the_commands_refuse_a_set_that_is_not_there() -> None:
    chosen = {"ECOMIND_FACTOR_SET": "none-2026.1"}
    for words in (("explain", "gpt-4o"), ("factors", "list"), ("factors", "show")):
        done = CliRunner().invoke(cli.app, [*words], env=chosen)
        assert done.exit_code == 2
        assert "ECOMIND_FACTOR_SET" in done.stderr and "no factor set" in done.stderr


def test_a_set_under_another_name_is_refused(own_set: Path) -> None:
    (own_set / "acme-2026.1.0.json").rename(own_set / "acme-2027.1.0.json")
    with pytest.raises(FactorSetError, match=r"'acme-2027\.1\.0' does not match its checksum"):
        factors_module.choose("acme-2027.1.0", own_set)


def test_a_folder_that_is_not_there_is_named(own_set: Path) -> None:
    with pytest.raises(FactorSetError, match=r"There is no folder .*nowhere with factor sets"):
        factors_module.choose("acme-2026.1.0", own_set / "nowhere")


def test_a_published_set_is_not_compiled_anew(copied: Path) -> None:
    method = copied / "method.yaml"
    text = method.read_text("utf-8")
    method.write_text(text.replace("id: ecomind-2026.2.0,", "id: ecomind-2026.1,"), "utf-8")
    with pytest.raises(FactorSourceError, match=r"ecomind-2026\.1 was published and its numbers"):
        compile_factors(copied)


def test_what_can_t_be_read_or_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("")
    for words, said in (
        (["validate", str(tmp_path / "a file")], "can't be read: Not a directory."),
        (["compile", "--out", str(tmp_path / "no" / "a.json")], "can't be used: No such file"),
    ):
        done = CliRunner().invoke(cli.app, ["factors", *words], env={"COLUMNS": "300"})
        assert done.exit_code == 1 and said in done.stderr.replace("\n", " ")


def test_a_damaged_set_is_named_and_the_others_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = read_document("ecomind-2026.1") | {"id": "own-1"}
    (tmp_path / "own-1.json").write_text(json.dumps(document))
    monkeypatch.setenv("ECOMIND_FACTOR_DIR", str(tmp_path))
    done = CliRunner().invoke(cli.app, ["factors", "list", "--json"])
    assert "own-1.json: " in done.stderr
    assert [each["id"] for each in json.loads(done.stdout)] == [
        "ecomind-2026.1", "ecomind-2026.2.0",
    ]  # fmt: skip

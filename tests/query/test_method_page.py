"""The method page is what the factor set and the code say, and says all that it must."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ecomind_processor.factors import DEFAULT_SET, FactorSet
from ecomind_processor.resolution import METHODS
from ecomind_query import cli
from ecomind_query.factors.document import page
from ecomind_query.factors.published import published
from ecomind_query.factors.sensitivity import components
from ecomind_query.factors.tables import all_grids, cloud_countries, origins

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "methodology.md"
TEMPLATE = ROOT / "query-api" / "ecomind_query" / "factors" / "methodology.md.jinja"
LINK = re.compile(r"methodology\.md#([a-z0-9-]+)")
FACTORS = FactorSet.load(DEFAULT_SET)


def test_the_page_is_fresh() -> None:
    """If this fails: ecomind factors document"""
    assert PAGE.read_text("utf-8") == page()


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    done = CliRunner().invoke(cli.app, ["factors", "document", "--out", str(out)])
    assert (done.exit_code, done.output) == (0, f"wrote {out}\n")
    assert out.read_text("utf-8") == page()
    checked = CliRunner().invoke(cli.app, ["factors", "document", "--out", str(out), "--check"])
    assert (checked.exit_code, checked.output) == (0, "")


@pytest.mark.parametrize("before", [None, "# Methodology\n"], ids=["missing", "edited"])
def test_a_stale_page_is_refused_in_a_sentence(before: str | None, tmp_path: Path) -> None:
    out = tmp_path / "page.md"
    if before is not None:
        out.write_text(before, encoding="utf-8")
    done = CliRunner().invoke(cli.app, ["factors", "document", "--check", "--out", str(out)])
    assert done.exit_code == 1
    said = " ".join(done.stderr.split())
    assert f"Run `ecomind factors document --out {out}` and commit the result." in said
    assert (out.read_text("utf-8") if out.exists() else None) == before


def test_a_new_number_makes_the_page_stale() -> None:
    moved = {
        **FACTORS.constants,
        "idle_share": FACTORS.constants["idle_share"]._replace(value=1.2),
    }
    assert page(replace(FACTORS, constants=moved)) != page()


def test_no_published_figure_is_typed_twice() -> None:
    """They stand in published.yaml; the template and the tests take them from there."""
    values = {f"{figure.value:g}" for figure in published().figures if figure.value}
    values |= {f"{side:g}" for row in published().evidence.values() for side in row.range}
    values -= {"1", "2", "40", "45"}  # whole numbers, which mean other things too
    assert len(values) > 10
    test = ROOT / "tests" / "processor" / "test_published_figures.py"
    for path in (TEMPLATE, test):
        typed = set(re.findall(r"(?<![\w.])\d+\.\d+(?![\w.]*\d)", path.read_text("utf-8")))
        assert sorted(typed & values) == [], path.name


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_described(method: str) -> None:
    """If this fails: give the method a row in methodology.md.jinja."""
    assert f"| `{method}` |" in PAGE.read_text("utf-8")


def test_headings_that_others_link_to_are_there() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGE.read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in headings}
    sources = [*ROOT.glob("docs/**/*.md"), *ROOT.glob("collector-processor/**/*.yaml")]
    linked = {anchor for path in sources for anchor in LINK.findall(path.read_text("utf-8"))}
    assert linked >= {"judgements"} and linked <= anchors
    assert {"From quantities to a footprint", "Resolution"} <= set(headings)


def test_every_zone_model_and_measure_stands_on_the_page() -> None:
    text = PAGE.read_text("utf-8")
    named = (*FACTORS.zones, *FACTORS.models, *FACTORS.measures, *FACTORS.facilities)
    assert [name for name in named if f"`{name}`" not in text] == []
    assert len(all_grids(FACTORS)) == len(FACTORS.zones)
    assert 35 <= len(cloud_countries(FACTORS)) <= 45


def test_every_measure_is_used_and_every_number_counted() -> None:
    found = {origin.key: origin.numbers for origin in origins(FACTORS)}
    assert [key for key, numbers in found.items() if not numbers] == []
    assert found["ecomind-bands"] == len("ABCDEF") + len("ABCDE") + len(["water's"])
    years = sum(known.by == "ember" for z in FACTORS.zones.values() for known in z.co2e_g_per_kwh)
    assert found["ember"] == years


def test_the_example_of_a_root_by_hand() -> None:
    """An auditor's way, with nothing but a SHA-256."""
    section = PAGE.read_text("utf-8").split("### The digest of a closed day")[1]
    lines = re.findall(r"^\[.+\]$", section, re.MULTILINE)
    assert len(lines) == 2 and lines == sorted(lines)
    assert [json.dumps(json.loads(each), separators=(",", ":")) for each in lines] == lines
    leaves = [hashlib.sha256(b"\x00" + each.encode()).digest() for each in lines]
    root = hashlib.sha256(b"\x01" + b"".join(leaves)).hexdigest()
    assert f"root    {root}" in section


# 0.6774 Wh of IT energy · PUE 1.20 = 0.8129 Wh, with one number changed at a time
@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("active parameters", 0.8129 * 1.1901 / 1.5396, 0.8129 * 1.9918 / 1.5396),
        ("input token per output token", 0.8129 * 314 / 400, 0.8129 * 670 / 400),
        ("idle share", 0.8129 / 1.1, 0.8129 * 1.3 / 1.1),
        ("PUE", 0.6774 * 1.08, 0.6774 * 1.54),
        ("embodied", 0.8129 * 0.017, 0.8129 * 0.042),
    ],
)
def test_sensitivities_by_hand(name: str, low: float, high: float) -> None:
    row = next(row for row in components(FACTORS) if row.name == name)
    assert (row.low.result, row.high.result) == pytest.approx((low, high), rel=2e-4)
    assert row.low.result <= row.mid <= row.high.result

"""`ecomind explain` and `GET /v1/explain`: the words of the issue, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ecomind_query import cli

KEYS = [
    "energy_wh", "co2e_g_location", "co2e_g_market", "co2e_g_embodied", "water_ml_onsite",
    "water_ml_offsite", "tier_energy", "tier_grid", "method", "factor_set",
]  # fmt: skip


def run(*words: str) -> Any:
    return CliRunner().invoke(cli.app, ["explain", *words], env={"COLUMNS": "100"})


def explained(*words: str) -> dict[str, Any]:
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_method_of_ecologits() -> None:
    words = "gpt-4o --provider openai --output-tokens 400 --zone USA --method ecologits@0.11.3"
    answer = explained(*words.split())
    assert list(answer)[:10] == KEYS
    assert answer["energy_wh"]["low"] == pytest.approx(0.5789, abs=5e-5)
    assert answer["energy_wh"]["high"] == pytest.approx(0.9637, abs=5e-5)
    assert answer["co2e_g_market"] is None
    assert set(answer["steps"][0]) == {"name", "formula", "value", "unit", "source"}


def test_the_worked_example() -> None:
    words = "gpt-4o --provider openai --input-tokens 1000 --output-tokens 300 --zone USA"
    answer = explained(*words.split())
    rounded = {end: round(value, 3) for end, value in answer["energy_wh"].items()}
    assert rounded == {"low": 0.271, "mid": 0.813, "high": 2.439}
    text = run(*words.split()).stdout
    assert "0.812929" in text and "e_in · uncached input" in text and "MPL-2.0" in text


def test_a_measurement_is_tier_a_and_goes_before_any_method() -> None:
    """0.5 Wh of IT energy at OpenAI, PUE 1.20: 0.6 Wh, ±15 %."""
    words = "gpt-4o --provider openai --output-tokens 300 --zone USA --measured-energy-wh 0.5"
    for method in ("", " --method ecologits@0.11.3"):
        answer = explained(*(words + method).split())
        assert (answer["tier_energy"], answer["method"]) == ("A", "measured")
        assert answer["energy_wh"] == pytest.approx({"low": 0.6 / 1.15, "mid": 0.6, "high": 0.69})
        assert [step["name"] for step in answer["steps"]][:3] == [
            "Measured energy", "IT energy", "Energy",
        ]  # fmt: skip
        values = [step["value"] for step in answer["steps"][:3]]
        assert values == pytest.approx([0.5, 0.5, 0.6])


def test_a_measurement_of_nothing_is_one() -> None:
    answer = explained("gpt-4o", "--output-tokens", "300", "--measured-energy-wh", "0")
    assert (answer["tier_energy"], answer["energy_wh"]["high"]) == ("A", 0)
    assert answer["steps"][1]["formula"] == "e_mj · measured mJ = 2.77778e-07 · 0"


def test_the_grid_of_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.8129 Wh at 100 g/kWh in the one hour that the table knows, at 217.41 in the next."""
    table = tmp_path / "grid.csv"
    table.write_text("zone,hour,g_per_kwh,source\nGBR,2026-11-18T13:00Z,100,My utility\n", "utf-8")
    monkeypatch.setenv("ECOMIND_GRID_HOURLY", f"file:{table}")
    words = "gpt-4o --provider openai --input-tokens 1000 --output-tokens 300 --zone GBR"
    words += " --day 2026-11-18 --hour "
    known, unknown = (explained(*(words + hour).split()) for hour in ("13", "14"))
    assert known["co2e_g_location"]["mid"] == pytest.approx(0.08129, abs=5e-6)
    assert (known["tier_grid"], unknown["tier_grid"]) == ("A", "C")
    assert unknown["co2e_g_location"]["mid"] == pytest.approx(0.8129 * 0.21741, abs=5e-5)
    assert known["energy_wh"] == unknown["energy_wh"]


def test_what_nobody_knows_is_visible_and_nothing_is_null_but_market() -> None:
    words = "acme-1 --provider acme --region nowhere --output-tokens 9"
    answer = explained(*words.split())
    assert (answer["tier_energy"], answer["tier_grid"]) == ("F", "E")
    assert [key for key in KEYS if answer[key] is None] == ["co2e_g_market"]
    assert answer["energy_wh"]["high"] / answer["energy_wh"]["low"] == pytest.approx(100)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["gpt-4o", "--zone", "USA", "--region", "eu-west-1"], "--zone: names the place a second"),
        (["x" * 129], "MODEL: String should have at most 128 characters."),
        (["gpt-4o", "--output-tokens", "-1"], "--output-tokens: it must be greater"),
        (["gpt-4o", "--measured-energy-wh", "-1"], "--measured-energy-wh: it must be greater"),
        (["gpt-4o", "--method", "guess"], "is not one of ecomind@v1"),
        (["gpt-4o", "--factor-set", "none"], "--factor-set: There is no factor set 'none'"),
        (["gpt-4o", "--output-tokens", "5", "--reasoning-tokens", "6"], "--output-tokens: incl"),
        (["gpt-4o", "--input-tokens", "5", "--cache-read-tokens", "6"], "includes cache_read"),
        (["gpt-4o", "--day", "yesterday"], "--day: "),
        (["gpt-4o", "--zone", "XYZ"], "--zone: 'XYZ' is no zone of"),
        (["gpt-4o", "--hour", "24"], "--hour: it must be less than or equal to 23"),
    ],
)
def test_what_is_refused_says_why(words: list[str], says: str) -> None:
    done = run(*words)
    assert done.exit_code == 1 and says in done.stderr

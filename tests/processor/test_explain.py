"""Every step of a derivation can be checked, and the last ones are the figures themselves."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from ecomind_processor.compatible import METHOD as ECOLOGITS
from ecomind_processor.derivation import Step, number, slope_steps
from ecomind_processor.explain import FIGURES, explain
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Quantities
from ecomind_processor.resolution import METHODS, CallKey, resolve

CALL = Quantities(40_000, 5_000, 1_000, 300, 100, duration_us=2_000_000)
NAMES = [
    "gpt-4o", "meta-llama/Llama-3.1-70B-Instruct", "o1-pro", "acme-70b", "mixtral-8x7b", "acme",
    "acme-embed", "gpt-4o-2024-08-06", "microsoft/Phi-3-mini-128k-instruct", "claude-2.0",
]  # fmt: skip


def steps_of(model: str, method: str = "", *, measured: bool = False) -> dict[str, Step]:
    key = CallKey("openai", "", model, "USA", "", date(2026, 11, 28), measured)
    call = CALL._replace(measured_energy_mj=3_600_000) if measured else CALL
    found = explain(call, resolve(key, FactorSet.load(), method))
    names = [step.name for step in found.steps]
    assert len(set(names)) == len(names)
    return {step.name: step for step in found.steps}


@pytest.mark.parametrize("model", NAMES)
@pytest.mark.parametrize("method", METHODS)
def test_the_steps_end_in_the_figures(model: str, method: str) -> None:
    key = CallKey("openai", "", model, "USA", "", date(2026, 11, 28), False)
    found = explain(CALL, resolve(key, FactorSet.load(), method))
    steps = {step.name: step for step in found.steps}
    for name, title, unit in FIGURES:
        figure = getattr(found.footprint, name)
        if figure is None:
            assert steps[title if title in steps else f"{title}, smallest"].value is None
            continue
        mid = steps.get(f"{title}, mid") or steps[title]
        assert mid.value == pytest.approx(figure.mid) and mid.unit == unit
        for end in ("low", "high"):
            step = steps.get(f"{title}, {end}")
            if step is None:  # the method's own ends: nothing is put on them
                step = steps[f"{title}, {'smallest' if end == 'low' else 'largest'}"]
            assert step.value == pytest.approx(getattr(figure, end))
    assert all(step.formula and step.unit for step in found.steps)
    assert all(step.source for step in found.steps if step.value is not None)


@pytest.mark.parametrize("model", NAMES)
def test_the_energy_per_token_is_the_one_that_is_used(model: str) -> None:
    key = CallKey("openai", "", model, "USA", "", date(2026, 11, 28), False)
    c = resolve(key, FactorSet.load())
    steps = {step.name: step for step in explain(CALL, c).steps}
    assert steps["e_out, idle capacity included"].value == pytest.approx(
        1000 * c.wh_per_output_token
    )
    assert steps["e_in"].value == pytest.approx(1000 * c.wh_per_input_token)
    assert steps["e_cache_read"].value == pytest.approx(1000 * c.wh_per_cache_read_token)
    before = [s for s in steps.values() if s.unit == "mWh"]
    idle = before.index(steps["e_out, idle capacity included"])
    assert before[idle - 1].value == pytest.approx(c.wh_per_output_token * 1000 / 1.1)


def test_the_worked_example_line_by_line() -> None:
    """The numbers of docs/methodology.md, gpt-4o in the USA."""
    steps = steps_of("gpt-4o")
    assert steps["GPUs, smallest"].value == 16
    assert steps["Energy of an output token, smallest"].value == pytest.approx(1.1901, abs=5e-5)
    assert steps["Energy of an output token, largest"].value == pytest.approx(1.9918, abs=5e-5)
    assert steps["Output token of gpt-4o"].value == pytest.approx(1.5396, abs=5e-5)
    assert "√(1.1901 · 1.99184)" in steps["Output token of gpt-4o"].formula
    sizes, gpus = steps["Size of gpt-4o, smallest"], steps["GPUs, smallest"]
    assert sizes.source == "EcoLogits 0.11.3, table of models (2026, MPL-2.0, judgement)"
    assert gpus.source == "EcoLogits 0.11.3, impacts/llm.py (2026, MPL-2.0)"


def test_a_measurement_needs_no_model() -> None:
    steps = steps_of("gpt-4o", measured=True)
    assert next(iter(steps)) == "Measured energy"
    assert steps["Measured energy"].formula == "mJ ÷ mJ in a Wh = 3,600,000 ÷ 3,600,000"
    assert steps["IT energy"].formula == "e_mj · measured mJ = 2.77778e-07 · 3,600,000"
    assert steps["IT energy"].value == pytest.approx(1.0)
    assert steps["Energy"].value == pytest.approx(1.2)


def test_what_nobody_has_measured_is_called_a_judgement() -> None:
    """Guessed sizes and assumed data centres; a published size is none."""
    for method in METHODS:
        if method in ("benchmark", "class"):
            continue
        closed = steps_of("gpt-4o", method)
        energy = closed.get("Energy") or closed["Energy, smallest"]
        assert energy.source.endswith(", judgement)") and "EcoLogits" in energy.source
    assert steps_of("gpt-4o")["Size of gpt-4o, smallest"].source.endswith(", judgement)")
    published = "microsoft/Phi-3-mini-128k-instruct"
    assert steps_of(published)[f"Size of {published}"].source.endswith("MPL-2.0)")


def test_the_arithmetic_takes_its_constants_from_the_set() -> None:
    factors = FactorSet.load()
    doubled = factors.constants["gpu_memory_gb"]._replace(value=160.0)
    other = replace(factors, constants={**factors.constants, "gpu_memory_gb": doubled})
    row = factors.architectures["gpt-4o"]
    told = {step.name: step for step in slope_steps("gpt-4o", row, 0, "", other)}
    assert told["GPUs"].formula == "power of two at or above 1.2 · 440 · 2 bytes ÷ 160 GB"
    assert told["GPUs"].value == 8


def test_the_clamp_is_told() -> None:
    steps = steps_of("gpt-4o", ECOLOGITS)
    assert "at most the call's 2 s" in steps["Generation, smallest"].formula
    assert steps["Generation, smallest"].value == 2.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (384.4, "384.4"),
        (1000, "1,000"),
        (1234567.0, "1,234,567"),
        (0.00016936, "0.00016936"),
        (1.0 / 3, "0.333333"),
        (0.0000154, "1.54e-05"),
        (-0.0112059, "-0.0112059"),
    ],
)
def test_numbers_have_six_digits(value: float, text: str) -> None:
    assert number(value) == text

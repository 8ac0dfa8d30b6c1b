"""How the energy per token of a model came about: every published number and each formula.

Owns the way back from a row of coefficients to its evidence. A row names its factor set and its
model; the set says where each number was read. Each step can be checked with a pocket calculator,
and a test holds the last one equal to the coefficient that is used.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from ecomind_processor import energy, models
from ecomind_processor.factor_rows import Architecture
from ecomind_processor.factors import FactorSet
from ecomind_semconv.units import JOULES_PER_WH, wh_to_mwh


class Step(NamedTuple):
    """One line: what it is, the formula with its numbers put in, the result and its source.

    `value` is None where there is none: the figure is not available.
    """

    name: str
    formula: str
    value: float | None
    unit: str
    source: str


def cite(factors: FactorSet, by: str) -> str:
    """A measure as a line for people: title, year, licence, and whether it is a judgement."""
    measure = factors.measures.get(by)
    if measure is None:
        return factors.id
    judged = ", judgement" if measure.judgement else ""
    source = measure.source
    return f"{source.title} ({source.year}, {source.licence}{judged})"


def number(value: float) -> str:
    """A number with six significant digits, thousands set apart."""
    if value and not 1e-4 <= abs(value) < 1e15:
        return f"{value:.6g}"
    digits = max(5 - math.floor(math.log10(abs(value))), 0) if value else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def model_steps(model: str, factors: FactorSet) -> Iterator[Step]:
    """The steps to the energy of one output token, in mWh, without idle capacity."""
    if model.startswith("class:"):
        yield from _class_steps(model.removeprefix("class:"), factors)
    elif model.startswith("size:"):
        size = models.size_in(model.removeprefix("size:"))
        assert size is not None, model
        total, active = size
        formula = factors.constants["gpu_energy_gamma_wh_per_token"].by
        architecture = Architecture((total, total), (active, active), None, formula)
        yield from _architecture_steps("size in the name", architecture, factors)
    elif model in factors.models:
        yield from _catalogue_steps(model, factors)
    else:
        yield from _architecture_steps(model, factors.architectures[model], factors)


def _catalogue_steps(model: str, factors: FactorSet) -> Iterator[Step]:
    known = factors.models[model]
    if known.kind == "benchmark":
        yield from _benchmark_steps(known.evidence, factors)
    elif known.kind == "architecture":
        row = factors.architectures[known.evidence]
        yield from _architecture_steps(known.evidence, row, factors)
    elif known.kind == "like":
        yield from model_steps(known.evidence, factors)
        wh = energy.of_model(known, factors)
        formula = f"taken to be like {known.evidence}: same family and tier"
        source = "Ecomind methodology, judgements"
        yield Step(f"Output token of {model}", formula, wh_to_mwh(wh), "mWh", source)
    else:
        yield from _class_steps(known.evidence, factors)


def _benchmark_steps(key: str, factors: FactorSet) -> Iterator[Step]:
    measured = factors.benchmarks[key]
    host = factors.constants["host_per_accelerator"]
    yield Step(
        f"GPU energy per output token of {key}",
        "as measured",
        measured.value,
        "J",
        cite(factors, measured.by),
    )
    yield Step(
        "Output token with its host",
        f"J ÷ 3,600 · host beside the GPU = {number(measured.value)} ÷ {number(JOULES_PER_WH)}"
        f" · {number(host.value)}",
        wh_to_mwh(energy.of_benchmark(key, factors)),
        "mWh",
        cite(factors, host.by),
    )


def _class_steps(key: str, factors: FactorSet) -> Iterator[Step]:
    group = factors.classes[key]
    if group.architecture:
        row = factors.architectures[group.architecture]
        yield from _architecture_steps(group.name, row, factors)
        return
    members = []
    for model in group.models:
        yield from model_steps(model, factors)
        members.append(wh_to_mwh(energy.of_model(factors.models[model], factors)))
    yield Step(
        f"Output token of a {group.name} that nobody knows",
        f"geometric mean of {' and '.join(map(number, members))}",
        wh_to_mwh(energy.of_class(key, factors)),
        "mWh",
        "Ecomind methodology, default class",
    )


def _architecture_steps(name: str, a: Architecture, factors: FactorSet) -> Iterator[Step]:
    sides = ("",) if _one_size(a) else (", smallest", ", largest")
    slopes = []
    for side, label in enumerate(sides):
        yield from slope_steps(name, a, side, label, factors)
        slope = energy.slope_wh_per_token(
            a.active_b[side], a.total_b[side], a.tokens_per_second, factors
        )
        slopes.append(wh_to_mwh(slope))
    if len(slopes) > 1:
        yield Step(
            f"Output token of {name}",
            f"√(smallest · largest) = √({number(slopes[0])} · {number(slopes[1])})",
            wh_to_mwh(energy.of_architecture(a, factors)),
            "mWh",
            "Ecomind methodology, energy per token",
        )


def slope_steps(
    name: str, a: Architecture, side: int, label: str, factors: FactorSet
) -> Iterator[Step]:
    """The steps to EcoLogits' energy per output token at one size of the architecture."""
    total, active = a.total_b[side], a.active_b[side]
    formula = cite(factors, factors.constants["gpu_energy_gamma_wh_per_token"].by)
    gpus = energy.gpu_count(total, factors)
    gpu_mwh = wh_to_mwh(energy.gpu_wh_per_token(active, factors))
    seconds = energy.seconds_per_token(active, a.tokens_per_second, factors)
    server_mwh = wh_to_mwh(energy.server_wh_per_second(gpus, factors))
    speed = f"1 ÷ {number(a.tokens_per_second)} tokens/s" if a.tokens_per_second else "regression"
    yield Step(
        f"Size of {name}{label}", f"{number(active)} of {number(total)} billion active",
        total, "billion parameters", cite(factors, a.by),
    )  # fmt: skip
    yield Step(
        f"GPUs{label}",
        f"power of two at or above {_weights(total, factors)}",
        gpus, "GPUs", formula,
    )  # fmt: skip
    yield Step(
        f"One GPU per output token{label}",
        f"α · e^(β · batch) · active + γ = {_gpu_formula(active, factors)}",
        gpu_mwh, "mWh", formula,
    )  # fmt: skip
    yield Step(
        f"Time of an output token{label}", speed, seconds, "s",
        cite(factors, a.by) if a.tokens_per_second else formula,
    )  # fmt: skip
    yield Step(
        f"Energy of an output token{label}",
        f"GPUs · one GPU + time · share of the server = {gpus} · {number(gpu_mwh)}"
        f" + {number(seconds)} · {number(server_mwh)}",
        gpus * gpu_mwh + seconds * server_mwh, "mWh", formula,
    )  # fmt: skip


def _weights(total_b: float, factors: FactorSet) -> str:
    overhead, size, memory = (
        number(factors.constant(name))
        for name in ("weight_memory_overhead", "weight_bytes_per_parameter", "gpu_memory_gb")
    )
    return f"{overhead} · {number(total_b)} · {size} bytes ÷ {memory} GB"


def _gpu_formula(active_b: float, factors: FactorSet) -> str:
    c = factors.constant
    alpha, gamma = (
        number(wh_to_mwh(c(name)))
        for name in ("gpu_energy_alpha_wh_per_token_per_b", "gpu_energy_gamma_wh_per_token")
    )
    exponent = f"{number(c('gpu_energy_beta_per_request'))} · {number(c('batch_size'))}"
    return f"{alpha} · e^({exponent}) · {number(active_b)} + {gamma}"


def _one_size(a: Architecture) -> bool:
    return a.total_b[0] == a.total_b[1] and a.active_b[0] == a.active_b[1]

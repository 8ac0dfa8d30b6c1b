"""How much IT energy one output token takes, for each kind of evidence.

Owns the three formulas of `ecomind@v1` behind `wh_per_output_token`; every constant comes from the
factor set. Results leave out the idle share, which `resolution.py` folds in once.

Sources: EcoLogits 0.11.3 (`impacts/llm.py`) for the slope; the host share is Google's (2025,
arXiv 2508.15734); docs/methodology.md works one example of each.
"""

from __future__ import annotations

import math

from ecomind_processor.factor_rows import Architecture, Model
from ecomind_processor.factors import FactorSet
from ecomind_semconv.units import SECONDS_PER_HOUR, joules_to_wh


def slope_wh_per_token(
    active_b: float, total_b: float, tokens_per_second: float | None, factors: FactorSet
) -> float:
    """EcoLogits' IT energy per output token, without the latency clamp; Wh.

    `active_b` and `total_b` are billions of parameters; without a known speed the latency
    regression supplies it.
    """
    gpus = gpu_count(total_b, factors)
    seconds = seconds_per_token(active_b, tokens_per_second, factors)
    return gpus * gpu_wh_per_token(active_b, factors) + seconds * server_wh_per_second(
        gpus, factors
    )


def gpu_wh_per_token(active_b: float, factors: FactorSet) -> float:
    """EcoLogits' energy of one GPU per output token; Wh."""
    c = factors.constant
    at_batch = math.exp(c("gpu_energy_beta_per_request") * c("batch_size"))
    alpha = c("gpu_energy_alpha_wh_per_token_per_b")
    return alpha * at_batch * active_b + c("gpu_energy_gamma_wh_per_token")


def server_wh_per_second(gpus: int, factors: FactorSet) -> float:
    """A request's share of the server without its GPUs, while it is answered; Wh per second."""
    c = factors.constant
    return c("server_power_w") / SECONDS_PER_HOUR * gpus / c("server_gpus") / c("batch_size")


def gpu_count(total_b: float, factors: FactorSet) -> int:
    """GPUs that hold the weights of `total_b` billion parameters, rounded up to a power of two."""
    c = factors.constant
    weights_gb = c("weight_memory_overhead") * total_b * c("weight_bytes_per_parameter")
    gpus = max(math.ceil(weights_gb / c("gpu_memory_gb")), 1)
    return 1 << (gpus - 1).bit_length()


def seconds_per_token(
    active_b: float, tokens_per_second: float | None, factors: FactorSet
) -> float:
    """Seconds for one output token: by the known speed, else by EcoLogits' regression."""
    if tokens_per_second:
        return 1 / tokens_per_second
    c = factors.constant
    return (
        c("latency_alpha_seconds_per_token_per_b") * active_b
        + c("latency_beta_seconds_per_token_per_request") * c("batch_size")
        + c("latency_gamma_seconds_per_token")
    )


def of_architecture(a: Architecture, factors: FactorSet) -> float:
    """Geometric mean of the slopes at the smallest and the largest size; Wh per token."""
    low, high = (
        slope_wh_per_token(active, total, a.tokens_per_second, factors)
        for active, total in zip(a.active_b, a.total_b, strict=True)
    )
    return math.sqrt(low * high)


def of_benchmark(key: str, factors: FactorSet) -> float:
    """Measured GPU energy per output token with the host beside it; Wh per token."""
    gpu_wh = joules_to_wh(factors.benchmarks[key].value)
    return gpu_wh * factors.constant("host_per_accelerator")


def of_class(key: str, factors: FactorSet) -> float:
    """Geometric mean over the members of a class, or the class's architecture; Wh per token."""
    group = factors.classes[key]
    if group.architecture:
        return of_architecture(factors.architectures[group.architecture], factors)
    members = [of_model(factors.models[name], factors) for name in group.models]
    return math.exp(math.fsum(map(math.log, members)) / len(members))


def of_model(model: Model, factors: FactorSet) -> float:
    """Energy per output token of a catalogue model, by the evidence it carries; Wh per token."""
    if model.kind == "benchmark":
        return of_benchmark(model.evidence, factors)
    if model.kind == "architecture":
        return of_architecture(factors.architectures[model.evidence], factors)
    if model.kind == "like":
        return of_model(factors.models[model.evidence], factors)
    return of_class(model.evidence, factors)

"""Which model a name means, with its tier: one row a case."""

import datetime
from collections.abc import Callable
from dataclasses import replace

import pytest

from ecomind_processor import models
from ecomind_processor.factors import FactorSet
from ecomind_processor.footprint import Coefficients

Resolver = Callable[..., Coefficients]

NAMES = [
    # exact, in every wrapping
    ("gpt-4o", "gpt-4o", "D"),
    ("GPT-4o", "gpt-4o", "D"),
    ("openai/gpt-4o", "gpt-4o", "D"),
    ("claude-3.5-sonnet", "claude-3-5-sonnet", "D"),
    ("claude-3-5-sonnet@20240620", "claude-3-5-sonnet", "D"),
    ("anthropic/claude-3.7-sonnet:thinking", "claude-3-7-sonnet", "D"),
    ("eu.anthropic.claude-3-5-sonnet-20240620-v1:0", "claude-3-5-sonnet", "D"),
    ("us.deepseek.r1-v1:0", "deepseek-r1", "D"),
    ("models/gemini-1.5-pro-002", "gemini-1.5-pro", "D"),
    ("publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash", "D"),
    ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0", "nova-pro", "E"),
    ("meta-llama/Llama-3.1-70B-Instruct", "llama-3.1-70b", "C"),
    ("meta.llama3-1-70b-instruct-v1:0", "llama-3.1-70b", "C"),
    ("Qwen/Qwen3-235B-A22B", "qwen3-235b-a22b", "C"),
    ("openai.gpt-oss-120b-1:0", "gpt-oss-120b", "C"),
    ("deepseek/deepseek-r1:free", "deepseek-r1", "D"),
    ("text-embedding-3-small", "text-embedding-3-small", "F"),
    # a snapshot of a closed model is that model
    ("gpt-4o-2024-08-06", "gpt-4o", "D"),
    ("gpt-4-32k-0613", "gpt-4-32k", "D"),
    ("claude-opus-4-6-20260205", "claude-opus-4-6", "D"),
    ("gemini-2.5-flash-preview-05-20", "gemini-2.5-flash", "D"),
    # an alias loses a tier
    ("gpt-35-turbo", "gpt-3.5-turbo", "E"),
    ("claude-3-5-sonnet-latest", "claude-3-5-sonnet", "E"),
    ("chatgpt-4o-latest", "gpt-4o", "E"),
    ("accounts/fireworks/models/llama-v3p1-70b-instruct", "llama-3.1-70b", "D"),
    ("llama3.1:70b", "llama-3.1-70b", "D"),
    ("deepseek/deepseek-chat:free", "deepseek-v3", "E"),
    # so do a prefix and a fine-tune
    ("gpt-4o-something-new", "gpt-4o", "E"),
    ("gpt-oss-120b-turbo", "gpt-oss-120b", "D"),
    ("ft:gpt-4o-mini-2024-07-18:acme::abc", "gpt-4o-mini", "E"),
    # a size in the name, even after a known prefix
    ("deepseek-r1-distill-qwen-32b", "size:32b", "E"),
    ("acme-70b", "size:70b", "E"),
    ("acme-8x7b", "size:56b-a14b", "E"),
    ("acme-235b-a22b", "size:235b-a22b", "E"),
    ("acme-a22b", "size:22b", "E"),
    ("acme-2.4t-a95b", "size:2400b-a95b", "E"),
    ("acme-350m", "size:0.35b", "E"),
    ("qwen3-embedding-8b", "size:8b", "E"),
    # family and tier: the newest of the line on the day
    ("claude-opus-99", "claude-opus-4-8", "E"),
    ("gpt-9-mini", "gpt-5.4-mini", "E"),
    # nothing at all
    ("bge-large-en", "class:embedding", "F"),
    ("acme-chat", "class:text", "F"),
    ("deployment-3f7b", "class:text", "F"),
    ("acme-1m", "class:text", "F"),
    ("", "class:text", "F"),
]


@pytest.mark.parametrize(("name", "model", "tier"), NAMES)
def test_name(name: str, model: str, tier: str, coefficients: Resolver) -> None:
    c = coefficients(name)
    assert (c.model, c.model_tier) == (model, tier)
    assert c.band_energy == {"C": 2, "D": 3, "E": 5, "F": 10}[tier]


@pytest.mark.parametrize(
    ("day", "model"),
    [
        ("2023-01-01", "mistral-large-2402"),  # before the first: the first
        ("2024-05-01", "mistral-large-2402"),
        ("2024-07-24", "mistral-large-2407"),
        ("2025-01-01", "mistral-large-2411"),
        ("2026-01-01", "mistral-large-2512"),
    ],
)
def test_a_pointer_means_the_model_of_that_day(
    day: str, model: str, coefficients: Resolver
) -> None:
    c = coefficients("mistral-large-latest", "mistral_ai", day=day)
    assert (c.model, c.model_match, c.model_tier) == (model, "latest on the day", "E")


RETIRED = ["claude-2.1", "claude-instant-1.2", "gpt-4-32k", "gpt-4.5-preview", "gemini-1.0-pro"]


@pytest.mark.parametrize("name", RETIRED)
@pytest.mark.parametrize("day", ["2024-03-01", "2026-11-23"])
def test_a_retired_model_is_still_known(
    name: str, day: str, factors: FactorSet, coefficients: Resolver
) -> None:
    retired = factors.models[coefficients(name).model].retired
    assert retired and retired < datetime.date(2026, 11, 23)
    then, now = coefficients(name, day="2024-01-01"), coefficients(name, day=day)
    assert replace(now, co2e_g_per_kwh_location=0.0, grid_year=0) == replace(
        then, co2e_g_per_kwh_location=0.0, grid_year=0
    )  # the grid's figure is that of the year


def test_the_response_decides(coefficients: Resolver) -> None:
    c = coefficients("gpt-4o-mini-2024-07-18", request_model="gpt-4o")
    assert (c.model, c.model_match) == ("gpt-4o-mini", "dated alias")


@pytest.mark.parametrize("response", ["", "deployment-xyz"])
def test_the_request_speaks_for_an_unknown_response(response: str, coefficients: Resolver) -> None:
    c = coefficients(response, request_model="gpt-4o")
    assert (c.model, c.model_match, c.model_tier) == ("gpt-4o", "exact name (request)", "D")


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("llama-70b", (70, 70)),
        ("mixtral-8x22b-instruct", (176, 44)),
        ("glm-355b-a32b", (355, 32)),
        ("qwen-1.5b", (1.5, 1.5)),
        ("model-128k", None),
        ("model-v3", None),
    ],
)
def test_size(text: str, size: tuple[float, float] | None) -> None:
    assert models.size_in(text) == size


def test_every_name_of_the_catalogue_finds_its_own_model(
    factors: FactorSet, coefficients: Resolver
) -> None:
    for model in factors.models.values():
        for name in (model.id, *model.names, *model.aliases):
            assert coefficients(name).model == model.id, name

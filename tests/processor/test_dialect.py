"""Reading one span: each rule worked by hand, and every captured span against what was billed."""

import pytest
from processor.attribute_keys import (
    AGENTS,
    BEDROCK,
    INPUT,
    NAMED,
    OUTPUT,
    READ,
    REASONING,
    STREAM,
    WRITE,
)

from ecomind_processor.dialect import Reading, bands, read
from ecomind_processor.footprint import Quantities
from ecomind_semconv import dialects, usage

CHAT: dict[str, object] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.response.id": "chatcmpl-1",
    "gen_ai.usage.input_tokens": 1200,
    "gen_ai.usage.output_tokens": 345,
    "openai.response.service_tier": "default",
    "server.address": "api.openai.com",
}


def states(**given: int) -> int:
    """States by name of the count, packed."""
    return sum(given.get(count, 0) << 2 * place for place, count in enumerate(usage.COUNTS))


def test_a_call_in_full() -> None:
    assert read("any", CHAT) == Reading(
        provider="openai",
        request_model="gpt-4o",
        response_model="gpt-4o-2024-08-06",
        operation="chat",
        place="api.openai.com",
        service_tier="default",
        response_id="chatcmpl-1",
        counts=Quantities(input_tokens=1200, output_tokens=345),
        states=0,
        usage_quality="reported",
        reason="",
        genai=True,
        stand_in=False,
    )


NAMES: list[tuple[str, dict[str, object], str, object]] = [
    # the most trusted key that holds a value wins; an empty text, an empty value and false are none
    ("first key", {"gen_ai.request.model": "a", "llm.model_name": "b"}, "request_model", "a"),
    ("empty text", {"gen_ai.request.model": "", "llm.model_name": "b"}, "request_model", "b"),
    ("empty value", {"gen_ai.request.model": None, "model": "b"}, "request_model", "b"),
    ("a list is none", {"gen_ai.request.model": ["a"], "model": "b"}, "request_model", "b"),
    ("false", {"gen_ai.request.model": False, "model": "b"}, "request_model", "b"),
    ("bad value spoils", {"gen_ai.request.model": 5, "model": "b"}, "request_model", ""),
    ("cut", {"gen_ai.request.model": "é" * 129}, "request_model", "é" * 128),
    # aliases
    ("provider alias", {"gen_ai.system": "OpenAI.Responses"}, "provider", "openai"),
    ("unlisted provider", {"gen_ai.system": "Acme"}, "provider", "acme"),
    ("operation alias", {"ai.operationId": "ai.streamText.doStream"}, "operation", "chat"),
    ("only ASCII letters fold", {"gen_ai.system": "İO"}, "provider", "İo"),
    # host → provider
    ("host", {"server.address": "API.Mistral.ai"}, "provider", "mistral_ai"),
    ("framework", {"gen_ai.system": "langchain", "server.address": "api.x.ai"}, "provider", "x_ai"),
    ("end of host", {"server.address": "eu.openai.azure.com"}, "provider", "azure.ai.openai"),
    ("not the end", {"server.address": "api.openai.com.acme.io"}, "provider", ""),
    ("url", {"server.address": "HTTPS://API.openai.com:443/v1"}, "place", "api.openai.com"),
    # place
    ("host as place", {"server.address": "LOCALHOST"}, "place", "localhost"),
    (
        "region before host",
        {"server.address": "api.x.ai", "ecomind.inference.region": "eu-west-3"},
        "place",
        "eu-west-3",
    ),
    ("tier", {"openai.request.service_tier": "flex"}, "service_tier", "flex"),
    # what is ours
    ("nothing of GenAI", {"http.request.method": "GET", **STREAM}, "genai", False),
    ("energy alone", {"ecomind.measured.energy": 3.6}, "genai", True),
]


@pytest.mark.parametrize(("attributes", "field", "value"), [case[1:] for case in NAMES],
                         ids=[case[0] for case in NAMES])  # fmt: skip
def test_names(attributes: dict[str, object], field: str, value: object) -> None:
    assert getattr(read("any", attributes), field) == value


@pytest.mark.parametrize(
    ("value", "tokens"),
    [
        (12, 12),
        (12.0, 12),
        ("12", 12),
        ("+0012", 12),
        (0, 0),
        (-0.0, 0),
        (dialects.MAX_TOKENS, 100_000_000),
        (dialects.MAX_TOKENS + 1, None),
        (-1, None),
        (12.5, None),
        (True, None),
        ("12.0", None),
        (" 12", None),
        ("1_2", None),
        ("１２", None),
        ("9" * 5000, None),
        (float("nan"), None),
        (float("inf"), None),
        (1e300, None),
    ],
)
def test_a_count_is_a_whole_number_in_range(value: object, tokens: int | None) -> None:
    found = read("any", {**NAMED, INPUT: value, OUTPUT: 1})
    assert (found.counts.input_tokens, found.usage_quality) == (
        (tokens, "reported") if tokens is not None else (1500, "estimated")
    )


@pytest.mark.parametrize(
    ("joules", "millijoules"),
    [(3.6, 3600), (2, 2000), ("1e3", 1_000_000), (0.0005, 0), (0.0015, 2), (1e12, 10**15),
     (1.1e12, None), (-1, None), ("nan", None), ("1_0", None), (True, None), (10**400, None)],
)  # fmt: skip
def test_measured_energy(joules: object, millijoules: int | None) -> None:
    """Joules → millijoules, half to even. What was measured needs no estimates of tokens."""
    found = read("any", {**NAMED, "ecomind.measured.energy": joules})
    counts = Quantities(1500, 375, 0, 250, 62) if millijoules is None else Quantities()
    assert found.counts == counts._replace(measured_energy_mj=millijoules or 0)
    assert found.usage_quality == ("estimated" if millijoules is None else "reported")


COUNTED: list[tuple[str, str, dict[str, object], Quantities, int, str]] = [
    # name, scope, attributes beside NAMED, counts, states, quality
    (
        "as reported: absent caches and reasoning were zero",
        "any",
        {INPUT: 1000, OUTPUT: 300},
        Quantities(1000, 0, 0, 300, 0),
        0,
        "reported",
    ),
    (
        "inclusive: 1,000 of the 1,250 were read from a cache",
        "any",
        {INPUT: 1250, READ: 1000, WRITE: 200, OUTPUT: 345, REASONING: 128},
        Quantities(1250, 1000, 200, 345, 128),
        0,
        "reported",
    ),
    (
        "caches above the input show that it leaves them out: 50 + 1,000 + 200",
        "any",
        {INPUT: 50, READ: 1000, WRITE: 200, OUTPUT: 345},
        Quantities(1250, 1000, 200, 345, 0),
        0,
        "reported",
    ),
    (
        "exclusive by its scope and provider: 500 + 20",
        "openlit.instrumentation.anthropic",
        {"gen_ai.provider.name": "anthropic", INPUT: 500, READ: 20, WRITE: 0, OUTPUT: 9},
        Quantities(520, 20, 0, 9, 0),
        0,
        "reported",
    ),
    (
        "the same scope, another provider",
        "openlit.instrumentation.anthropic",
        {"gen_ai.provider.name": "openai", INPUT: 500, READ: 20, OUTPUT: 9},
        Quantities(500, 20, 0, 9, 0),
        0,
        "reported",
    ),
    (
        "exclusive output: 217 + 128",
        "gemini",
        {"gen_ai.provider.name": "gemini", INPUT: 1200, OUTPUT: 217, REASONING: 128},
        Quantities(1200, 0, 0, 345, 128),
        0,
        "reported",
    ),
    (
        "no more reasoning than output",
        "any",
        {INPUT: 10, OUTPUT: 20, REASONING: 30},
        Quantities(10, 0, 0, 20, 20),
        0,
        "reported",
    ),
    (
        "nothing reported: 1,500 and 250, a quarter of each cached and reasoned",
        "any",
        {},
        Quantities(1500, 375, 0, 250, 62),
        states(input=2, output=2, cache_read=2, cache_write=2, reasoning=2),
        "estimated",
    ),
    (
        "nothing reported but more cache reads than the estimate",
        "any",
        {READ: 4000, OUTPUT: 9},
        Quantities(4000, 4000, 0, 9, 0),
        states(input=2, cache_write=2),
        "estimated",
    ),
    (
        "embeddings have neither output nor caches",
        "any",
        {"gen_ai.operation.name": "embedding", INPUT: 16},
        Quantities(16),
        0,
        "reported",
    ),
    (
        "embeddings without input",
        "any",
        {"gen_ai.operation.name": "embedding"},
        Quantities(1500),
        states(input=2),
        "estimated",
    ),
    (
        "a scope without caches and reasoning: 1,200 // 4, 345 // 4",
        "opentelemetry.instrumentation.openai_v2",
        {INPUT: 1200, OUTPUT: 345},
        Quantities(1200, 300, 0, 345, 86),
        states(cache_read=2, reasoning=2),
        "partial",
    ),
    (
        "the same scope, where it does report them",
        "opentelemetry.instrumentation.openai_v2",
        {INPUT: 1200, READ: 0, OUTPUT: 345, REASONING: 128},
        Quantities(1200, 0, 0, 345, 128),
        0,
        "reported",
    ),
    (
        "exclusive without caches: one in four of the whole is 50 // 3 of the rest",
        BEDROCK,
        {"gen_ai.provider.name": "aws.bedrock", INPUT: 50, OUTPUT: 345},
        Quantities(66, 16, 0, 345, 0),
        states(input=1, cache_read=2, cache_write=2),
        "partial",
    ),
    (
        "exclusive output without reasoning: 217 + 217 // 3",
        "gemini",
        {"gen_ai.provider.name": "gcp.gemini", INPUT: 1200, OUTPUT: 217},
        Quantities(1200, 0, 0, 289, 72),
        states(output=1, reasoning=2),
        "partial",
    ),
    (
        "reasoning that is left out of streams only: a stream",
        "opentelemetry.instrumentation.openai.v1",
        {INPUT: 1200, OUTPUT: 345, **STREAM},
        Quantities(1200, 0, 0, 345, 86),
        states(reasoning=2),
        "partial",
    ),
    (
        "and no stream",
        "opentelemetry.instrumentation.openai.v1",
        {INPUT: 1200, OUTPUT: 345},
        Quantities(1200, 0, 0, 345, 0),
        0,
        "reported",
    ),
    (
        "made-up input and output of a stream: there is no cache count",
        "openlit.instrumentation.openai",
        {INPUT: 20, OUTPUT: 13, "gen_ai.is_streaming": "True"},
        Quantities(1500, 375, 0, 250, 62),
        states(input=2, output=2, cache_read=2, cache_write=2, reasoning=2),
        "estimated",
    ),
    (
        "true ones: there is",
        "openlit.instrumentation.openai",
        {INPUT: 1200, OUTPUT: 345, READ: 1024, REASONING: 128, **STREAM},
        Quantities(1200, 1024, 0, 345, 128),
        0,
        "reported",
    ),
    (
        "made-up zeros for the caches of a stream",
        "openlit.instrumentation.anthropic",
        {"gen_ai.provider.name": "anthropic", INPUT: 50, READ: 0, WRITE: 0, OUTPUT: 9, **STREAM},
        Quantities(66, 16, 0, 9, 0),
        states(input=1, cache_read=2, cache_write=2),
        "partial",
    ),
    (
        "inexact output of a stream",
        "opentelemetry.instrumentation.anthropic",
        {INPUT: 1250, OUTPUT: 346, **STREAM},
        Quantities(1250, 0, 0, 346, 0),
        states(output=1),
        "partial",
    ),
    (
        "a blob of JSON",
        "logfire.openai",
        {INPUT: 9, OUTPUT: 9, "gen_ai.usage.raw": '{"a": {"cached_tokens": 8, "reasoning": 7}}'},
        Quantities(9, 8, 0, 9, 7),
        0,
        "reported",
    ),
    (
        "a blob of Python",
        "litellm",
        {INPUT: 9, OUTPUT: 9, "metadata.usage_object": "{'cache_creation_input_tokens': 4}"},
        Quantities(9, 0, 4, 9, 0),
        0,
        "reported",
    ),
    (
        "a key before a blob",
        "any",
        {INPUT: 9, OUTPUT: 9, READ: 2, "gen_ai.usage.raw": '{"cached_tokens": 8}'},
        Quantities(9, 2, 0, 9, 0),
        0,
        "reported",
    ),
    (
        "neither quoted text nor too large a number is a blob's count",
        "any",
        {
            INPUT: 9,
            OUTPUT: 9,
            "gen_ai.usage.raw": r'{"t": "\"cached_tokens\": 8", "cache_read": 100000001}',
        },
        Quantities(9, 0, 0, 9, 0),
        0,
        "reported",
    ),
]


@pytest.mark.parametrize(
    ("scope", "attributes", "counts", "packed", "quality"),
    [case[1:] for case in COUNTED],
    ids=[case[0] for case in COUNTED],
)
def test_counts(
    scope: str, attributes: dict[str, object], counts: Quantities, packed: int, quality: str
) -> None:
    found = read(scope, {**NAMED, **attributes})
    assert (found.counts, found.states, found.usage_quality) == (counts, packed, quality)
    assert all(low <= mid <= high for low, mid, high in bands(counts, packed).values())


REASONS: list[tuple[str, str, dict[str, object], bool, tuple[str, str, bool]]] = [
    # name, scope, attributes, failed, (reason, quality, stand-in)
    ("a call", "any", NAMED, False, ("", "estimated", False)),
    ("failed", "any", NAMED, True, ("error", "", False)),
    ("error type", "any", {**NAMED, "error.type": "429"}, False, ("error", "", False)),
    ("failed after usage", "any", CHAT, True, ("", "reported", False)),
    ("a container", "any", {**CHAT, "gen_ai.operation.name": "Chain"}, True,
     ("container", "", False)),
    ("no name, no usage", "any", {"gen_ai.operation.name": "chat"}, False, ("no_model", "", False)),
    ("usage alone", "any", {INPUT: 1, OUTPUT: 1}, False, ("", "reported", False)),
    ("agent", AGENTS, {"gen_ai.operation.name": "invoke_agent"}, False, ("", "estimated", True)),
    (
        "agent of another provider",
        AGENTS,
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "anthropic"},
        False,
        ("container", "", False),
    ),
    ("agent of another scope", "ai", {"gen_ai.operation.name": "invoke_agent"}, False,
     ("container", "", False)),
]  # fmt: skip


@pytest.mark.parametrize(("scope", "attributes", "failed", "expected"),
                         [case[1:] for case in REASONS],
                         ids=[case[0] for case in REASONS])  # fmt: skip
def test_what_is_a_call(
    scope: str, attributes: dict[str, object], failed: bool, expected: tuple[str, str, bool]
) -> None:
    found = read(scope, attributes, failed=failed)
    assert (found.reason, found.usage_quality, found.stand_in) == expected


def test_a_rewritten_id_is_none() -> None:
    identified = {**NAMED, "gen_ai.response.id": "chatcmpl-1"}
    assert read("litellm", identified).response_id == "chatcmpl-1"
    anthropic = {"gen_ai.system": "anthropic", "gen_ai.response.id": "chatcmpl-1"}
    assert read("litellm", anthropic).response_id == ""

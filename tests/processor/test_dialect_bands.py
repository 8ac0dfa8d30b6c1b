"""The band of each count, worked by hand."""

from collections.abc import Mapping

from processor.attribute_keys import BEDROCK, INPUT, NAMED, OUTPUT, READ, REASONING, STREAM, WRITE

from ecomind_processor.dialect import bands, read


def banded(scope: str, attributes: Mapping[str, object]) -> dict[str, tuple[int, int, int]]:
    found = read(scope, {**NAMED, **attributes})
    return bands(found.counts, found.states)


def test_the_band_of_a_report_is_a_point() -> None:
    given = {INPUT: 1250, READ: 1000, WRITE: 200, OUTPUT: 345, REASONING: 128}
    assert banded("any", given) == {
        "input": (1250, 1250, 1250),
        "output": (345, 345, 345),
        "cache_read": (1000, 1000, 1000),
        "cache_write": (200, 200, 200),
        "reasoning": (128, 128, 128),
    }


def test_the_bands_of_nothing() -> None:
    # 0.99 · 30,000 = 29,700
    assert banded("any", {}) == {
        "input": (75, 1500, 30_000),
        "output": (25, 250, 2500),
        "cache_read": (0, 375, 29_700),
        "cache_write": (0, 0, 29_700),
        "reasoning": (0, 62, 2500),
    }


def test_a_band_is_widened_to_hold_its_mid() -> None:
    assert banded("any", {READ: 40_000, OUTPUT: 9})["input"] == (75, 40_000, 40_000)


def test_the_bands_of_input_without_its_caches() -> None:
    # 50 of 5,000 are 1 %, the least that is taken to come from no cache; 0.99 · 5,000 = 4,950
    made = banded(BEDROCK, {"gen_ai.provider.name": "aws.bedrock", INPUT: 50, OUTPUT: 345})
    assert made["input"] == (50, 66, 5000)
    assert (made["cache_read"], made["cache_write"]) == ((0, 16, 4950), (0, 0, 4950))


def test_what_is_known_of_the_caches_is_below_the_band() -> None:
    given = {"gen_ai.provider.name": "aws.bedrock", INPUT: 60, WRITE: 200, OUTPUT: 345}
    # 60 + 200 known; 60 // 3 read; 60 / 0.01
    assert banded(BEDROCK, given)["input"] == (260, 280, 6000)


def test_the_bands_of_inexact_output() -> None:
    scope = "opentelemetry.instrumentation.anthropic"
    assert banded(scope, {INPUT: 9, OUTPUT: 300, **STREAM})["output"] == (200, 300, 450)


def test_the_bands_of_output_without_its_reasoning() -> None:
    made = banded("gemini", {"gen_ai.provider.name": "gemini", INPUT: 1200, OUTPUT: 217})
    assert (made["output"], made["reasoning"]) == ((217, 289, 2170), (0, 72, 2170))

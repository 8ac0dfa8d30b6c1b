"""Every captured span, read on its own, against what was billed."""

import json
from pathlib import Path
from typing import Any

import pytest

from ecomind_processor.dialect import Reading, bands, read
from ecomind_semconv import usage

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
TRUTH: dict[str, Any] = json.loads((CAPTURES / "TRUTH.json").read_text())
TWICE = "two instrumentations report each call"
TAKES_MORE_THAN_A_SPAN = {
    "genai/messages_basic": TWICE,
    "genai/messages_stream": TWICE,
    "genai/messages_tools": TWICE,
    "logfire/openai_stream": "the usage of a stream is on a span of its own",
    "openinference/lc_agent": TWICE,
    "openinference/messages_basic": TWICE,
    "openinference/messages_stream": TWICE,
    "openinference/messages_tools": TWICE,
    "traceloop/messages_basic": TWICE,
    "traceloop/messages_stream": TWICE,
    "traceloop/messages_tools": TWICE,
}
"""Capture → why reading its spans one by one counts too many: all of these are counted twice."""


def value_of(any_value: dict[str, Any]) -> object:
    """A value of OTLP/JSON; a list, a map and an empty one are None."""
    kinds = {"stringValue": str, "intValue": int, "doubleValue": float, "boolValue": bool}
    return next((kinds[kind](v) for kind, v in any_value.items() if kind in kinds), None)


def calls_of(name: str) -> list[Reading]:
    """What reading each span of a capture on its own takes for calls."""
    raw = json.loads((CAPTURES / f"{name}.traces.json").read_text())
    readings = [
        read(
            scoped.get("scope", {}).get("name", ""),
            {one["key"]: value_of(one["value"]) for one in span.get("attributes", [])},
            failed=span.get("status", {}).get("code") == 2,
        )
        for resource in raw["resourceSpans"]
        for scoped in resource["scopeSpans"]
        for span in scoped["spans"]
    ]
    return [reading for reading in readings if reading.genai and not reading.reason]


@pytest.mark.parametrize("name", TRUTH)
def test_a_capture_is_read_right_or_within_its_band(name: str) -> None:
    calls, truth = calls_of(name), TRUTH[name]
    if name in TAKES_MORE_THAN_A_SPAN:
        assert len(calls) == 2 * truth["billed_calls"]
        return
    assert len(calls) == truth["billed_calls"]
    made = [bands(call.counts, call.states) for call in calls]
    for place, count in enumerate(usage.COUNTS):
        low, mid, high = (sum(band[count][end] for band in made) for end in range(3))
        assert low <= truth["truth"][count] <= high, count
        if all(call.states >> 2 * place & 3 == usage.REPORTED for call in calls):
            assert mid == truth["truth"][count], count

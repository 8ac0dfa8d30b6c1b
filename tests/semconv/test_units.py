"""Conversions, each against a value that can be worked out on paper."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ecomind_semconv import units

CASES = [
    (units.joules_to_wh, 812.5, 812.5 / 3600),
    (units.joules_to_wh, 7200.0, 2.0),
    (units.wh_to_joules, 0.34, 1224.0),  # 0.34 Wh, "The Gentle Singularity" (OpenAI, 2025)
    (units.joules_to_millijoules, 0.0125, 12),  # 12.5 is half way: to the even neighbour
    (units.joules_to_millijoules, 1.2345, 1234),
    (units.millijoules_to_wh, 864_000.0, 0.24),  # 0.24 Wh, median Gemini text prompt (Google, 2025)
    (units.wh_to_mwh, 0.24, 240.0),
    (units.mwh_to_wh, 1.5396, 0.0015396),
    (units.wh_to_kwh, 250.0, 0.25),
    (units.kwh_to_wh, 0.25, 250.0),
    (units.grams_to_kg, 30.0, 0.03),
    (units.kg_to_grams, 0.03, 30.0),
    (units.litres_to_ml, 0.00026, 0.26),  # 0.26 mL, the same Gemini prompt
    (units.ml_to_litres, 0.26, 0.00026),
    (units.ns_to_seconds, 1_500_000_000, 1.5),
    (units.seconds_to_ns, 0.25, 250_000_000),
]


@pytest.mark.parametrize(
    ("convert", "given", "expected"), CASES, ids=[f"{case[0].__name__}-{case[1]}" for case in CASES]
)
def test_conversion(convert: Callable[[Any], float], given: float, expected: float) -> None:
    assert convert(given) == pytest.approx(expected, rel=1e-15)


def test_factors_agree_with_one_another() -> None:
    assert units.JOULES_PER_WH == 3600.0
    assert units.MILLIJOULES_PER_WH == units.JOULES_PER_WH * units.MILLIJOULES_PER_JOULE
    assert units.WH_PER_MILLIJOULE == 1 / units.MILLIJOULES_PER_WH
    assert units.NS_PER_SECOND == units.NS_PER_US * units.US_PER_SECOND
    assert units.NS_PER_MS * units.MS_PER_SECOND == units.NS_PER_SECOND
    assert units.SECONDS_PER_DAY == 24 * units.SECONDS_PER_HOUR
    assert units.SECONDS_PER_HOUR == 60 * units.SECONDS_PER_MINUTE
    assert units.BYTES_PER_MIB == 1024 * units.BYTES_PER_KIB

"""The yardstick itself: it must notice what is wrong."""

from __future__ import annotations

import pytest
from captures.truth import Call, Counted, Truth, load, score, wrong

REPORTED, NO_OUTPUT = 0, 0b10_00  # two bits a count: input, output, cache read, cache write, …
TRUTH = Truth(
    1, {"input": 1200, "output": 345, "cache_read": 1024, "cache_write": 0, "reasoning": 128}
)


def counted(states: int, *tokens: int, calls: int = 1) -> Counted:
    return Counted.of([Call(tokens, states)] * calls)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (counted(REPORTED, 1200, 345, 1024, 0, 128), ""),
        (counted(REPORTED, 1200, 345, 1024, 0, 128, calls=2), "2 calls, not 1"),
        (counted(REPORTED, 1200, 344, 1024, 0, 128), "output 344, not 345"),
        (counted(NO_OUTPUT, 1200, 250, 1024, 0, 128), ""),  # 25 to 2,500 hold 345
        (counted(NO_OUTPUT, 1201, 250, 1024, 0, 128), "input 1201, not 1200"),
    ],
)
def test_a_result_is_judged_count_by_count(given: Counted, sentence: str) -> None:
    assert wrong(TRUTH, given) == sentence


def test_the_truth_must_lie_in_the_band_of_a_flagged_count() -> None:
    found = wrong(
        TRUTH._replace(tokens=TRUTH.tokens | {"output": 1_000_000}),
        counted(NO_OUTPUT, 1200, 250, 1024, 0, 128),
    )
    assert found == "output 250, within 25 to 2500, not 1000000"


def test_a_score_counts_what_is_flagged_and_what_is_wrong() -> None:
    truth = {"exact": TRUTH, "flagged": TRUTH, "lost": TRUTH}
    result = score(
        "somehow",
        truth,
        {
            "exact": counted(REPORTED, 1200, 345, 1024, 0, 128),
            "flagged": counted(NO_OUTPUT, 1200, 250, 1024, 0, 128),
            "lost": Counted.of([]),
        },
    )
    assert result == ("somehow", 3, 1, 1, {"lost": "0 calls, not 1"})
    assert "1 exact   1 flagged   1 flagged output   1 outside the band" in str(result)


def test_there_are_82_captures() -> None:
    assert len(load()) == 82

"""What the captures are known to hold, and how a result is held against it.

The number of counted calls is exact. So is every total of tokens, unless some counted call says of
that count that it was not, or not wholly, reported; then the truth lies inside the bounds that the
calls give together. How many captures may say so is limited, or everything could be flagged.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from ecomind_processor.dialect import bands
from ecomind_processor.footprint import Quantities
from ecomind_semconv.usage import COUNTS, STATE_BITS

FOLDER = Path(__file__).parents[1] / "data" / "captures"
MAX_FLAGGED, MAX_FLAGGED_OUTPUT = 24, 8
"""Captures that lack some count, and those that lack the output's. To be lowered, never raised."""


class Truth(NamedTuple):
    """What one capture holds: billed calls and their tokens by count."""

    calls: int
    tokens: dict[str, int]


class Call(NamedTuple):
    """A counted call: its counts, in the order of COUNTS, and their packed states."""

    tokens: tuple[int, ...]
    usage_states: int

    @property
    def flagged(self) -> set[str]:
        """The counts that were not reported, or not wholly."""
        return {
            name for n, name in enumerate(COUNTS) if self.usage_states >> STATE_BITS * n & 3 != 0
        }

    @property
    def bounds(self) -> dict[str, tuple[int, int, int]]:
        """Low, mid and high of each count."""
        given = {f"{name}_tokens": n for name, n in zip(COUNTS, self.tokens, strict=True)}
        return bands(Quantities(**given), self.usage_states)


class Counted(NamedTuple):
    """What a capture was counted as."""

    calls: int
    tokens: dict[str, int]
    rows: tuple[Call, ...]

    @classmethod
    def of(cls, rows: Iterable[Call]) -> Counted:
        """The sums over these calls."""
        kept = tuple(rows)
        sums = [sum(call.tokens[n] for call in kept) for n in range(len(COUNTS))]
        return cls(len(kept), dict(zip(COUNTS, sums, strict=True)), kept)

    @property
    def flagged(self) -> set[str]:
        """The counts that some call says were not, or not wholly, reported."""
        return {name for call in self.rows for name in call.flagged}


class Score(NamedTuple):
    """How a mode of sending did."""

    mode: str
    captures: int
    flagged: int
    flagged_output: int
    wrong: dict[str, str]

    def __str__(self) -> str:
        exact = self.captures - self.flagged - len(self.wrong)
        return (
            f"captures  {self.mode:<34}{self.captures:>3} captures {exact:>3} exact"
            f" {self.flagged:>3} flagged {self.flagged_output:>3} flagged output"
            f" {len(self.wrong):>3} outside the band"
        )


def load() -> dict[str, Truth]:
    """Capture → what it holds."""
    found = json.loads((FOLDER / "TRUTH.json").read_text("utf-8"))
    return {name: Truth(one["billed_calls"], one["truth"]) for name, one in found.items()}


def request(name: str, kind: str = "traces") -> bytes:
    """The capture as its application sent it, OTLP/JSON."""
    return (FOLDER / f"{name}.{kind}.json").read_bytes()


def score(mode: str, truth: Mapping[str, Truth], counted: Mapping[str, Counted]) -> Score:
    """The result of a mode, capture by capture."""
    judged = {name: wrong(one, counted[name]) for name, one in truth.items()}
    return Score(
        mode,
        len(truth),
        sum(bool(counted[name].flagged) and not judged[name] for name in truth),
        sum("output" in counted[name].flagged for name in truth),
        {name: sentence for name, sentence in judged.items() if sentence},
    )


def demand(result: Score, report: Callable[[str], None]) -> None:
    """Report the score; all must be right, and few flagged."""
    report(str(result))
    assert result.wrong == {}
    assert result.flagged <= MAX_FLAGGED
    assert result.flagged_output <= MAX_FLAGGED_OUTPUT


def wrong(truth: Truth, counted: Counted) -> str:
    """What of a result is not the truth; empty if nothing."""
    if counted.calls != truth.calls:
        return f"{counted.calls} calls, not {truth.calls}"
    flagged, low, high = counted.flagged, Counter[str](), Counter[str]()
    for call in counted.rows:
        for name, (least, _, most) in call.bounds.items():
            low[name] += least
            high[name] += most
    faults = [
        f"{name} {counted.tokens[name]}, within {low[name]} to {high[name]}, not {true}"
        if name in flagged
        else f"{name} {counted.tokens[name]}, not {true}"
        for name, true in truth.tokens.items()
        if not (
            low[name] <= true <= high[name] if name in flagged else counted.tokens[name] == true
        )
    ]
    return "; ".join(faults)

"""The failure table: one row for each kind of failure, summed over trials in any process.

A trial leaves its figures among the properties of its test, which pytest-xdist carries to the
process that prints. So a row comes together however its trials were spread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

PROPERTY = "failure trial"
SEED = 1
"""What every draw of a trial is made from, with its row and number."""


@dataclass(frozen=True)
class Trial:
    """Figures of one trial, or of several; a request that is lost counts with all its spans."""

    row: str
    trials: int
    acked_spans: int
    lost_spans: int
    duplicated_spans: int
    rollup_equal: bool
    peak_mb: int

    def __add__(self, other: Trial) -> Trial:
        return Trial(
            self.row,
            self.trials + other.trials,
            self.acked_spans + other.acked_spans,
            self.lost_spans + other.lost_spans,
            self.duplicated_spans + other.duplicated_spans,
            self.rollup_equal and other.rollup_equal,
            max(self.peak_mb, other.peak_mb),
        )


def rows_of(reports: Iterable[Any]) -> list[Trial]:
    """One row for each kind, from pytest's reports, by name."""
    rows: dict[str, Trial] = {}
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == PROPERTY and report.when == "call":
                trial = Trial(**value)
                rows[trial.row] = rows[trial.row] + trial if trial.row in rows else trial
    return [rows[name] for name in sorted(rows)]


def lines_of(rows: list[Trial]) -> list[str]:
    """The table as text, and its sum in a sentence."""
    width = max(len(row.row) for row in rows)
    lines = [
        f"{'failure':<{width}} {'trials':>6} {'acked spans':>12} {'lost':>5} {'duplicated':>10}"
        f" {'rollup equal':>12} {'peak MB':>8}"
    ]
    for row in rows:
        equal = "yes" if row.rollup_equal else "NO"
        lines.append(
            f"{row.row:<{width}} {row.trials:>6,} {row.acked_spans:>12,} {row.lost_spans:>5,}"
            f" {row.duplicated_spans:>10,} {equal:>12} {row.peak_mb:>8,}"
        )
    total = sum(rows[1:], rows[0])
    lines.append(
        f"{total.trials:,} trials, seed {SEED}: lost {total.lost_spans:,}, duplicated"
        f" {total.duplicated_spans:,}"
    )
    return lines


def write(rows: list[Trial], path: Path) -> None:
    """The table as JSON, a list of rows with the names of `Trial`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")

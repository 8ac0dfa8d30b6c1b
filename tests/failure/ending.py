"""Starts a victim, waits for its end, and says what it had promised."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from failure.points import Point
from failure.sending import MODE
from failure.trials import watched_peak_mb
from failure.victim import REPORT, SENT

from ecomind_query.bench.invariants import Sent, read_report

TESTS = Path(__file__).resolve().parents[1]


_SECONDS = 120.0
"""No victim lives longer; one that is terminated fails its trial."""


class Ended(NamedTuple):
    """What is left of a victim."""

    sent: Sent
    peak_mb: float
    at: str
    killed: bool


def end_one(
    folder: Path,
    place: str,
    points: Mapping[str, Point],
    draw: random.Random,
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Run a victim to its end at a point that is drawn."""
    name = draw.choice(sorted(points))
    first = 2 if place == "spool" else 1  # before the first of its steps nothing is promised
    nth = draw.randint(first, max(points[name].most, first))
    return end_at(folder, place, name, nth, draw.randrange(1 << 32), environment or {})


def end_at(
    folder: Path, place: str, name: str, nth: int, seed: int, environment: Mapping[str, str]
) -> Ended:
    """Run a victim to its end at the nth time of a point. Raises AssertionError if it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "victim.log").open("wb") as log:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "failure.victim",
                str(folder), str(seed), f"draw {seed}", place, name, str(nth),
            ],
            env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
            stdout=log,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        watch = threading.Timer(_SECONDS, process.terminate)
        watch.start()
        peak_mb = watched_peak_mb(process)
        watch.cancel()
    at = f"{place}: {name}, time {nth}, seed {seed}"
    said = (folder / "victim.log").read_text(errors="replace")[-3000:]
    assert process.returncode in (0, -signal.SIGKILL), f"{at}\n{said}"
    sent = Sent(seed, MODE, SENT, read_report(folder / REPORT))
    return Ended(sent, peak_mb, at, process.returncode != 0)

"""What became of an organisation's calls: the rows that stand, and the rollup beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ecomind_receiver.server import Receiver
from ecomind_semconv.usage import COUNTS
from support.receiver import make_settings

STANDING = """
SELECT org_id, * EXCEPT (org_id, sign, received_at, counted, reason, energy_wh, co2e_g, water_ml),
       counted, reason, toInt64(sum(sign)) AS net
FROM calls GROUP BY ALL HAVING net != 0
ORDER BY org_id, start_time, span_id
"""
ROLLUP = f"""
SELECT org_id, toInt64(sum(calls)) AS calls, toInt64(sum(adjusted_calls_milli)) AS adjusted,
       {", ".join(f"toInt64(sum({name}_tokens)) AS {name}" for name in COUNTS)}
FROM usage_hourly GROUP BY org_id
"""


class Outcome(NamedTuple):
    """What is stored of a case."""

    rows: list[dict[str, Any]]
    rollup: tuple[int, ...]
    adjusted_milli: int

    @property
    def reasons(self) -> dict[int, str]:
        """Reason by span id; log records stand under 0."""
        return {0 if row["signal"] == "log" else row["span_id"]: row["reason"] for row in self.rows}

    @property
    def counted(self) -> list[dict[str, Any]]:
        """The rows that count."""
        return [row for row in self.rows if row["counted"]]

    @property
    def sums(self) -> tuple[int, ...]:
        """The rollup, computed anew from the calls."""
        return sums_of(self.counted)


def sums_of(rows: list[dict[str, Any]]) -> tuple[int, ...]:
    return len(rows), *(sum(row[f"{name}_tokens"] for row in rows) for name in COUNTS)


def outcomes(receiver: Receiver) -> dict[str, Outcome]:
    """By organisation; a row that stands twice is one row too many."""
    rollup = {row["org_id"]: row for row in receiver.store.query(ROLLUP)}
    found: dict[str, Outcome] = {}
    for row in receiver.store.query(STANDING):
        org_id = row["org_id"]
        assert row["net"] == 1, row
        if org_id not in found:
            sums = rollup.get(org_id, dict.fromkeys(("calls", "adjusted", *COUNTS), 0))
            ordered = tuple(sums[name] for name in ("calls", *COUNTS))
            found[org_id] = Outcome([], ordered, sums["adjusted"])
        found[org_id].rows.append(row)
    return found


@asynccontextmanager
async def running(folder: Path, **values: Any) -> AsyncIterator[Receiver]:
    """A receiver that seals a segment only when it is told to."""
    settings = make_settings(folder, spool_segment_max_seconds=600, **values)
    receiver = Receiver(settings, listeners=False)
    await receiver.start()
    try:
        yield receiver
    finally:
        await receiver.stop()

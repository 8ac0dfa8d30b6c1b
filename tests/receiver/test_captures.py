"""Real telemetry of real instrumentations through the whole path, against its ground truth.

`captures/TRUTH.json` says what was billed. A capture that lacks the information, or needs a rule
that does not exist yet, is listed in KNOWN with what we report instead: the list may only shrink.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

from support.receiver import Running

from ecomind_receiver.ingest import JSON
from ecomind_receiver.tenants import Tenant

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
TRUTH: dict[str, Any] = json.loads((CAPTURES / "TRUTH.json").read_text())
KNOWN: dict[str, dict[str, int]] = json.loads((Path(__file__).parent / "known.json").read_text())
FIELDS = ("calls", "input", "output", "cache_read", "cache_write", "reasoning")
SUMS = """
SELECT org_id, toInt64(sum(counted * sign)) AS calls, toInt64(sum(counted * input_tokens)) AS input,
       toInt64(sum(counted * output_tokens)) AS output,
       toInt64(sum(counted * cache_read_tokens)) AS cache_read,
       toInt64(sum(counted * cache_write_tokens)) AS cache_write,
       toInt64(sum(counted * reasoning_tokens)) AS reasoning
FROM calls GROUP BY org_id
"""


def test_every_capture_is_counted_right_or_known(running: Running) -> None:
    async def measure() -> dict[str, dict[str, int]]:
        async with running(retention_days=3650) as receiver:
            for name in TRUTH:
                body = (CAPTURES / f"{name}.traces.json").read_bytes()
                await receiver.accept(Tenant(name, "default"), body, JSON)
            await receiver.drain()
            rows = {row.pop("org_id"): row for row in receiver.store.query(SUMS)}
            return {name: rows.get(name, dict.fromkeys(FIELDS, 0)) for name in TRUTH}

    measured = asyncio.run(measure())
    truth = {name: {"calls": t["billed_calls"], **t["truth"]} for name, t in TRUTH.items()}
    wrong = {name: row for name, row in measured.items() if row != truth[name]}
    assert wrong == KNOWN

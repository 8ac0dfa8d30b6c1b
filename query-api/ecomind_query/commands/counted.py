"""What became of the records that a command sent: counted or not and why, and their tokens.

Read from the store before and after, so that what was there before is not part of it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypedDict

from ecomind_query.queries import Queries
from ecomind_semconv.usage import COUNTS, STATES


class Calls(TypedDict):
    """Calls that count, and records that do not by reason."""

    counted: int
    not_counted: dict[str, int]


@dataclass(frozen=True)
class Counted:
    """Records by what became of them. Tokens are of counted calls; input includes caches."""

    calls: Calls
    tokens: dict[str, int]
    usage_quality: dict[str, int]
    rejected: int  # without usable ids or time, or not readable


class Counting:
    """What is in the store since shortly before now, within one reach."""

    def __init__(self, queries: Queries, now: datetime) -> None:
        self._queries = queries
        self._since = now - timedelta(seconds=1)  # times of receipt are whole seconds
        self._before = self._read()

    def of(self, records: int) -> Counted:
        """What became of so many records, all of them stored by now."""
        found = self._read()
        found.subtract(self._before)
        counted = found["calls", ""]
        not_counted = {
            reason: calls
            for (kind, reason), calls in sorted(found.items())
            if kind == "not counted" and calls
        }
        stored, resent = found["outcome", "stored"], found["outcome", "resent"]
        resent += stored - counted - sum(not_counted.values())
        for reason, spans in (("resent", resent), ("not_genai", found["outcome", "not_genai"])):
            if spans:
                not_counted[reason] = spans
        return Counted(
            calls={"counted": counted, "not_counted": not_counted},
            tokens={name: found["tokens", name] for name in COUNTS},
            usage_quality={name: found["quality", name] for name in STATES},
            rejected=records - counted - sum(not_counted.values()),
        )

    def _read(self) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for row in self._queries.counted_since(self._since):
            if not row["counted"]:
                found["not counted", row["reason"]] += row["calls"]
                continue
            found["calls", ""] += row["calls"]
            found["quality", row["usage_quality"]] += row["calls"]
            for name in COUNTS:
                found["tokens", name] += row[name]
        for outcome, spans in self._queries.outcomes(self._since).items():
            found["outcome", outcome] += spans
        return found

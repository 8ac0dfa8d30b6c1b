"""Quotas as token buckets in exact fractions: written apart from the algorithm under test.

A bucket holds up to `burst` spans, gains `rate` a second, and may owe. A request passes when the
bucket holds its cost, or all it can hold, and takes its whole cost out.
"""

from __future__ import annotations

from fractions import Fraction

from limits.meters import Ask

from ecomind_receiver.limits import Level, Quota


class TokenBucket:
    """One bucket, full at first."""

    def __init__(self, quota: Quota) -> None:
        self.rate = Fraction(quota.spans_per_second)
        self.burst = Fraction(quota.burst_spans)
        self.spans = self.burst

    def fill(self, seconds: Fraction) -> None:
        self.spans = min(self.burst, self.spans + seconds * self.rate)

    def wait_seconds(self, cost: int) -> Fraction:
        """Until it admits the cost; 0 or less: now."""
        return (min(Fraction(cost), self.burst) - self.spans) / self.rate


class Model:
    """Every bucket of every organisation and key; quotas must not change."""

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    def move(self, seconds: float) -> None:
        for bucket in self._buckets.values():
            bucket.fill(Fraction(seconds))

    def waits(self, asked: Ask) -> dict[Level, Fraction]:
        """Seconds until each level that limits admits; 0 or less: now."""
        return {level: bucket.wait_seconds(asked.cost) for level, bucket in self._of(asked).items()}

    def charge(self, asked: Ask) -> None:
        for bucket in self._of(asked).values():
            bucket.spans -= asked.cost

    def _of(self, asked: Ask) -> dict[Level, TokenBucket]:
        levels: dict[Level, TokenBucket] = {}
        if asked.org_quota:
            levels["org"] = self._buckets.setdefault(asked.org_id, TokenBucket(asked.org_quota))
        if asked.key_quota:
            name = f"{asked.org_id}/{asked.key_id}"
            levels["key"] = self._buckets.setdefault(name, TokenBucket(asked.key_quota))
        return levels

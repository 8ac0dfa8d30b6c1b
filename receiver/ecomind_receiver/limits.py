"""How many spans an organisation and a key may send: the generic cell rate algorithm, in process.

A bucket is one number: when it will be full again if nothing else is taken. So it costs no timer,
gives the exact wait, and a full one need not be kept. The cost of a request is its spans. Both
levels must admit; then both are charged, otherwise neither.

It is the virtual scheduling algorithm of ITU-T I.371 with a cost for each request. One rule is
added: a request above the burst passes when its bucket is full and is charged in full, so that
nothing is refused for ever while the mean rate still holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

Level = Literal["org", "key"]
INSTANT_SECONDS = 1e-6  # a shorter wait is none: clocks and doubles are no finer
_SWEEP_AT_BUCKETS = 1024


class Quota(NamedTuple):
    """A mean rate above 0 and how many spans may come at once."""

    spans_per_second: float
    burst_spans: float


class Quotas(NamedTuple):
    """What a request is charged to; None: no limit. `public`: anybody may hold the key."""

    key_id: str = ""
    org: Quota | None = None
    key: Quota | None = None
    public: bool = False


UNLIMITED = Quotas()


class Refused(NamedTuple):
    """After `wait_seconds` the same request passes if no other did; `level` is what refused it.

    If both levels refuse, it is the one with the longer wait.
    """

    wait_seconds: float
    level: Level


class Limits(Protocol):
    """What a receiver asks before it accepts spans."""

    @property
    def degraded(self) -> bool:
        """Whether shared limits are out of reach, so that local shares stand in for them."""

    async def take(
        self,
        org_id: str,
        key_id: str,
        org_quota: Quota | None,
        key_quota: Quota | None,
        cost: int,
    ) -> Refused | None:
        """Charge `cost` spans (1 or more) to both buckets, or to none; no quota is no limit."""

    async def close(self) -> None:
        """Let go of connections."""


class LocalLimits:
    """Limits of one process. `share` is its part of every rate and burst, above 0 and up to 1."""

    degraded = False

    def __init__(self, share: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._clock = clock
        self._full_at: dict[str | tuple[str, str], float] = {}
        self._sweep_at = _SWEEP_AT_BUCKETS

    async def take(
        self,
        org_id: str,
        key_id: str,
        org_quota: Quota | None,
        key_quota: Quota | None,
        cost: int,
    ) -> Refused | None:
        """As in `Limits`; never waits."""
        return self.take_now(org_id, key_id, org_quota, key_quota, cost)

    async def close(self) -> None:
        """Nothing is open."""

    def take_now(
        self,
        org_id: str,
        key_id: str,
        org_quota: Quota | None,
        key_quota: Quota | None,
        cost: int,
    ) -> Refused | None:
        """`take` for code that does not run in an event loop."""
        if org_quota is None and key_quota is None:
            return None
        now = self._clock()
        org = self._weigh(org_id, org_quota, cost, now) if org_quota else _FREE
        key = self._weigh((org_id, key_id), key_quota, cost, now) if key_quota else _FREE
        if max(org[0], key[0]) > INSTANT_SECONDS:
            return Refused(org[0], "org") if org[0] >= key[0] else Refused(key[0], "key")
        if org_quota:
            self._full_at[org_id] = org[1]
        if key_quota:
            self._full_at[org_id, key_id] = key[1]
        if len(self._full_at) > self._sweep_at:
            self._forget_full(now)
        return None

    def _weigh(
        self, bucket: str | tuple[str, str], quota: Quota, cost: int, now: float
    ) -> tuple[float, float]:
        """Seconds until the bucket admits the cost, and when it is full again if it is charged."""
        rate, burst = quota[0] * self._share, quota[1] * self._share
        full_at = self._full_at.get(bucket, now)
        if full_at < now:
            full_at = now
        spare = burst - cost if burst > cost else 0.0
        return full_at - now - spare / rate, full_at + cost / rate

    def _forget_full(self, now: float) -> None:
        """Keep what is not full; the next sweep comes after as many again, so each take is O(1)."""
        self._full_at = {bucket: at for bucket, at in self._full_at.items() if at > now}
        self._sweep_at = max(_SWEEP_AT_BUCKETS, 2 * len(self._full_at))


_FREE = (0.0, 0.0)

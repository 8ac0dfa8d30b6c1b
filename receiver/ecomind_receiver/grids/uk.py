"""Great Britain's hourly intensity, from the Carbon Intensity API of its system operator.

What is asked for and unknown is noted; a thread fetches it in ranges, together with the hours
around now, so that the current hour is nearly always known when a call comes. The newest ranges go
first and only a few at a time: figures of last year can wait, and the service is free.

The API and its data are by the National Energy System Operator, CC BY 4.0,
https://carbonintensity.org.uk. Its boundary is operational: CO2 of generation and imports, with
losses in transmission and distribution, without building plants or extracting fuel.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

from ecomind_processor.hourly import Intensity, Kind
from ecomind_receiver.grids.agenda import Agenda
from ecomind_receiver.grids.cache import Hour, HourCache
from ecomind_receiver.grids.entries import UK, UK_URL
from ecomind_receiver.grids.errors import FetchError
from ecomind_receiver.grids.fetch import TIMEOUT_SECONDS, get_json
from ecomind_receiver.grids.half_hours import read_hours
from ecomind_receiver.grids.plugin import GridStatus
from ecomind_receiver.grids.rows import hour_of, moment_of
from ecomind_receiver.grids.worker import Rest, Worker

log = logging.getLogger("ecomind.grids")

ZONE = "GBR"
SOURCE = "NESO, Carbon Intensity API, national (operational CO2, CC BY 4.0)"
RANGE_HOURS = 13 * 24
"""Of one request; the API allows 14 days, and this is below it however it counts."""

RANGES_PER_ROUND = 4
PAUSE_SECONDS, REFRESH_SECONDS = 5.0, 900.0
"""Between rounds with work left, and without."""

FIRST_BACKOFF_SECONDS, LAST_BACKOFF_SECONDS = 30.0, 3600.0
FAILURES_MAX = 16  # counted, so that the power of two stays a number


class UkGrid:
    """The national average of Great Britain."""

    kind: Kind = "average"
    zones = frozenset({ZONE})

    def __init__(
        self,
        cache: HourCache,
        url: str = UK_URL,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self.error = ""
        self.counts: Counter[str] = Counter()
        self._cache = cache
        self._url = url
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        self._agenda = Agenda(cache)
        self._failures = 0
        self._worker = Worker(f"grid-{UK}", self.refresh)

    def factor(self, zone: str, hour: datetime) -> Intensity | None:
        """What is known of the hour; what is not is fetched for the next who asks."""
        if zone != ZONE:
            return None
        number = hour_of(hour)
        found = self._cache.get(number)
        if (found is None or found.estimated) and self._agenda.want(number, self._clock()):
            self._worker.wake()
        if found is None:
            return None
        return Intensity(found.g_per_kwh, SOURCE, hour, self.kind, found.estimated)

    def start(self) -> None:
        """Begin to fetch."""
        self._worker.start()

    def stop(self) -> None:
        """End that; what was fetched is in the file."""
        self._worker.stop()

    def status(self) -> GridStatus:
        """How it is now."""
        return GridStatus(UK, self.kind, (ZONE,), len(self._cache), self.error, dict(self.counts))

    def refresh(self) -> Rest:
        """Fetch some of what is due, newest first, and say how long to rest. Never raises."""
        now = self._clock()
        ranges = self._agenda.due(now, RANGE_HOURS)
        troubles: list[FetchError] = []
        try:
            for asked in ranges[:RANGES_PER_ROUND]:
                if not self._worker.stopping:
                    troubles += self._fetch(asked, now)
        except FetchError as error:
            return self._back_off(error)
        finally:
            self._save()
        self._failures = 0
        self._tell(troubles[-1] if troubles else None)
        left = len(ranges) > RANGES_PER_ROUND
        return Rest(PAUSE_SECONDS, PAUSE_SECONDS if left else REFRESH_SECONDS)

    def _fetch(self, asked: range, now: datetime) -> list[FetchError]:
        """Fetch a range; what is refused for good is left alone, returned, and others go on."""
        try:
            hours = self._ask(asked, now)
        except FetchError as error:
            self.counts[f"failed_{error.reason}"] += 1
            if error.retryable:
                raise
            self._agenda.leave(asked, now)
            return [error]
        for hour, figure in hours.items():
            self._cache.put(hour, figure)
        self._agenda.answered(asked, now)
        return []

    def _ask(self, asked: range, now: datetime) -> dict[int, Hour]:
        self.counts["requests"] += 1
        url = f"{self._url}/intensity/{_stamp(asked.start)}/{_stamp(asked.stop)}"
        document = get_json(url, timeout_seconds=self._timeout_seconds)
        return read_hours(document, asked, now, self.counts)

    def _back_off(self, error: FetchError) -> Rest:
        self._tell(error)
        seconds = min(FIRST_BACKOFF_SECONDS * 2.0**self._failures, LAST_BACKOFF_SECONDS)
        self._failures = min(self._failures + 1, FAILURES_MAX)
        seconds = min(max(seconds, error.wait_seconds), LAST_BACKOFF_SECONDS)
        seconds += random.uniform(0.0, seconds / 4)  # many servers need not come back together
        return Rest(seconds, seconds)

    def _tell(self, error: FetchError | None) -> None:
        message = ""
        if error is not None:
            message = f"{self._url}: {error}. Hours that it has not told take the yearly figure."
        if message not in ("", self.error):
            log.warning("a grid's service gave no figures", extra={"error": message})
        self.error = message

    def _save(self) -> None:
        try:
            self._cache.save()
        except OSError as error:
            log.error("a grid's figures can't be saved", extra={"error": str(error)})


def _stamp(hour: int) -> str:
    return moment_of(hour).strftime("%Y-%m-%dT%H:%MZ")

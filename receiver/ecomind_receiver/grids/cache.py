"""The hours of one zone that a service has told, kept in memory and in one small file.

What was measured never changes: a figure that was used must be found again by a replay, whatever
the service says later. A forecast gives way to the measurement. The file is a table like any other
(`rows.py`) and is replaced whole, so that a crash leaves the old one or the new one.
"""

from __future__ import annotations

import csv
import logging
import os
from pathlib import Path
from typing import NamedTuple

from ecomind_receiver.durable import sync_directory
from ecomind_receiver.grids.rows import COLUMNS, Row, as_text, read_rows
from ecomind_receiver.private import private_directory

log = logging.getLogger("ecomind.grids")

HOURS_MAX = 26_280
"""Three years."""


class Hour(NamedTuple):
    """A figure, and whether it may still change."""

    g_per_kwh: float
    estimated: bool


class HourCache:
    """Hours of a zone, the newest `hours_max` of them. One thread writes; any may read."""

    def __init__(self, path: Path, zone: str, hours_max: int = HOURS_MAX) -> None:
        """Reads the file if there is one; one that is damaged is put aside. Raises OSError."""
        self._path = path
        self._zone = zone
        self._hours_max = hours_max
        self._hours: dict[int, Hour] = {}
        self._changed = False
        self._read()

    def __len__(self) -> int:
        return len(self._hours)

    def get(self, hour: int) -> Hour | None:
        """What is known of an hour."""
        return self._hours.get(hour)

    def put(self, hour: int, figure: Hour) -> None:
        """Keep a figure, unless the hour has a measured one already."""
        known = self._hours.get(hour)
        if known == figure or (known is not None and not known.estimated):
            return
        self._hours[hour] = figure
        self._changed = True
        if len(self._hours) > self._hours_max:
            del self._hours[min(self._hours)]

    def save(self) -> None:
        """Make what changed durable. Raises OSError."""
        if not self._changed:
            return
        private_directory(self._path.parent)
        fresh = self._path.with_suffix(".new")
        with open(fresh, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            for hour, figure in sorted(self._hours.items()):
                row = Row(self._zone, hour, figure.g_per_kwh, "", figure.estimated)
                writer.writerow(as_text(row))
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, self._path)
        sync_directory(self._path.parent)
        self._changed = False

    def _read(self) -> None:
        try:
            with open(self._path, encoding="utf-8", newline="") as file:
                for _, row in read_rows(file, str(self._path), {self._zone}):
                    self.put(row.hour, Hour(row.g_per_kwh, row.estimated))
        except FileNotFoundError:
            return
        except ValueError as error:
            log.error("a damaged cache of a grid is put aside", extra={"error": str(error)})
            self._hours.clear()
            os.replace(self._path, self._path.with_suffix(".damaged"))
        self._changed = False

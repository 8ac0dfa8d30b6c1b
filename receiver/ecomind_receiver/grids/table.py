"""A table that an operator fills: hourly figures from wherever they come, in CSV or Parquet.

It is read whole and checked before it is used. When the file changes it is read again beside the
old one; a version with a mistake in it changes nothing but the `error`, because figures that were
right a minute ago are better than none.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from pathlib import Path

from ecomind_processor.hourly import Intensity, Kind
from ecomind_receiver.grids.errors import GridError
from ecomind_receiver.grids.parquet import as_csv
from ecomind_receiver.grids.plugin import GridStatus
from ecomind_receiver.grids.rows import hour_of, read_rows
from ecomind_receiver.grids.series import HourTable
from ecomind_receiver.grids.worker import Rest, Worker

log = logging.getLogger("ecomind.grids")

LOOK_SECONDS = 10.0
"""How often the file is looked at."""

_State = tuple[int, int, int]  # inode, size and time of change of the file


class TableGrid:
    """The rows of one file. Raises GridError if it can't be read."""

    def __init__(self, path: Path, kind: Kind, zones: Collection[str]) -> None:
        """`zones`: ids that rows may name."""
        self.kind: Kind = kind
        self.error = ""
        self._path = path
        self._known_zones = frozenset(zones)
        self._reads = 0
        self._seen, self._table = self._state(), self._read()
        self._worker = Worker(f"grid-{path.name}", self._look)

    @property
    def zones(self) -> frozenset[str]:
        """The zones that the table has rows of."""
        return self._table.zones

    def factor(self, zone: str, hour: datetime) -> Intensity | None:
        """The row of the zone and hour."""
        row = self._table.find(zone, hour_of(hour))
        if row is None:
            return None
        return Intensity(
            row.g_per_kwh, row.source or self._path.name, hour, self.kind, row.estimated
        )

    def start(self) -> None:
        """Begin to look whether the file has changed."""
        self._worker.start()

    def stop(self) -> None:
        """End that."""
        self._worker.stop()

    def status(self) -> GridStatus:
        """How it is now."""
        table = self._table
        zones = tuple(sorted(table.zones))
        counts = {"reads": self._reads}
        return GridStatus(str(self._path), self.kind, zones, table.rows, self.error, counts)

    def reload(self) -> bool:
        """Read the file again if it has changed; whether there is a new table. Never raises."""
        try:
            seen = self._state()
            if seen == self._seen:
                return False
            self._seen = seen  # before reading: what changes meanwhile is seen the next time
            self._table = self._read()
        except GridError as error:
            self._failed(str(error))
            return False
        self.error = ""
        log.info("a table of hourly intensities was read again", extra={"rows": self._table.rows})
        return True

    def _look(self) -> Rest:
        self.reload()
        return Rest(LOOK_SECONDS, LOOK_SECONDS)

    def _failed(self, reason: str) -> None:
        error = f"{reason} The rows read before are still in use."
        if error != self.error:
            log.error("a table of hourly intensities can't be used", extra={"error": error})
        self.error = error

    def _state(self) -> _State:
        try:
            stat = os.stat(self._path)
        except OSError as error:
            raise self._unreadable(error) from error
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    def _read(self) -> HourTable:
        is_csv = self._path.suffix.lower() == ".csv"
        counted_in = "line" if is_csv else "row"
        as_text: AbstractContextManager[Path]
        as_text = nullcontext(self._path) if is_csv else as_csv(self._path)
        name = str(self._path)
        try:
            with as_text as path, open(path, encoding="utf-8-sig", newline="") as lines:
                rows = read_rows(lines, name, self._known_zones, counted_in=counted_in)
                table = HourTable(rows, name, counted_in)
        except UnicodeDecodeError as error:
            raise GridError(f"{name} is not UTF-8 text. Save it as UTF-8.") from error
        except OSError as error:
            raise self._unreadable(error) from error
        self._reads += 1
        return table

    def _unreadable(self, error: OSError) -> GridError:
        return GridError(
            f"{self._path} can't be read: {error.strerror}. Put the table there, or correct the"
            " path in ECOMIND_GRID_HOURLY."
        )

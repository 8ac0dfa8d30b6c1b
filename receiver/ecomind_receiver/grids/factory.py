"""From `ECOMIND_GRID_HOURLY` to plug-ins that answer."""

from __future__ import annotations

from collections.abc import Collection
from types import TracebackType
from typing import Self

from ecomind_processor.hourly import Grids
from ecomind_receiver.grids.cache import HourCache
from ecomind_receiver.grids.entries import UK, Entry, TableEntry, parse_entries
from ecomind_receiver.grids.errors import GridError
from ecomind_receiver.grids.plugin import GridStatus, Plugin
from ecomind_receiver.grids.table import TableGrid
from ecomind_receiver.grids.uk import ZONE, UkGrid
from ecomind_receiver.settings import Settings


class ConfiguredGrids(Grids):
    """The grids of one process, and the threads that keep them fresh while it is entered."""

    def __init__(self, plugins: Collection[Plugin]) -> None:
        super().__init__(plugins)
        self._own = tuple(plugins)

    def start(self) -> None:
        """Begin to keep what is known fresh."""
        for plugin in self._own:
            plugin.start()

    def stop(self) -> None:
        """End that; what is known stays known. Blocking, for some seconds at most."""
        for plugin in self._own:
            plugin.stop()

    def statuses(self) -> tuple[GridStatus, ...]:
        """How each plug-in is, in the order of the setting."""
        return tuple(plugin.status() for plugin in self._own)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def grids_from(settings: Settings, zones: Collection[str]) -> ConfiguredGrids:
    """The plug-ins that the settings name, with what they know already; none is started.

    `zones` are the ids of the factor set. Tables are read here, so this blocks. Raises GridError.
    """
    entries = parse_entries(settings.grid_hourly)  # the settings have refused what is wrong
    return ConfiguredGrids([_plugin(entry, settings, zones) for entry in entries])


def _plugin(entry: Entry, settings: Settings, zones: Collection[str]) -> Plugin:
    if isinstance(entry, TableEntry):
        return TableGrid(entry.path, entry.kind, zones)
    path = settings.data_dir / "grids" / f"{UK}.csv"
    try:
        return UkGrid(HourCache(path, ZONE), entry.url)
    except OSError as error:
        raise GridError(
            f"{path} can't be used: {error.strerror}. It holds the figures of {UK} and must be this"
            " user's own."
        ) from error

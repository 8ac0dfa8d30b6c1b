"""Hourly carbon intensity: what a plug-in for a grid answers, and who may be asked what.

Owns the interface and the rule behind it. Average intensity accounts for what was used; marginal
intensity says what one more kWh would have caused, which is advice and never a total. Neither may
stand in for the other, so plug-ins are asked by their kind, an answer carries its own, and one that
says otherwise, or is for another hour, or is no plausible number, is not believed.

A plug-in answers at once, from what it holds in memory: calls are resolved while segments wait.
What it does not know it may fetch in the background; the caller takes the zone's yearly figure
meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol, get_args

Kind = Literal["average", "marginal"]
KINDS: tuple[Kind, ...] = get_args(Kind)

G_PER_KWH_MAX = 2000.0
"""More than any grid emits in any hour; a higher figure has another unit, or is a mistake."""


class Intensity(NamedTuple):
    """Grams of CO2e per kWh of a zone in one hour."""

    g_per_kwh: float
    source: str  # as people read it
    hour: datetime  # its start, UTC
    kind: Kind
    estimated: bool  # a forecast, or worked out from less than the whole hour


class HourlyGrid(Protocol):
    """A plug-in: knows one kind of intensity, for some zones, in some hours."""

    @property
    def kind(self) -> Kind:
        """The question that it answers."""

    @property
    def zones(self) -> frozenset[str]:
        """Zones of the factor set that it may know something of."""

    def factor(self, zone: str, hour: datetime) -> Intensity | None:
        """The intensity in the hour that starts at `hour`, a full hour in UTC.

        None where it is not known, or not yet. Returns at once and never raises.
        """


class Grids:
    """Several plug-ins; the first that knows an hour answers. Safe to share between threads."""

    def __init__(self, plugins: Iterable[HourlyGrid] = ()) -> None:
        """Raises ValueError for a plug-in that is of no known kind."""
        self._plugins = tuple(plugins)
        for plugin in self._plugins:
            if plugin.kind not in KINDS:
                raise ValueError(f"A grid plug-in is of the kind {plugin.kind!r}: use {KINDS}.")

    def has(self, kind: Kind) -> bool:
        """Whether there is a plug-in of the kind, whatever it knows by now."""
        return any(each.kind == kind for each in self._plugins)

    def zones(self, kind: Kind) -> frozenset[str]:
        """The zones that some plug-in of the kind may know something of."""
        return frozenset().union(*(each.zones for each in self._plugins if each.kind == kind))

    def average(self, zone: str, moment: datetime) -> Intensity | None:
        """What a kWh used at `moment` stands for; for accounts. None: take the yearly figure."""
        return self._ask("average", zone, moment)

    def marginal(self, zone: str, moment: datetime) -> Intensity | None:
        """What one more kWh at `moment` would have caused; for advice, never for totals."""
        return self._ask("marginal", zone, moment)

    def _ask(self, kind: Kind, zone: str, moment: datetime) -> Intensity | None:
        hour = utc_hour(moment)
        for plugin in self._plugins:
            if plugin.kind == kind and zone in plugin.zones:
                found = plugin.factor(zone, hour)
                if found is not None and _answers(found, kind, hour):
                    return found
        return None


def utc_hour(moment: datetime) -> datetime:
    """The start, in UTC, of the hour that holds the moment. Raises ValueError without a zone."""
    if moment.tzinfo is None:
        raise ValueError("A moment without a time zone belongs to no hour; give it one.")
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def is_plausible(g_per_kwh: float) -> bool:
    """Whether it can be the carbon intensity of a grid; false for what is not finite."""
    return 0.0 <= g_per_kwh <= G_PER_KWH_MAX


def _answers(found: Intensity, kind: Kind, hour: datetime) -> bool:
    return found.kind == kind and found.hour == hour and is_plausible(found.g_per_kwh)

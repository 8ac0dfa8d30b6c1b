"""`ecomind grid show`: what the configured plug-ins know, hour by hour."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any, NamedTuple

import typer

from ecomind_processor.factor_rows import Zone
from ecomind_processor.factors import FactorSet
from ecomind_processor.hourly import KINDS, Intensity, utc_hour
from ecomind_query.commands import source
from ecomind_query.commands.common import (
    NOT_STARTED,
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.errors import QueryError
from ecomind_query.periods import DAY, HOUR, Period, period

HOURS_MAX = 24 * 366
COLUMNS = ("hour (UTC)", "average g/kWh", "marginal g/kWh")


class _Hour(NamedTuple):
    """What is known of one hour."""

    start: datetime
    average: Intensity | None
    marginal: Intensity | None


def show(
    zone_name: Annotated[
        str, typer.Option("--zone", help="Zone of the factor set, by id or name: GBR, gb.")
    ],
    start: Annotated[
        str | None, typer.Option("--from", help="Start, inclusive: a time with a zone, or a date.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End, exclusive; now if left out.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Hourly intensities that the plug-ins in ECOMIND_GRID_HOURLY know; without --from, a day.

    Nothing is fetched: a server does that while it runs, and keeps it in the data directory.
    """
    settings = load_settings(data_dir=data_dir)
    if not settings.grid_hourly:
        fail("ECOMIND_GRID_HOURLY names no plug-in. Set it to one first.", NOT_STARTED)
    zone = zone_of(zone_name)
    try:
        asked = period(start, end, default_length=DAY, now=datetime.now(UTC))
    except QueryError as error:
        fail(str(error))
    grids = source.grids(settings)
    ask = grids.average, grids.marginal
    hours = [_Hour(start, *(kind(zone.id, start) for kind in ask)) for start in _in(asked)]
    if as_json:
        plugins = [status._asdict() for status in grids.statuses()]
        print_json({"zone": zone.id, "hours": [_plain(hour) for hour in hours], "plugins": plugins})
    else:
        _show(zone, hours)


def zone_of(name: str) -> Zone:
    """The zone that a person means; ends the command if there is none."""
    factors = FactorSet.load()
    zone_id = factors.zone_names.get(name.strip().lower())
    if zone_id is None:
        fail(f"The factor set has no zone {name[:40]!r}. Use an id, such as GBR, DEU or US-CAISO.")
    return factors.zones[zone_id]


def _in(asked: Period) -> Iterator[datetime]:
    """The starts of the hours that a period touches."""
    hour = utc_hour(asked.start)
    if asked.end - hour > HOURS_MAX * HOUR:
        fail(f"That is more than {HOURS_MAX:,} hours. Ask for a year at most.")
    while hour < asked.end:
        yield hour
        hour += HOUR


def _plain(hour: _Hour) -> dict[str, Any]:
    return {
        "hour": hour.start.isoformat(),
        "average": _figure(hour.average),
        "marginal": _figure(hour.marginal),
    }


def _figure(found: Intensity | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {name: getattr(found, name) for name in ("g_per_kwh", "estimated", "source")}


def _show(zone: Zone, hours: list[_Hour]) -> None:
    known = f"{sum(hour.average is not None for hour in hours)} of {len(hours)}"
    found = {kind: {getattr(hour, kind) for hour in hours} - {None} for kind in KINDS}
    sources = {kind: sorted({each.source for each in found[kind]}) for kind in KINDS}
    print_table(
        COLUMNS,
        ((f"{h.start:%Y-%m-%d %H:%M}", _cell(h.average), _cell(h.marginal)) for h in hours),
        right=COLUMNS[1:],
        title=f"{zone.name} ({zone.id})",
        caption="\n".join(
            [
                f"Average known in {known} hours.",
                *(f"{kind}: {'; '.join(names)}" for kind, names in sources.items() if names),
            ]
        ),
    )


def _cell(found: Intensity | None) -> str:
    if found is None:
        return ""
    return f"{'estimated ' if found.estimated else ''}{found.g_per_kwh:.1f}"

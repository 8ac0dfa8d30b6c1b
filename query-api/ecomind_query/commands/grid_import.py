"""`ecomind grid import`: a table of hourly carbon intensities from what others publish."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ecomind_query.commands.common import NOT_STARTED, AsJson, fail, print_json, print_table
from ecomind_query.commands.grid import zone_of
from ecomind_query.grids.electricity_maps import Boundary
from ecomind_query.grids.errors import ImportRefused
from ecomind_query.grids.imports import (
    Imported,
    Publisher,
    import_electricity_maps,
    import_entsoe,
    write,
)


def import_(
    publisher: Annotated[Publisher, typer.Argument(help="Who published the files.")],
    files: Annotated[list[Path], typer.Argument(help="CSV files as they were downloaded.")],
    out: Annotated[Path, typer.Option(help="Table to write, a .csv file.")],
    zone: Annotated[
        str,
        typer.Option(
            help="Zone of the factor set that the figures are for, by id or name: DEU, de."
        ),
    ] = "",
    area: Annotated[
        str, typer.Option(help="entsoe: the area to take from files that hold several: DE.")
    ] = "",
    boundary: Annotated[
        Boundary, typer.Option(help="electricity-maps: which emissions to take.")
    ] = Boundary.LIFE_CYCLE,
    as_json: AsJson = False,
) -> None:
    """Make a table for ECOMIND_GRID_HOURLY from downloaded files.

    entsoe: Actual Generation per Production Type of the Transparency Platform, and --zone.
    electricity-maps: hourly files of the data portal.
    """
    if out.suffix.lower() != ".csv":
        fail(f"--out must be a .csv file, unlike {out.name}.", NOT_STARTED)
    if publisher is Publisher.ENTSOE and not zone:
        fail("entsoe needs --zone, the zone that generates: --zone DEU.", NOT_STARTED)
    zone_id = zone_of(zone).id if zone else ""
    try:
        found = _read(publisher, files, zone_id, area, boundary)
        write(out, found.rows)
    except ImportRefused as error:
        fail(str(error))
    except OSError as error:
        fail(f"{error.filename} can't be read or written: {error.strerror}.")
    summary = found.summary()
    if as_json:
        print_json({"out": str(out), **summary})
    else:
        _report(summary, out)


def _read(
    publisher: Publisher, files: list[Path], zone_id: str, area: str, boundary: Boundary
) -> Imported:
    """Import with a bar of bytes."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Reading", total=sum(file.stat().st_size for file in files))

        def advance(read_bytes: int) -> None:
            progress.advance(task, read_bytes)

        if publisher is Publisher.ENTSOE:
            return import_entsoe(files, zone_id, area, advance)
        return import_electricity_maps(files, zone_id, boundary, advance)


def _report(summary: dict[str, Any], out: Path) -> None:
    figures = summary["g_per_kwh"]
    rows = [
        *((f"hours of {zone}", f"{hours:,}") for zone, hours in summary["hours"].items()),
        ("of these estimated", f"{summary['estimated_hours']:,}"),
        ("incomplete hours, not written", f"{summary['incomplete_hours']:,}"),
        ("g/kWh, lowest", f"{figures['min']:.1f}"),
        ("g/kWh, mean of hours", f"{figures['mean']:.1f}"),
        ("g/kWh, highest", f"{figures['max']:.1f}"),
        *(
            (f"generation left out: {type_}", f"{share:.2%}")
            for type_, share in summary["left_out"].items()
        ),
        *((f"zone not in the factor set: {zone}", "skipped") for zone in summary["unknown_zones"]),
    ]
    title = f"{summary['from']} to {summary['to']}"
    print_table(("what", "value"), rows, right=("value",), title=title)
    typer.echo(f"Next: ECOMIND_GRID_HOURLY=file:{out.resolve()}", err=True)

"""`ecomind usage`: totals in the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from ecomind_query.commands import source
from ecomind_query.commands.common import (
    FAILED,
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.commands.running import ServerError
from ecomind_query.errors import QueryError
from ecomind_query.models import Range, Totals, Usage
from ecomind_query.periods import length
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import LOCAL
from ecomind_semconv.units import G_PER_KG, ML_PER_L, WH_PER_KWH

FIGURES = ("calls", "tokens in", "tokens out", "energy", "CO2e", "water", "list price")


def usage(
    group_by: Annotated[
        list[str] | None,
        typer.Option(
            "--group-by",
            "-g",
            help="Dimensions with commas between: model, provider, team, project, service,"
            " environment, region, hour, day, month.",
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", help="Start, inclusive: a time with a zone, or a date.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", help="End, exclusive; now if left out.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--last", help="Instead of --from: 30m, 24h, 7d (default), 4w.")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Totals of energy, CO2e and water, with their ranges, by any mix of dimensions."""
    dimensions = [name.strip() for part in group_by or () for name in part.split(",") if name]
    try:
        if last is not None:
            start = _start_of(last, start, end)
        answer = _ask(load_settings(data_dir=data_dir), start, end, dimensions)
    except (QueryError, ServerError) as error:
        fail(str(error), FAILED)
    if as_json:
        print_json(answer)
    else:
        show(answer)


def show(answer: Usage) -> None:
    """Print totals as a table, one row a group and one for all."""
    rows = [(*row.group.values(), *figures(row.totals)) for row in answer.rows if row.group]
    total = (*("total", *[""] * (len(answer.group_by) - 1))[: len(answer.group_by)],)
    print_table(
        (*answer.group_by, *FIGURES),
        [*rows, (*total, *figures(answer.total))],
        right=FIGURES,
        title=f"{answer.from_:%Y-%m-%d %H:%M} to {answer.to:%Y-%m-%d %H:%M} UTC",
        caption=_caption(answer),
    )


def figures(totals: Totals) -> tuple[str, ...]:
    """The figures of a row, in units that people read."""
    return (
        f"{totals.calls:,}",
        f"{totals.input_tokens:,}",
        f"{totals.output_tokens:,}",
        scaled(totals.energy_wh, "Wh", "kWh", WH_PER_KWH),
        scaled(totals.co2e_g_location, "g", "kg", G_PER_KG),
        scaled(totals.water_ml, "mL", "L", ML_PER_L),
        "n/a" if totals.cost_usd is None else f"${totals.cost_usd:,.2f}",
    )


def scaled(figure: Range, unit: str, larger_unit: str, per_larger: float) -> str:
    """A mid value with its range, in the larger unit from 1 of it on."""
    divisor, shown = (per_larger, larger_unit) if figure.mid >= per_larger else (1, unit)
    low, mid, high = (_short(value / divisor) for value in (figure.low, figure.mid, figure.high))
    return f"{mid} {shown} ({low} – {high})"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _caption(answer: Usage) -> str:
    lines = ["Ranges are judgement bands, not confidence intervals. CO2e is location-based."]
    if answer.total.unpriced_calls:
        lines.append(f"{answer.total.unpriced_calls:,} calls have no known list price.")
    if answer.provisional_from:
        lines.append(f"Provisional from {answer.provisional_from:%Y-%m-%d %H:%M} UTC on.")
    return "\n".join(lines)


def _start_of(last: str, start: str | None, end: str | None) -> str:
    if start is not None:
        raise QueryError("Give --last or --from, not both.")
    from ecomind_query.periods import moment

    until = moment("to", end) if end else datetime.now(UTC)
    return (until - length("last", last)).isoformat()


def _ask(settings: Settings, start: str | None, end: str | None, dimensions: list[str]) -> Usage:
    server = source.server_of(settings)
    if server is None:
        with source.reader(settings) as reader:
            return reader.usage(LOCAL, start=start, end=end, group_by=dimensions)
    params = {"from": start, "to": end, "group_by": dimensions}
    answer = server.get("/v1/usage", params)
    return Usage(from_=answer.pop("from"), **answer)

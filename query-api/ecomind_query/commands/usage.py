"""`ecomind usage`: totals in the terminal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from ecomind_query.commands import running, source
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    ServerUrl,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.errors import QueryError
from ecomind_query.models import Range, Totals, Usage
from ecomind_query.periods import DAY, full_hour, length, moment
from ecomind_query.ui import format
from ecomind_receiver.settings import Settings

FIGURES = ("calls", "tokens", "energy", "CO2e", "water", "cost")


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
    server: ServerUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Totals of energy, CO2e and water, with their ranges, by any mix of dimensions."""
    dimensions = [name.strip() for part in group_by or () for name in part.split(",") if name]
    with running.refusals():
        if last is not None:
            start = _start_of(last, start, end)
        answer = _ask(load_settings(data_dir=data_dir, server=server), start, end, dimensions)
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
    """The figures of a row as the page writes them, each with its range below."""
    tokens = totals.input_tokens + totals.output_tokens
    cost = "n/a" if totals.cost_usd is None else format.money(totals.cost_usd)
    return (
        format.integer(totals.calls),
        format.compact(tokens),
        _with_range(format.energy, totals.energy_wh),
        _with_range(format.mass, totals.co2e_g_location),
        _with_range(format.water, totals.water_ml),
        cost,
    )


def _with_range(show: Callable[[float], format.Figure], figure: Range) -> str:
    mid, low, high = (show(value) for value in (figure.mid, figure.low, figure.high))
    low_text = low.number if low.unit == high.unit else str(low)
    return f"{mid}\n{low_text} – {high}".replace(format.THIN_SPACE, "\u00a0")


def _caption(answer: Usage) -> str:
    lines = ["Ranges are judgement bands, not confidence intervals. CO2e is location-based."]
    if answer.total.unpriced_calls:
        lines.append(f"{answer.total.unpriced_calls:,} calls have no known price.")
    if answer.provisional_from:
        lines.append(f"Provisional from {answer.provisional_from:%Y-%m-%d %H:%M} UTC on.")
    return "\n".join(lines)


def _start_of(last: str, start: str | None, end: str | None) -> str:
    if start is not None:
        raise QueryError("Give --last or --from, not both.")
    until = moment("to", end) if end else datetime.now(UTC)
    asked = length("last", last)
    begin = until - asked
    return (full_hour(begin) if asked >= DAY else begin).isoformat()


def _ask(settings: Settings, start: str | None, end: str | None, dimensions: list[str]) -> Usage:
    server = running.connect(settings)
    if server is None:
        with source.reader(settings) as reader:
            return reader.usage(source.reach(settings), start=start, end=end, group_by=dimensions)
    params = {"from": start, "to": end, "group_by": dimensions}
    answer = server.get("/v1/usage", params)
    return Usage(from_=answer.pop("from"), **answer)

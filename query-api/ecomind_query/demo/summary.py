"""The demo's last words: what it measured, as tables for people or one JSON object for programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from ecomind_query.models import Range, Totals, UsageRow
from ecomind_query.ui import format as show

ROWS_SHOWN = 8
NAME_WIDTH = 24
"""Widest name, so that a table fits 80 columns."""

FOOTPRINT: tuple[tuple[str, Callable[[float], show.Figure], str], ...] = (
    ("Energy", show.energy, "energy_wh"),
    ("Carbon", show.carbon, "co2e_g_location"),
    ("Embodied", show.carbon, "co2e_g_embodied"),
    ("Water", show.water, "water_ml"),
)
"""Rows of the first table: name, how it reads, and the field of `Totals`."""

COLUMNS = ("calls", "tokens", "energy", "CO₂e", "water", "cost")
"""Columns of a table of groups, after the name of the group."""


def print_totals(console: Console, total: Totals, days: int) -> None:
    """The footprint of everything with its ranges, after calls, tokens and cost."""
    tokens_in, tokens_out = map(show.compact, (total.input_tokens, total.output_tokens))
    console.print(
        f"\n[bold]The last {days} days[/]: {show.integer(total.calls)} calls,"
        f" {tokens_in} tokens in, {tokens_out} out, {_cost(total)}"
    )
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in ("", "low", "estimate", "high"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, figure, field in FOOTPRINT:
        band: Range = getattr(total, field)
        estimate = f"[bold green]{figure(band.mid)}[/]"
        table.add_row(name, str(figure(band.low)), estimate, str(figure(band.high)))
    console.print(table)


def print_groups(console: Console, dimension: str, rows: Sequence[UsageRow]) -> None:
    """The groups with the most CO2e, and how many there are beyond them."""
    shown = [(row.group[dimension] or "–", *_cells(row.totals)) for row in rows[:ROWS_SHOWN]]
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column(f"by {dimension}", no_wrap=True, max_width=NAME_WIDTH)
    for heading in COLUMNS:
        table.add_column(heading, justify="right", no_wrap=True)
    for cells in shown:
        table.add_row(*cells)
    console.print()
    console.print(table)
    if len(rows) > ROWS_SHOWN:
        console.print(f"[dim]and {len(rows) - ROWS_SHOWN} more[/]")


def _cells(totals: Totals) -> tuple[str, ...]:
    return (
        show.integer(totals.calls),
        show.compact(totals.input_tokens + totals.output_tokens),
        str(show.energy(totals.energy_wh.mid)),
        str(show.mass(totals.co2e_g_location.mid)),
        str(show.water(totals.water_ml.mid)),
        _cost(totals),
    )


def _cost(totals: Totals) -> str:
    return "–" if totals.cost_usd is None else show.money(totals.cost_usd)

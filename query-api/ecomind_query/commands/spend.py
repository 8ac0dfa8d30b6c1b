"""`ecomind spend import FILE`: what was paid for AI that has no telemetry, from an invoice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from ecomind_query import invoices
from ecomind_query.commands.common import (
    NOT_STARTED,
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.commands.counted import Counted
from ecomind_query.commands.otlp_files import FileError
from ecomind_query.commands.sinks import OwnSink, Sink, Unreachable, chosen
from ecomind_semconv.units import MICROUSD_PER_USD


@dataclass
class Paid:
    """Lines and US dollars."""

    lines: int = 0
    usd: float = 0.0


@dataclass
class Summary:
    """What an invoice holds, and what became of its lines where this command stored them."""

    lines: int
    usd: float
    by_provider: dict[str, Paid]
    sent: bool
    counted: Counted | None = None  # None: not sent, or another process counts them


def import_(
    file: Annotated[Path, typer.Argument(help="CSV: date, provider, amount_usd and more.")],
    endpoint: Annotated[
        str | None,
        typer.Option(help="OTLP/HTTP receiver to send to, such as http://127.0.0.1:4318."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the file and send nothing.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Count AI that has no telemetry by what was paid for it; a file sent again counts once.

    Columns: date (UTC day), provider, amount_usd, and if known model, team, service, environment,
    place, document (number of the invoice), currency (USD only).
    """
    settings = load_settings(data_dir=data_dir)
    try:
        today = datetime.now(UTC).date()
        lines = invoices.read(file, today, settings.retention_days)
    except invoices.InvoiceError as error:
        fail(str(error))
    except OSError as error:
        fail(f"{file} can't be read: {error.strerror}.")
    summary = summary_of(lines)
    if not dry_run:
        try:
            with chosen(settings, endpoint) as sink:
                _send(lines, sink)
                summary.sent = True
                if isinstance(sink, OwnSink):
                    summary.counted = sink.counted(len(lines))
        except FileError as error:
            fail(f"{file} was not sent whole: {error}. Import it again: what was sent counts once.")
        except Unreachable as error:
            fail(str(error), NOT_STARTED)
    _report(summary, as_json)


def summary_of(lines: Iterable[invoices.Line]) -> Summary:
    """Lines and dollars, in all and by provider."""
    microusd: dict[str, list[int]] = defaultdict(list)
    for line in lines:
        microusd[line.provider].append(line.amount_microusd)
    paid = {name: Paid(len(each), _usd(each)) for name, each in sorted(microusd.items())}
    every = [each for found in microusd.values() for each in found]
    return Summary(len(every), _usd(every), paid, sent=False)


def _usd(microusd: list[int]) -> float:
    return sum(microusd) / MICROUSD_PER_USD


def _send(lines: list[invoices.Line], sink: Sink) -> None:
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Sending", total=len(lines))
        for request in invoices.requests(lines):
            sink.send(request)
            progress.advance(task, request.records)


def _report(summary: Summary, as_json: bool) -> None:
    if as_json:
        print_json(asdict(summary))
        return
    rows = [(name, f"{each.lines:,}", f"{each.usd:,.2f}")
            for name, each in summary.by_provider.items()]  # fmt: skip
    print_table(
        ("provider", "lines", "USD"),
        [*rows, ("total", f"{summary.lines:,}", f"{summary.usd:,.2f}")],
        right=("lines", "USD"),
    )
    typer.echo(_outcome(summary))


def _outcome(summary: Summary) -> str:
    if not summary.sent:
        return "Nothing was sent."
    if summary.counted is None:
        return (
            "Sent; `ecomind usage` has them within seconds. What came twice, or is older than the"
            " server keeps, is taken out."
        )
    reasons = dict(summary.counted.calls["not_counted"])
    again, others = reasons.pop("resent", 0), sum(reasons.values()) + summary.counted.rejected
    said = f"{summary.counted.calls['counted']:,} lines are new; {again:,} were imported before."
    return f"{said} {others:,} don't count: see `ecomind doctor --telemetry`." if others else said

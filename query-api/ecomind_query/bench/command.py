"""`ecomind bench ingest`: how fast, at what cost, and whether every promise held meanwhile."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from ecomind_query.bench.measure import Plan, Result, measure
from ecomind_query.bench.process import ServerError
from ecomind_query.bench.workload import Mode, Variant
from ecomind_query.commands.common import (
    FAILED,
    NOT_STARTED,
    AsJson,
    fail,
    print_json,
    print_table,
)

SINGLE_CONNECTIONS = 100

DataFolder = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Empty folder to use and keep; without it, a temporary one."),
]

ROWS: tuple[tuple[str, str, str], ...] = (
    ("acked_spans", "spans acknowledged", "{:,}"),
    ("stored_spans", "spans stored", "{:,}"),
    ("rollup_spans", "calls in the rollup", "{:,}"),
    ("dropped_spans", "spans dropped with a reason", "{:,}"),
    ("requests_per_s", "requests/s", "{:,.0f}"),
    ("spans_per_s_acked", "spans/s acknowledged", "{:,.0f}"),
    ("spans_per_s_stored", "spans/s stored meanwhile", "{:,.0f}"),
    ("spans_per_s_sustained", "spans/s, until the last is stored", "{:,.0f}"),
    ("cpu_us_per_span", "server CPU per span, µs", "{:.2f}"),
    ("generator_cpu_us_per_span", "generator CPU per span, µs", "{:.2f}"),
    ("ack_ms_p50", "acknowledged after, p50, ms", "{:.1f}"),
    ("ack_ms_p95", "p95, ms", "{:.1f}"),
    ("ack_ms_p99", "p99, ms", "{:.1f}"),
    ("ack_ms_max", "max, ms", "{:.1f}"),
    ("backlog_at_end_s", "backlog at the end, s", "{:.1f}"),
    ("rss_mb_peak", "server memory, peak, MB", "{:,.0f}"),
    ("bytes_per_call_on_disk", "disk per call, bytes", "{:.1f}"),
    ("requests_refused", "requests refused or sent again", "{:,}"),
)
"""Figure, how it is called for people, and its format."""


class Phase(StrEnum):
    """What to run: requests of 512 spans, requests of one span, or one after the other."""

    BATCH = "batch"
    SINGLE = "single"
    ALL = "all"


def ingest(
    seconds: Annotated[float, typer.Option(min=1, help="Measured seconds of each phase.")] = 60,
    warmup: Annotated[float, typer.Option(min=0, help="Seconds before, not measured.")] = 10,
    connections: Annotated[int, typer.Option(min=1, help="Of the 512-span phase.")] = 8,
    phase: Annotated[
        Phase, typer.Option(help="Requests of 512 spans, of one, or both.")
    ] = Phase.ALL,
    variant: Annotated[
        Variant, typer.Option(help="How 512-span requests travel; each is reported apart.")
    ] = Variant.PLAIN,
    data_dir: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure a server of its own under load: throughput, cost, latency, and the invariants."""
    plans = _plans(phase, variant, seconds, warmup, connections)
    results: dict[str, Result] = {}
    try:
        with working_folder(data_dir) as folder:
            for plan in plans:
                if not as_json:
                    Console(stderr=True).print(f"{_title(plan)} …")
                place = folder / plan.mode
                place.mkdir()
                results[plan.mode] = measure(plan, place)
    except (ServerError, OSError) as error:
        fail(f"The benchmark could not run: {error}", NOT_STARTED)
    _show(results, as_json)
    if not all(result.sound for result in results.values()):
        raise typer.Exit(FAILED)


def _plans(
    phase: Phase, variant: Variant, seconds: float, warmup: float, connections: int
) -> list[Plan]:
    batch = Plan(Mode.BATCH, variant, seconds, warmup, connections)
    single = Plan(Mode.SINGLE, Variant.PLAIN, seconds, warmup, SINGLE_CONNECTIONS)
    return {Phase.BATCH: [batch], Phase.SINGLE: [single], Phase.ALL: [batch, single]}[phase]


def _title(plan: Plan) -> str:
    spans = "512 spans a request" if plan.mode is Mode.BATCH else "one span a request"
    return (
        f"{spans}, {plan.variant}, {plan.connections} connections,"
        f" {plan.warmup_seconds:g} + {plan.seconds:g} s"
    )


@contextmanager
def working_folder(kept: Path | None) -> Iterator[Path]:
    """The folder to work in. Raises OSError if the one given holds something."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        if any(kept.iterdir()):
            raise OSError(f"{kept} is not empty; give --data-dir an empty folder.")
        yield kept
        return
    folder = Path(tempfile.mkdtemp(prefix="ecomind-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _show(results: dict[str, Result], as_json: bool) -> None:
    if as_json:
        figures = {name: asdict(result) for name, result in results.items()}
        # One phase is one object; two are an object of both, the batches' figures at the top.
        top = figures.get(Mode.BATCH, figures.get(Mode.SINGLE, {}))
        both = {"single_span": figures[Mode.SINGLE]} if len(figures) == 2 else {}
        print_json(top | both)
        return
    print_table(
        ["", *results],
        [
            [label, *(form.format(getattr(result, field)) for result in results.values())]
            for field, label, form in ROWS
        ],
        right=results,
    )
    for name, result in results.items():
        failures = result.invariants["failures"]
        typer.echo(f"{name}: {'; '.join(failures) or 'all invariants hold'}")

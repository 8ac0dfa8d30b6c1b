"""`ecomind bench fairness`: what an organisation's requests wait beside one far over its quota."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console

from ecomind_query.bench.command import DataFolder, working_folder
from ecomind_query.bench.neighbours import (
    ALONE,
    BESIDE,
    NOISY,
    PAIRS,
    QUIET,
    TIMES_OVER,
    Part,
    Result,
    measure,
)
from ecomind_query.bench.process import ServerError
from ecomind_query.bench.workload import spans_per_request
from ecomind_query.commands.common import (
    FAILED,
    NOT_STARTED,
    AsJson,
    fail,
    print_json,
    print_table,
)
from ecomind_receiver.control.errors import ControlError
from ecomind_receiver.secrets import SecretError

QUIET_ROWS: tuple[tuple[str, str, str], ...] = (
    ("requests", "requests measured", "{:,}"),
    ("ack_ms_p50", "acknowledged after, p50, ms", "{:.1f}"),
    ("ack_ms_p95", "p95, ms", "{:.1f}"),
    ("ack_ms_p99", "p99, ms", "{:.1f}"),
    ("ack_ms_max", "max, ms", "{:.1f}"),
    ("sent_late_ms_p99", "of which sent late, p99, ms", "{:.1f}"),
    ("server_cpu_percent", "server CPU, % of a core", "{:.0f}"),
)
NOISY_ROWS: tuple[tuple[str, str, str], ...] = (
    ("quota_spans_per_s", "quota, spans/s", "{:,.0f}"),
    ("burst_spans", "burst, spans", "{:,}"),
    ("offered_spans_per_s", "offered, spans/s", "{:,.0f}"),
    ("granted_spans_per_s", "granted, spans/s", "{:,.0f}"),
    ("granted_requests", "requests granted", "{:,}"),
    ("refused_requests", "requests refused (429)", "{:,}"),
    ("without_retry_after", "of which without Retry-After", "{:,}"),
    ("cpu_us_per_span", "its own CPU per span offered, µs", "{:.2f}"),
)
"""Figure, how it is called for people, and its format."""


def fairness(
    seconds: Annotated[
        float, typer.Option(min=3, help="Measured seconds alone, and as many beside.")
    ] = 30,
    warmup: Annotated[float, typer.Option(min=0.5, help="Seconds before, not measured.")] = 5,
    data_dir: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure a quiet organisation alone, and beside one at a hundred times its quota."""
    if not as_json:
        Console(stderr=True).print(
            f"quiet: {_offer(QUIET)}; noisy: {_offer(NOISY)}, {TIMES_OVER} times its quota;"
            f" {warmup:g} + 2 × {PAIRS} × {seconds / PAIRS:g} s …"
        )
    try:
        with working_folder(data_dir) as folder:
            result = measure(seconds, warmup, folder)
    except (ServerError, ControlError, SecretError, OSError) as error:
        fail(f"The benchmark could not run: {error}", NOT_STARTED)
    if as_json:
        print_json(asdict(result))
    else:
        _show(result)
    if not result.sound:
        raise typer.Exit(FAILED)


def _offer(part: Part) -> str:
    spans = spans_per_request(part.mode)
    return f"{part.requests_per_s:,.0f} requests/s of {spans} spans"


def _show(result: Result) -> None:
    both = (result.alone, result.beside)
    print_table(
        ["quiet organisation", ALONE, BESIDE],
        [
            [label, *(form.format(getattr(one, name)) for one in both)]
            for name, label, form in QUIET_ROWS
        ],
        right=[ALONE, BESIDE],
    )
    print_table(
        ["noisy organisation", BESIDE],
        [[label, form.format(getattr(result.noisy, name))] for name, label, form in NOISY_ROWS],
        right=[BESIDE],
    )
    typer.echo(f"p99 beside is {result.p99_ratio:.2f} × p99 alone")
    if result.quiet_unsent:
        typer.echo(f"The quiet organisation fell behind: {result.quiet_unsent} requests unsent.")
    typer.echo("; ".join(result.invariants["failures"]) or "all invariants hold")

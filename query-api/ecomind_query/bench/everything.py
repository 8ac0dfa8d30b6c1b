"""`ecomind bench all`: every figure of the documentation in one run, and the page that shows them.

What is written stands between two marks in a Markdown file, beside a plot of what a call costs as
the store grows; the rest of the file is a person's.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ecomind_query.bench.command import ROWS as INGEST_ROWS
from ecomind_query.bench.command import SINGLE_CONNECTIONS, DataFolder, working_folder
from ecomind_query.bench.growth import ROWS as GROWTH_ROWS
from ecomind_query.bench.growth import SIZES, measure_growth
from ecomind_query.bench.measure import Plan, measure
from ecomind_query.bench.plot import plot
from ecomind_query.bench.process import ServerError
from ecomind_query.bench.workload import Mode, Variant
from ecomind_query.commands.common import FAILED, NOT_STARTED, AsJson, fail, print_json

BEGIN, END = "<!-- bench all: begin -->", "<!-- bench all: end -->"
PLOT = "images/benchmarks.svg"
_SHOWN = (
    "spans_per_s_acked", "spans_per_s_sustained", "cpu_us_per_span", "generator_cpu_us_per_span",
    "ack_ms_p50", "ack_ms_p99", "backlog_at_end_s", "rss_mb_peak", "bytes_per_call_on_disk",
)  # fmt: skip


def everything(
    seconds: Annotated[float, typer.Option(min=1, help="Measured seconds of each kind.")] = 30,
    warmup: Annotated[float, typer.Option(min=0, help="Seconds before, not measured.")] = 5,
    calls: Annotated[
        list[int] | None, typer.Option(help="Sizes of the store; by default 1, 10, 100 million.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option(help="Markdown file whose marked part is written anew.")
    ] = None,
    data_dir: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure every kind of request, then reading and receiving as the store grows."""
    text = _marked(write) if write else ""
    say = Console(stderr=True).print
    ingest: dict[str, dict[str, Any]] = {}
    try:
        with working_folder(data_dir) as folder:
            for plan in _plans(seconds, warmup):
                say(f"{_name(plan)} …")
                place = folder / _name(plan)
                place.mkdir()
                ingest[_name(plan)] = asdict(measure(plan, place))
            growth = measure_growth(folder / "growth", sorted(calls or SIZES), seconds)
    except (ServerError, OSError) as error:
        if as_json and ingest:
            print_json({"machine": machine(), "ingest": ingest})  # minutes of measuring
        fail(f"The benchmark could not run: {error}", NOT_STARTED)
    figures = {"machine": machine(), "ingest": ingest, "growth": growth}
    if write:
        write.write_text(_replaced(text, "\n".join(_page(figures))), "utf-8")
        image = write.parent / PLOT
        image.parent.mkdir(exist_ok=True)
        image.write_text(plot(growth), "utf-8")
    if as_json:
        print_json(figures)
    elif not write:
        typer.echo("\n".join(_page(figures)))
    if any(result["invariants"]["failures"] for result in ingest.values()):
        raise typer.Exit(FAILED)


def machine() -> dict[str, object]:
    """What the figures are of."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "processor": model[1] if model else platform.machine(),
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[1], 1),
    }


def _plans(seconds: float, warmup: float) -> list[Plan]:
    batches = [Plan(Mode.BATCH, variant, seconds, warmup, 8) for variant in Variant]
    return [*batches, Plan(Mode.SINGLE, Variant.PLAIN, seconds, warmup, SINGLE_CONNECTIONS)]


def _name(plan: Plan) -> str:
    return "single" if plan.mode is Mode.SINGLE else str(plan.variant)


def _marked(path: Path) -> str:
    text = path.read_text("utf-8")
    if BEGIN not in text or END not in text:
        fail(f"{path} has no part between {BEGIN} and {END} to write into.", NOT_STARTED)
    return text


def _replaced(text: str, part: str) -> str:
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def _page(figures: dict[str, Any]) -> Iterator[str]:
    about, ingest, growth = figures["machine"], figures["ingest"], figures["growth"]
    yield (
        f"{about['date']}, {about['cores']} cores of {about['processor']}, shared with the"
        f" generator; load before it began: {about['load_before']}.\n"
    )
    yield f"| | {' | '.join(ingest)} |"
    yield f"|---|{'---:|' * len(ingest)}"
    for field, label, form in INGEST_ROWS:
        if field in _SHOWN:
            values = " | ".join(form.format(result[field]) for result in ingest.values())
            yield f"| {label} | {values} |"
    yield f"\n| | {' | '.join(f'{int(size):,} calls' for size in growth)} |"
    yield f"|---|{'---:|' * len(growth)}"
    for field, label, form in GROWTH_ROWS:
        values = " | ".join(form.format(result[field]) for result in growth.values())
        yield f"| {label} | {values} |"
    for name in next(iter(growth.values()))["page_ms_p95_by_address"]:
        values = " | ".join(f"{r['page_ms_p95_by_address'][name]:.1f}" for r in growth.values())
        yield f"| {name}, p95, ms | {values} |"
    yield f"\n![Cost per span and time of a page as the store grows]({PLOT})"

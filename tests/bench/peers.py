"""Ecomind beside an OpenTelemetry Collector and Rotel: the same load, into the same kind of sink.

    python tests/bench/peers.py --seconds 20 --json

One after the other, each with a sink of its own: the tests' stand-in for ClickHouse. What is
compared is the processor time of the program itself for each span that arrived there, so a slow
sink makes a run longer and leaves that figure as it is.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does

from bench.arrivals import Arrivals
from bench.peer_programs import ECOMIND, PEERS, Program, missing
from support.clickhouse_server import clickhouse_server
from support.programs import NotListening

from ecomind_query.bench.command import working_folder
from ecomind_query.bench.generator import DONE, MEASURING
from ecomind_query.bench.invariants import read_report
from ecomind_query.bench.measure import await_event, child, new_seed
from ecomind_query.bench.process import ServerError, cpu_seconds
from ecomind_query.bench.workload import Mode, Variant
from ecomind_query.commands.common import (
    FAILED,
    NOT_STARTED,
    AsJson,
    fail,
    print_json,
    print_table,
)

QUIET_SECONDS = 40.0
"""Spans that don't come this long after the last one are missing: the peers try again sooner."""
_POLL_SECONDS = 0.5

ROWS: tuple[tuple[str, str, str], ...] = (
    ("acked_spans", "spans acknowledged", "{:,}"),
    ("arrived_spans", "in the sink", "{:,}"),
    ("missing_spans", "not in the sink", "{:,}"),
    ("repeated_spans", "stored again", "{:,}"),
    ("nameless_spans", "stored without service", "{:,}"),
    ("spans_per_s", "spans/s", "{:,.0f}"),
    ("cpu_us_per_span", "CPU, µs/span", "{:.2f}"),
    ("sink_cpu_us_per_span", "sink's CPU, µs/span", "{:.2f}"),
    ("generator_cpu_us_per_span", "generator's, µs/span", "{:.2f}"),
    ("requests_refused", "requests refused", "{:,}"),
)
"""Figure, how it is called for people, and its format."""

COMPARED = ("spans_per_s", "cpu_us_per_span", "sink_cpu_us_per_span")
"""Figures of which Ecomind's is divided by each peer's."""


@dataclass(frozen=True)
class Figures:
    """One program's run. Times per span are over the spans that arrived, each counted once."""

    acked_spans: int
    arrived_spans: int
    missing_spans: int
    repeated_spans: int
    nameless_spans: int
    spans_per_s: float
    cpu_us_per_span: float
    sink_cpu_us_per_span: float
    generator_cpu_us_per_span: float
    requests_refused: int


def compare(
    seconds: Annotated[float, typer.Option(min=1, help="Of load on each program.")] = 20,
    connections: Annotated[int, typer.Option(min=1, help="Of the load generator.")] = 8,
    as_json: AsJson = False,
) -> None:
    """Run Ecomind, a Collector and Rotel under the same load and compare what a span costs."""
    if why := missing():
        fail(f"The comparison could not run: {why}.", NOT_STARTED)
    results: dict[str, Figures] = {}
    try:
        with working_folder(None) as folder:
            for program in (ECOMIND, *PEERS):
                if not as_json:
                    Console(stderr=True).print(f"{program.name}, {seconds:g} s of load …")
                results[program.name] = run(program, folder / program.name, seconds, connections)
    except (ServerError, NotListening, OSError) as error:
        fail(f"The comparison could not run: {error}", NOT_STARTED)
    show(results, as_json)
    if results[ECOMIND.name].missing_spans:
        raise typer.Exit(FAILED)


def run(program: Program, folder: Path, seconds: float, connections: int) -> Figures:
    """One program, from its start to its end, with a sink of its own. Raises ServerError."""
    folder.mkdir()
    report = folder / "acknowledged"
    with clickhouse_server() as sink, Arrivals(sink, program.table) as arrivals:
        with program.started(folder, sink) as running:
            idle, sink_idle = cpu_seconds(running.pid), cpu_seconds(sink.pid)
            began = time.monotonic()
            totals = _load(running.url, seconds, connections, report)
            acked = read_report(report)
            last = _wait(arrivals, acked)
            own, sinks = cpu_seconds(running.pid) - idle, cpu_seconds(sink.pid) - sink_idle
        arrived = arrivals.arrived(acked)  # at its end it sends what it still has
    return Figures(
        acked_spans=totals["acked_spans"],
        arrived_spans=arrived.spans,
        missing_spans=arrived.missing,
        repeated_spans=arrived.repeated,
        nameless_spans=arrived.nameless,
        spans_per_s=round(arrived.spans / (last - began), 1),
        cpu_us_per_span=_us_per_span(own, arrived.spans),
        sink_cpu_us_per_span=_us_per_span(sinks, arrived.spans),
        generator_cpu_us_per_span=_us_per_span(
            totals["measured_cpu_seconds"], totals["measured_spans"]
        ),
        requests_refused=sum(totals["refused"].values()) + sum(totals["retried"].values()),
    )


def _load(url: str, seconds: float, connections: int, report: Path) -> dict[str, Any]:
    """Send for so long; the generator's totals. Raises ServerError."""
    options = {
        "--url": url,
        "--seconds": seconds,
        "--connections": connections,
        "--mode": Mode.BATCH,
        "--variant": Variant.PLAIN,
        "--seed": new_seed(),
        "--report": report,
    }
    generator: subprocess.Popen[str] = child("ecomind_query.bench.generator", options)
    with generator:
        assert generator.stdout is not None
        try:
            await_event(generator.stdout, MEASURING)
            return await_event(generator.stdout, DONE)
        except BaseException:
            generator.kill()
            raise


def _wait(arrivals: Arrivals, acked: frozenset[int]) -> float:
    """When the last span was seen to arrive (monotonic, s), once all are there or none comes.

    Raises ServerError if the program is not done with what is there.
    """
    rows, last = -1, 0.0
    while True:
        found, now = arrivals.rows(), time.monotonic()
        if found != rows:
            rows, last = found, now
        settled, quiet = arrivals.settled(), now - last > QUIET_SECONDS
        if settled and (quiet or not arrivals.arrived(acked).missing):
            return last
        if quiet:
            raise ServerError(f"after {rows:,} rows it did not come to an end")
        time.sleep(_POLL_SECONDS)


def ratios(results: Mapping[str, Figures]) -> dict[str, dict[str, float | None]]:
    """Each figure of `COMPARED`, Ecomind's over the peer's; None where the peer has none."""
    own = results[ECOMIND.name]
    return {
        peer.name: {
            name: round(getattr(own, name) / theirs, 3) if theirs else None
            for name in COMPARED
            for theirs in [getattr(results[peer.name], name)]
        }
        for peer in PEERS
    }


def show(results: Mapping[str, Figures], as_json: bool) -> None:
    """Print the figures of every program and the ratios."""
    divided = ratios(results)
    if as_json:
        figures = {name: asdict(one) for name, one in results.items()}
        print_json(figures | {"ratios": divided})
        return
    columns = [*results, *(f"/ {peer}" for peer in divided)]
    print_table(
        ["", *columns],
        [
            [
                label,
                *(form.format(getattr(one, field)) for one in results.values()),
                *(peer.get(field) for peer in divided.values()),  # Ecomind's over the peer's
            ]
            for field, label, form in ROWS
        ],
        right=columns,
    )


def _us_per_span(cpu: float, spans: int) -> float:
    return round(cpu / max(spans, 1) * 1e6, 2)


if __name__ == "__main__":
    typer.run(compare)

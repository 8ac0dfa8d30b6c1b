"""`ecomind bench growth`: what a store of a hundred million calls costs that one of a million does.

For each size the store is filled, and then a server is started on it as a user would: the page and
the API are asked, spans are received at full speed, and probes tell how fresh what is read is.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from ecomind_query.bench.command import DataFolder, working_folder
from ecomind_query.bench.filling import DAYS, fill
from ecomind_query.bench.freshness import freshness
from ecomind_query.bench.generator import quantiles
from ecomind_query.bench.measure import received
from ecomind_query.bench.process import Server, ServerError
from ecomind_query.commands.common import NOT_STARTED, AsJson, fail, print_json, print_table
from ecomind_query.direct import DIRECT
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store

SIZES = [1_000_000, 10_000_000, 100_000_000]
ASKED = 40
"""How often each address is asked."""

ROWS: tuple[tuple[str, str, str], ...] = (
    ("rollup_rows", "rows of the rollup", "{:,}"),
    ("bytes_per_call_on_disk", "disk per call, bytes", "{:.1f}"),
    ("page_ms_p50", "page and API, p50, ms", "{:.1f}"),
    ("page_ms_p95", "p95, ms", "{:.1f}"),
    ("cpu_us_per_span", "CPU per span received, µs", "{:.2f}"),
    ("spans_per_s_sustained", "spans/s, until the last is stored", "{:,.0f}"),
    ("fresh_ms_p50", "readable after the answer, p50, ms", "{:,.0f}"),
    ("fresh_ms_p95", "p95, ms", "{:,.0f}"),
    ("rss_mb_peak", "server memory, peak, MB", "{:,.0f}"),
)
"""Figure, how it is called for people, and its format."""


def growth(
    calls: Annotated[
        list[int] | None, typer.Option(min=DAYS, help="A size; give it several times to compare.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=1, help="Of receiving, and of probing.")] = 20,
    data_dir: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Measure reading, receiving and freshness as the store grows to 100 million calls."""
    try:
        with working_folder(data_dir) as folder:
            results = measure_growth(folder, sorted(calls or SIZES), seconds)
    except (ServerError, OSError) as error:
        fail(f"The benchmark could not run: {error}", NOT_STARTED)
    if as_json:
        print_json({str(size): result for size, result in results.items()})
        return
    columns = [f"{size:,} calls" for size in results]
    rows = [
        [label, *(form.format(result[name]) for result in results.values())]
        for name, label, form in ROWS
    ]
    addresses = next(iter(results.values()))["page_ms_p95_by_address"]
    rows += [
        [
            f"{name}, p95, ms",
            *(f"{r['page_ms_p95_by_address'][name]:.1f}" for r in results.values()),
        ]
        for name in addresses
    ]
    print_table(["", *columns], rows, right=columns)


def measure_growth(folder: Path, sizes: list[int], seconds: float) -> dict[int, dict[str, Any]]:
    """The figures of each size, in a folder that is not used yet. Raises ServerError."""
    results = {}
    for already, size in zip([0, *sizes], sizes, strict=False):
        results[size] = _measure(folder, already, size, seconds)
    return results


def _measure(folder: Path, already: int, size: int, seconds: float) -> dict[str, Any]:
    server = Server(folder, {"ECOMIND_AUTH": "auto", "ECOMIND_RETENTION_DAYS": str(DAYS + 10)})
    stored = _filled(server, already, size)
    server.start()
    try:
        asked = _ask(server)
        costs = received(server, seconds)
        fresh = freshness(server, seconds)
        server.wait_drained(60)
        memory = server.memory_mb(peak=True)
    finally:
        server.stop()
    return {**stored, **asked, **costs, **fresh, "rss_mb_peak": round(memory, 1)}


def _filled(server: Server, already: int, size: int) -> dict[str, Any]:
    settings = Settings.model_validate({**server.folders, "retention_days": DAYS + 10})
    store = Store(settings)
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task(f"{size:,} calls", total=DAYS)
            fill(store, size, already, lambda day: progress.update(task, completed=day))
        store.command("OPTIMIZE TABLE usage_hourly FINAL")  # as an hour of merging leaves it
        parts = {
            row["table"]: row
            for row in store.query(
                "SELECT table, sum(rows) AS n, sum(bytes_on_disk) AS bytes FROM system.parts"
                " WHERE database = currentDatabase() AND active GROUP BY table"
            )
        }
    finally:
        store.close()
    return {
        "calls": int(parts["calls"]["n"]),
        "rollup_rows": int(parts["usage_hourly"]["n"]),
        "bytes_per_call_on_disk": round(parts["calls"]["bytes"] / parts["calls"]["n"], 1),
    }


def _ask(server: Server) -> dict[str, Any]:
    api = server.addresses["api"]
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    month = f"from={now - timedelta(days=30):%Y-%m-%dT%H:00:00Z}&to={now:%Y-%m-%dT%H:00:00Z}"
    addresses = {
        "front page, 7 days": f"{api}/?days=7",
        "front page, 30 days": f"{api}/?days=30",
        "list of calls": f"{api}/calls",
        "30 days by team": f"{api}/v1/usage?group_by=team&{month}",
        "30 days by model and day": f"{api}/v1/usage?group_by=model&group_by=day&{month}",
        "30 days of one team": f"{api}/v1/usage?team=team-3&{month}",
        "days of a month": f"{api}/v1/aggregate/daily",
    }
    each = {name: _timed(address) for name, address in addresses.items()}
    everything = quantiles([value for values in each.values() for value in values])
    return {
        "page_ms_p50": everything["p50"],
        "page_ms_p95": everything["p95"],
        "page_ms_p95_by_address": {name: quantiles(v)["p95"] for name, v in each.items()},
    }


def _timed(address: str) -> list[float]:
    _once(address)  # what a start leaves to do is not part of it
    return [_clocked(lambda: _once(address)) for _ in range(ASKED)]


def _once(address: str) -> None:
    with DIRECT.open(address, timeout=60) as response:
        response.read()


def _clocked(action: Callable[[], None]) -> float:
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1000

"""`ecomind conformance [URL]`: what an OTLP receiver owes its clients, case by case."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ecomind_query.commands.common import FAILED, AsJson, fail, print_json, print_table
from ecomind_query.conformance.cases import BY_NUMBER, CASES, Case
from ecomind_query.conformance.fleet import Fleet
from ecomind_query.conformance.runner import Outcome, Result, run_foreign, run_own
from ecomind_query.conformance.target import Target


def conformance(
    url: Annotated[
        str | None,
        typer.Argument(help="OTLP/HTTP receiver, such as http://127.0.0.1:4318; without, our own."),
    ] = None,
    grpc: Annotated[
        str | None, typer.Option("--grpc", help="Its OTLP/gRPC address, HOST:PORT.")
    ] = None,
    header: Annotated[
        list[str] | None, typer.Option("--header", help="NAME=VALUE to send along; repeatable.")
    ] = None,
    case: Annotated[
        list[int] | None, typer.Option("--case", help="Number of a case to run; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check an OTLP receiver against the 47 cases of the documentation.

    Without URL, servers of its own are started on this machine, in every configuration that a case
    needs. With URL, what can be observed from outside is checked; about a hundred calls are sent.
    """
    cases = _chosen(case or [])
    if url:
        results = _watched(run_foreign(cases, _target(url, grpc or "", header or [])), cases)
    else:
        if grpc or header:
            fail("--grpc and --header go with a URL.")
        results = _own(cases)
    _report(results, as_json)
    if any(result.outcome is Outcome.FAILED for result in results):
        raise typer.Exit(FAILED)


def _own(cases: list[Case]) -> list[Result]:
    logging.getLogger("opentelemetry").addHandler(logging.NullHandler())  # its retries are meant
    with tempfile.TemporaryDirectory(prefix="ecomind-conformance-") as folder:
        fleet = Fleet(Path(folder))
        try:
            return _watched(run_own(cases, fleet), cases)
        finally:
            fleet.close()


def _watched(running: Iterator[Result], cases: list[Case]) -> list[Result]:
    """The results, with a bar of cases on stderr."""
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
    )  # fmt: skip
    results: list[Result] = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(_describe(cases[0]), total=len(cases))
        for result in running:
            results.append(result)
            following = cases[len(results) :]
            progress.update(task, advance=1, description=_describe((following or cases[-1:])[0]))
    return results


def _describe(case: Case) -> str:
    return f"{case.number:>2} {case.title}"


def _report(results: list[Result], as_json: bool) -> None:
    counts = Counter(result.outcome for result in results)
    if as_json:
        print_json({**{str(o): counts[o] for o in Outcome}, "cases": list(map(_row, results))})
        return
    print_table(
        ("#", "case", "expected", "over", "result"),
        [
            (
                result.case.number,
                result.case.title,
                result.case.expected,
                ", ".join(name.removeprefix("HTTP/") for name in result.transports),
                result.outcome,
            )
            for result in results
        ],
        right=("#",),
    )
    for result in results:
        if result.reason:
            typer.echo(f"{result.case.number} {result.outcome}: {result.reason}")
    left = f", {counts[Outcome.NOT_RUN]} not run" if counts[Outcome.NOT_RUN] else ""
    typer.echo(f"{counts[Outcome.PASSED]} of {len(results)}{left}")


def _row(result: Result) -> dict[str, Any]:
    return {
        "number": result.case.number,
        "title": result.case.title,
        "expected": result.case.expected,
        "transports": list(result.transports),
        "outcome": result.outcome,
        "reason": result.reason,
    }


def _chosen(numbers: list[int]) -> list[Case]:
    unknown = sorted(set(numbers) - BY_NUMBER.keys())
    if unknown:
        fail(f"There is no case {unknown[0]}; they are 1 to {len(CASES)}.")
    return [BY_NUMBER[number] for number in sorted(set(numbers))] or list(CASES)


def _target(url: str, grpc: str, headers: list[str]) -> Target:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fail(f"{url} is no OTLP/HTTP address; an example is http://127.0.0.1:4318.")
    pairs = dict(header.split("=", 1) for header in headers if "=" in header)
    if len(pairs) != len(headers):
        fail("--header must be NAME=VALUE, such as Authorization='Bearer eco_live_…'.")
    return Target(url, grpc, pairs)

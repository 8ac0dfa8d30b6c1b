"""`ecomind ingest PATH…`: files of OTLP traces and logs, through the very path that an app's take.

Where no server runs, the command stores them itself, waits for the result and says what counted.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ecomind_query.commands.common import (
    FAILED,
    NOT_STARTED,
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.commands.counted import Counted
from ecomind_query.commands.otlp_files import FileError, find, read
from ecomind_query.commands.sinks import OwnSink, Sink, Unreachable, chosen


@dataclass
class Summary:
    """What became of the files."""

    files: int = 0
    requests: int = 0
    spans: int = 0
    errors: dict[str, str] = field(default_factory=dict)
    counted: Counted | None = None  # None: another process counts them


def ingest(
    paths: Annotated[
        list[Path], typer.Argument(help="Files (.json, .jsonl, .pb, .binpb) or directories.")
    ],
    endpoint: Annotated[
        str | None,
        typer.Option(help="OTLP/HTTP receiver to send to, such as http://127.0.0.1:4318."),
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Send files of OTLP traces and logs, JSON or protobuf.

    They go to --endpoint, else to the server on the data directory, else into the store itself;
    then the answer says what counted, of which tokens, and why the rest did not.
    """
    settings = load_settings(data_dir=data_dir)
    files = find(paths)
    if not files:
        fail("There is no file of OTLP traces or logs here; name .json, .jsonl or .pb files.")
    try:
        with chosen(settings, endpoint) as sink:
            summary = send(files, sink, Console(stderr=True))
            if isinstance(sink, OwnSink):
                summary.counted = sink.counted(summary.spans)
    except Unreachable as error:
        fail(str(error), NOT_STARTED)
    _report(summary, as_json)
    if summary.errors:
        raise typer.Exit(FAILED)


def send(files: list[Path], sink: Sink, console: Console) -> Summary:
    """Send every file, with a bar of bytes; a bad file does not stop the others."""
    summary = Summary()
    sizes = {file: file.stat().st_size if file.exists() else 0 for file in files}
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("Sending", total=sum(sizes.values()))
        for file in files:
            progress.update(task, description=file.name)
            _send_file(file, sink, summary)
            progress.advance(task, sizes[file])
    return summary


def _send_file(file: Path, sink: Sink, summary: Summary) -> None:
    records = 0
    try:
        for request in read(file):
            sink.send(request)
            summary.requests += 1
            records += request.records
        if not records:
            raise FileError("it holds no spans and no log records; is it OTLP?")
    except FileError as error:
        summary.errors[str(file)] = str(error)
    except OSError as error:
        summary.errors[str(file)] = error.strerror or str(error)
    else:
        summary.files += 1
    summary.spans += records


def _report(summary: Summary, as_json: bool) -> None:
    if as_json:
        found = asdict(summary)
        counted = found.pop("counted") or {}
        print_json({**found, **counted})
        return
    print_table(
        ("files", "requests", "spans", "files with errors"),
        [(summary.files, summary.requests, f"{summary.spans:,}", len(summary.errors))],
        right=("files", "requests", "spans", "files with errors"),
    )
    if summary.counted:
        _report_counted(summary.counted)
    for file, message in summary.errors.items():
        typer.echo(f"{file}: {message}", err=True)


def _report_counted(found: Counted) -> None:
    not_counted = found.calls["not_counted"]
    print_table(
        ("became of them", "spans"),
        [
            ("counted calls", f"{found.calls['counted']:,}"),
            *((f"not counted: {reason}", f"{n:,}") for reason, n in not_counted.items()),
            ("rejected", f"{found.rejected:,}"),
        ],
        right=("spans",),
    )
    print_table(
        (*found.tokens, *(f"calls {quality}" for quality in found.usage_quality)),
        [[f"{n:,}" for n in (*found.tokens.values(), *found.usage_quality.values())]],
        right=(*found.tokens, *(f"calls {quality}" for quality in found.usage_quality)),
    )

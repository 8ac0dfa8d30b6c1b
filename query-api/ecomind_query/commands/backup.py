"""`ecomind backup DIR`: everything but the keys, into a new directory.

Where a server runs it takes the backup, because it owns the store; else the command does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from ecomind_query.commands import running, source
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
from ecomind_query.shapes import BackupLine, BackupTaken
from ecomind_receiver.backup import manifest
from ecomind_receiver.settings import Settings


def backup(
    directory: Annotated[Path, typer.Argument(help="New or empty directory, on another disk.")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Back up all calls, closed days, organisations and hashes of keys, also while a server runs.

    The secrets in ECOMIND_KEY_DIR are never in it: back them up apart.
    """
    settings, target = load_settings(data_dir=data_dir), directory.absolute()
    try:
        manifest.refuse_server(settings)
    except manifest.BackupError as error:
        fail(str(error))
    server = running.find(settings.data_dir)
    with bar() as observe:
        taken = _own(settings, target, observe) if server is None else _asked(
            server, settings, target, observe
        )  # fmt: skip
    if as_json:
        print_json(taken)
        return
    print_table(
        ("calls", "closed days", "files", "size", "seconds"),
        [
            (
                f"{taken.calls:,}", f"{taken.closed_days:,}", f"{taken.files:,}",
                f"{taken.size_bytes / 1e6:,.1f} MB", f"{taken.seconds:.1f}",
            )
        ],
        right=("calls", "closed days", "files", "size", "seconds"),
    )  # fmt: skip
    typer.echo(f"All that was acknowledged before {taken.as_of:%Y-%m-%d %H:%M:%S} UTC is in it.")
    for name, where in taken.not_included.items():
        typer.echo(f"Not in it: {name}. {where}")


@contextmanager
def bar() -> Iterator[manifest.Observe]:
    """A bar on stderr for people, and what moves it."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def observe(found: manifest.Progress) -> None:
            total = found.total_bytes or None
            progress.update(task, description=found.step, completed=found.done_bytes, total=total)

        yield observe


def _asked(
    server: running.Server, settings: Settings, target: Path, observe: manifest.Observe
) -> BackupTaken:
    """The server's backup."""
    with running.refusals(directory="DIRECTORY"):
        client = running.Client(server, settings)
        for each in client.follow("/v1/backups", {"directory": str(target)}, "admin"):
            line = BackupLine.model_validate(each)
            if line.backup is not None:
                return line.backup
            if line.detail:
                fail(line.detail)
            observe(manifest.Progress(line.step, line.done_bytes, line.total_bytes))
    fail("The server stopped before the backup was whole, so there is none. Take it again.")


def _own(settings: Settings, target: Path, observe: manifest.Observe) -> BackupTaken:
    """A backup by a receiver of this process, which first stores what waits in the spool."""
    from ecomind_query.backups import take

    if not (settings.data_dir / "store").is_dir():
        fail(
            f"There is no data in {settings.data_dir}, so there is nothing to back up. Name the"
            " data directory with --data-dir (ECOMIND_DATA_DIR).",
            NOT_STARTED,
        )
    with source.receiver(settings) as (receiver, _):
        try:
            return take(receiver.backups, target, observe)
        except manifest.BackupError as error:
            fail(str(error), FAILED)

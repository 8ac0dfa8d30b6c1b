"""`ecomind restore DIR --data-dir NEW`: a backup back into an empty data directory, and checked."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from ecomind_query.commands.backup import bar
from ecomind_query.commands.common import (
    AsJson,
    DataDir,
    fail,
    load_settings,
    print_json,
    print_table,
)


def restore(
    directory: Annotated[Path, typer.Argument(help="The directory of a backup.")],
    data_dir: DataDir = None,
    verify_only: Annotated[
        bool,
        typer.Option(
            "--verify-only", help="Restore into a temporary directory, check, and delete it again."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring a backup back into an empty data directory, and hold the result against the backup.

    Files are compared by their hashes, tables by rows and sums, closed days by their digests.
    """
    from ecomind_receiver.backup import restoring
    from ecomind_receiver.backup.manifest import BackupError

    settings, started = load_settings(data_dir=data_dir), time.monotonic()
    try:
        with bar() as observe:
            bring = restoring.verify if verify_only else restoring.restore
            found = bring(directory.absolute(), settings, observe)
    except BackupError as error:
        fail(str(error))
    seconds = time.monotonic() - started
    kept = found.manifest
    if as_json:
        print_json(
            {
                "data_dir": None if verify_only else str(settings.data_dir),
                "as_of": kept.as_of.isoformat(),
                "files": len(kept.files),
                "size_bytes": kept.size_bytes,
                "tables": found.tables,
                "rows": found.rows,
                "closed_days": found.closed_days,
                "control": found.control,
                "seconds": round(seconds, 3),
            }
        )
        return
    print_table(
        ("equal to the backup", "how many"),
        [
            ("files, by SHA-256", f"{len(kept.files):,}"),
            ("tables, by rows and sums", f"{found.tables:,}"),
            ("rows", f"{found.rows:,}"),
            ("closed days, by digest", f"{found.closed_days:,}"),
            ("control store, opened and migrated", "yes" if found.control else "not in it"),
        ],
        right=("how many",),
    )
    typer.echo(
        f"As of {kept.as_of:%Y-%m-%d %H:%M:%S} UTC, {kept.size_bytes / 1e6:,.1f} MB in"
        f" {seconds:.1f} s. "
        + (
            "Nothing was kept."
            if verify_only
            else f"Start it with `ecomind up --data-dir {settings.data_dir}` and the keys of the"
            " backed-up server in ECOMIND_KEY_DIR."
        )
    )

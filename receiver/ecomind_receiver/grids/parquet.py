"""Parquet as CSV: the engine that reads it runs in a process of its own.

A process has one engine, on one directory, for all its life; a server's is its store, and a command
has none. So the table is converted by a short-lived process with an engine in memory, whose memory
goes with it, and what comes out is read by the same code as any other table.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from ecomind_receiver.decode import literal
from ecomind_receiver.grids.errors import GridError
from ecomind_receiver.grids.rows import ROWS_MAX, SOURCE_MAX_CHARACTERS
from ecomind_receiver.store import describe, memory_engine

TIMEOUT_SECONDS = 300
_CELL_MAX_CHARACTERS = SOURCE_MAX_CHARACTERS + 1  # enough to be refused as too long


@contextmanager
def as_csv(path: Path) -> Iterator[Path]:
    """The table in `path` as a CSV file that is gone afterwards. Raises GridError."""
    with tempfile.TemporaryDirectory(prefix="ecomind-grid-") as folder:
        source, target = Path(folder, "table.parquet"), Path(folder, "table.csv")
        source.symlink_to(path.resolve())  # a name without characters that the engine would expand
        _convert(path, source, target)
        yield target


def convert(source: str, target: str) -> None:
    """Write a Parquet file as CSV, all as text and moments in UTC. For a process without a store.

    A timestamp without a zone is taken for UTC, as the format's readers do.
    """
    file = f"file({literal(source)}, 'Parquet')"
    with closing(memory_engine()) as engine:
        columns = engine.query(f"DESCRIBE {file}").result_rows
        texts = ", ".join(_as_text(str(column[0]), str(column[1])) for column in columns)
        engine.command(
            f"INSERT INTO FUNCTION file({literal(target)}, 'CSVWithNames') SELECT {texts} FROM"
            f" {file} LIMIT {ROWS_MAX + 1} SETTINGS max_threads = 1,"
            " input_format_parquet_preserve_order = 1"
        )


def _as_text(column: str, type_: str) -> str:
    name = "`" + column.replace("\\", "\\\\").replace("`", "\\`") + "`"
    value = f"toString({name})"
    if "DateTime" in type_:
        value = f"replaceOne(toString(toTimeZone({name}, 'UTC')), ' ', 'T') || 'Z'"
    return f"leftUTF8(ifNull({value}, ''), {_CELL_MAX_CHARACTERS}) AS {name}"


def _convert(path: Path, source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "ecomind_receiver.grids.parquet", str(source), str(target)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        reason = f"it took more than {TIMEOUT_SECONDS} s"
    else:
        if done.returncode == 0:
            return
        reason = done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"
    raise GridError(
        f"{path} can't be read as Parquet: {reason}. Write it again, or give the table as CSV."
    )


def main(words: list[str]) -> int:
    """Convert the first file to the second; the last line on stderr says why it could not be."""
    try:
        convert(*words)
    except Exception as error:  # the engine has many; its messages may quote the data
        print(describe(error), file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The tables of a store as of one moment, in a database of their own, and the BACKUP of it.

Parts are never changed, so a clone is hard links: it takes some 5 ms a part and no room. What a
table remembers of inserted blocks (their tokens) lies beside its parts and is copied as files:
BACKUP leaves it out, and without it a replay after a restore would be stored twice.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

from ecomind_receiver.backup import sums
from ecomind_receiver.backup.manifest import BackupError, Observe, Progress
from ecomind_receiver.store import Store

LIVE, CLONE = "default", "backup_clone"
"""The store's own database, and that of the clone."""
TOKENS = "deduplication_logs"
"""Name of the engine's folder of tokens beside a table's parts."""

_GATE_SECONDS, _POLL_SECONDS = 300.0, 0.05


class Clone:
    """A clone of a store's tables; `drop` it at the end. Methods block."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.tables: list[str] = []

    def make(self, tokens: Path) -> None:
        """Clone every table and copy its tokens to `tokens`, all as of one moment.

        Raises TimeoutError if the store does not hold still in time.
        """
        self.drop()
        self._store.command(f"CREATE DATABASE {CLONE}")
        self.tables = sums.tables(self._store, LIVE)
        for table in self.tables:
            self._store.command(f"CREATE TABLE {CLONE}.{table} AS {LIVE}.{table}")
            self._store.command(f"SYSTEM STOP MERGES {CLONE}.{table}")
        folders = token_folders(self._store)
        with self._store.gate.shut(_GATE_SECONDS):
            for table in self.tables:
                self._store.command(
                    f"ALTER TABLE {CLONE}.{table} ATTACH PARTITION ALL FROM {LIVE}.{table}"
                )
            for table, folder in folders.items():
                shutil.copytree(folder, tokens / table)

    def drop(self) -> None:
        """Drop the clone, or what is left of one that a killed process made."""
        self._store.command(f"DROP DATABASE IF EXISTS {CLONE} SYNC")

    def size_bytes(self) -> int:
        """Bytes of all parts."""
        rows = self._store.query(
            "SELECT sum(bytes_on_disk) AS size FROM system.parts"
            " WHERE database = {database:String} AND active",
            {"database": CLONE},
        )
        return int(rows[0]["size"])

    def back_up(self, folder: Path, observe: Observe) -> None:
        """Let the engine write the clone, under the names of the live tables, and the live views.

        Raises BackupError.
        """
        total_bytes = self.size_bytes()
        views = self._store.query(
            "SELECT name FROM system.tables WHERE database = {database:String}"
            " AND engine LIKE '%View' ORDER BY name",
            {"database": LIVE},
        )
        parts = [f"TABLE {CLONE}.{table} AS {LIVE}.{table}" for table in self.tables]
        parts += [f"TABLE {LIVE}.{view['name']}" for view in views]
        sql = f"BACKUP {', '.join(parts)} TO File({quoted(folder)}) ASYNC"
        id = self._store.query(sql)[0]["id"]
        state = self._state(id)
        while state["status"] == "CREATING_BACKUP":
            observe(Progress("copying", int(state["total_size"]), total_bytes))
            time.sleep(_POLL_SECONDS)
            state = self._state(id)
        if state["status"] != "BACKUP_CREATED":
            raise BackupError(f"The engine can't write {folder}: {reason(state['error'])}.")

    def _state(self, id: str) -> dict[str, Any]:
        return self._store.query(
            "SELECT status, error, total_size FROM system.backups WHERE id = {id:String}",
            {"id": id},
        )[0]


def token_folders(store: Store) -> dict[str, Path]:
    """Table → the folder of its tokens, of the live tables that have one."""
    rows = store.query(
        "SELECT name, data_paths[1] AS path FROM system.tables"
        " WHERE database = {database:String} AND engine LIKE '%MergeTree'",
        {"database": LIVE},
    )
    folders = {row["name"]: Path(row["path"]) / TOKENS for row in rows}
    return {table: folder for table, folder in folders.items() if folder.is_dir()}


def quoted(path: Path) -> str:
    """A path as a literal of the engine."""
    text = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def reason(error: str) -> str:
    """What the engine says, without its stack; it quotes paths here and no data."""
    return error.split("Stack trace")[0].split("(version")[0].strip().rstrip(".,")[:300]

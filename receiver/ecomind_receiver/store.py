"""The telemetry store: opened once per process, migrated, and asked by everything that reads.

It is the engine in this process (chDB) with its tables in the data directory, or the ClickHouse
server or cluster that ECOMIND_STORE_URL names; who asks need not know which. What arrives is
decoded in the engine in this process either way. The engine allows one process per directory and
says so in words nobody understands, so a lock file of ours is taken first and the refusal is a
sentence; with a server the lock is there for the spool.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

from ecomind_receiver import room
from ecomind_receiver.clients import StoreError, client_of, embedded_client, memory_engine
from ecomind_receiver.connections import Connections, describe
from ecomind_receiver.gate import Gate
from ecomind_receiver.layout import ClusterLayout, Layout, ServerLayout, shard_of
from ecomind_receiver.migrations import SQL, known_migrations, migrate, render
from ecomind_receiver.private import keep_private, private_directory
from ecomind_receiver.settings import Settings
from ecomind_receiver.shards import freeze_shards
from ecomind_receiver.store_url import StoreUrl

__all__ = [
    "SQL", "Store", "StoreError", "describe", "known_migrations", "memory_engine", "render",
]  # fmt: skip

log = logging.getLogger("ecomind.store")

_ONE_PIECE = "max_block_size = 10000000, max_threads = 1"
"""What a sorted SELECT comes in."""


class Store(Connections):
    """The store of one process, migrated to the newest schema."""

    def __init__(self, settings: Settings, fill: Callable[[Store], None] | None = None) -> None:
        """Open, lock and migrate; the process's files are private from then. Raises StoreError.

        `fill` brings tables into an empty embedded store before it is migrated.
        """
        keep_private()
        self.gate = Gate()
        self.path = settings.data_dir / "store"
        self.url = settings.store
        self.layout = _layout(self.url)
        self._shards: list[Connections] = []
        super().__init__(self._connect_store)
        self._lock = _take_lock(settings.data_dir, self.path if self.url is None else None)
        if self.url is None:
            room.remove_unfinished(self.path)
        self.engine = self if self.url is None else Connections(_scratch_engine(token_hex(4)))
        """What arrives is decoded and compared in here."""
        try:
            if fill is not None:
                fill(self)
            if self.url is not None and self.url.cluster:
                self._open_shards(self.url)  # whose list is part of the schema
            migrate(self, {"retention_days": settings.retention_days})
        except BaseException:
            self.close()
            raise

    @property
    def is_shared(self) -> bool:
        """Whether other processes may write to it too."""
        return self.url is not None

    @property
    def where(self) -> str:
        """Its place, for people."""
        return str(self.path) if self.url is None else self.url.where

    def node(self, token: str) -> Connections:
        """Where a block with this token is stored; what it is made from may be made there."""
        return self._shards[shard_of(token, len(self._shards))] if self._shards else self

    def command(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        """Run one statement that returns nothing. Blocking.

        Raises StoreError if it makes or changes a table and this machine's disk has no room.
        """
        if self.url is None and room.defines(sql) and (shortage := room.shortage(self.path)):
            raise StoreError(shortage)
        super().command(sql, params)

    def insert(
        self, table: str, columns: Sequence[str], rows: list[list[object]], token: str = ""
    ) -> None:
        """Insert rows as one block; a block with a token that was seen before changes nothing."""
        local = self.layout.local(table)
        target = self if local == table else self.node(token)
        Connections.insert(target, local, columns, rows, token)

    def add(
        self,
        table: str,
        columns: Sequence[str],
        select: str,
        token: str,
        params: Mapping[str, object] | None = None,
    ) -> None:
        """Insert what a SELECT of the store gives, column by column, as one block."""
        local = self.layout.local(table)
        Connections.add(self.node(token), local, columns, select, token, params)

    def add_first(self, table: str, columns: Sequence[str], select: str, token: str) -> None:
        """The same where several processes may come with different rows: the first's stand.

        A token is compared alone only for rows that are sent as one piece. Otherwise the engine
        also compares how many pieces there are, and another's rows could go in beside these.
        """
        if not self.is_shared:
            self.add(table, columns, select, token)
            return
        node = self.node(token)
        sorted_ = f"SELECT * FROM (\n{select}\n) ORDER BY ALL SETTINGS {_ONE_PIECE}"
        block = node.native(columns, sorted_)
        node.push(self.layout.local(table), columns, block, token)

    def load(self, table: str, columns: Sequence[str], select: str, token: str) -> None:
        """Insert what a SELECT of the engine gives, column by column, as one block."""
        if self.engine is self:
            self.add(table, columns, select, token)
        else:
            block = self.engine.native(columns, select)
            self.node(token).push(self.layout.local(table), columns, block, token)

    def keep_calls(self, days: int) -> None:
        """Have single calls deleted this many days after they began, those stored before as well.

        Rollups and closed days stay; the engine does it in the background. For a server only: a
        command that was started with other settings must not delete what a server keeps.
        """
        calls = self.layout.local("calls")
        text = self.query(
            "SELECT create_table_query AS q FROM system.tables"
            " WHERE database = currentDatabase() AND name = {name:String}",
            {"name": calls},
        )[0]["q"]
        found = re.search(r"TTL toDateTime\(start_time, 'UTC'\) \+ toIntervalDay\((\d+)\)", text)
        before = int(found[1]) if found else None
        if before != days:
            log.warning("retention changed", extra={"days": days, "days_before": before})
            changed = self.layout.everywhere(f"ALTER TABLE {calls}")
            self.command(
                f"{changed} MODIFY TTL toDateTime(start_time, 'UTC')"
                f" + INTERVAL {days:d} DAY SETTINGS mutations_sync = 0"
            )

    def close(self) -> None:
        """Close every connection and give the lock back; an engine that hangs keeps the lock."""
        was_closed = self._closed
        super().close()
        for each in (*self._shards, *(() if self.engine is self else (self.engine,))):
            each.close()
        self.stuck = self.stuck or self.engine.stuck
        if not self.stuck and not was_closed:
            os.close(self._lock)

    def _open_shards(self, url: StoreUrl) -> None:
        """Connections to the shards that blocks go to, in the order that was frozen."""
        hosts = freeze_shards(self, url)
        quorum = url.insert_quorum or ("auto" if max(map(len, hosts)) > 1 else "0")
        self.block |= {"insert_quorum": quorum}
        for replicas in hosts:
            shard = Connections(partial(client_of, url, replicas))
            shard.block |= {"insert_quorum": quorum}
            self._shards.append(shard)

    def _connect_store(self) -> Any:
        if self.url is not None:
            return client_of(self.url)
        return embedded_client(self.path, SQL / "engine.xml")


def _scratch_engine(name: str) -> Callable[[], Any]:
    """Makes clients of the memory engine in a database of their own: a process has one engine."""

    def connect() -> Any:
        client = memory_engine()
        client.command(f"CREATE DATABASE IF NOT EXISTS scratch_{name}")
        client.database = f"scratch_{name}"
        return client

    return connect


def _layout(url: StoreUrl | None) -> Layout:
    if url is None:
        return Layout()
    return ClusterLayout(url.cluster) if url.cluster else ServerLayout()


def _take_lock(data_dir: Path, store: Path | None) -> int:
    try:
        private_directory(data_dir)
        if store is not None:
            private_directory(store)
        lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"The data directory {data_dir} can't be written: {error.strerror}. "
            "Give --data-dir (ECOMIND_DATA_DIR) a directory that this user may write."
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, 32, 0).decode().strip()
        os.close(lock)
        raise StoreError(
            f"Another Ecomind process (pid {holder or 'unknown'}) already uses {data_dir}. "
            "Stop it, or give this one another --data-dir (ECOMIND_DATA_DIR)."
        ) from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock

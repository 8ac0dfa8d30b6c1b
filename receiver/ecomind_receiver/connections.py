"""Connections of this process to one engine or server, one for each thread.

The client is clickhouse_connect's over either: what is asked here runs on the engine in this
process and on a server alike. A connection serialises its calls. Whatever has to be stored once is
one block under one token, so that the same block a second time changes nothing, neither in a table
nor in its rollups.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ecomind_receiver.clients import StoreError, is_transport

log = logging.getLogger("ecomind.store")

CLOSE_SECONDS = 20.0
"""How long an engine may take to close; rarely, it never comes back."""

ONE_BLOCK: Mapping[str, object] = {
    "insert_deduplicate": 1,
    "deduplicate_blocks_in_dependent_materialized_views": 1,
    "async_insert": 0,
    "max_insert_threads": 1,
    "min_insert_block_size_rows": 10_000_000,
    "min_insert_block_size_bytes": 0,
    "max_partitions_per_insert_block": 1000,
}
"""What makes an insert one block, and the block one of those that are told apart by their tokens.

A block may touch a limited number of partitions, so whatever may span years goes a month at a time.
"""


class Connections:
    """What is asked of one engine or server. Methods block."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """`connect` makes a client; it raises StoreError."""
        self.block: dict[str, object] = dict(ONE_BLOCK)
        self._connect = connect
        self._local = threading.local()
        self._clients: list[Any] = []
        self._guard = threading.Lock()
        self._closed = False
        self.stuck = False
        """Whether the engine did not close; the process can then only be left (see `up.py`)."""

    def query(
        self,
        sql: str,
        params: Mapping[str, object] | None = None,
        settings: Mapping[str, object] | None = None,
    ) -> list[dict[str, Any]]:
        """Rows of a SELECT as dicts; `{name:Type}` in the text is bound from `params`."""
        bound, given = dict(params or {}), dict(settings or {})
        result = self._do(lambda client: client.query(sql, parameters=bound, settings=given))
        return list(result.named_results())

    def command(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        """Run one statement that returns nothing."""
        self._do(lambda client: client.command(sql, parameters=dict(params or {})))

    def insert(
        self, table: str, columns: Sequence[str], rows: list[list[object]], token: str = ""
    ) -> None:
        """Insert rows as one block; a block with a token that was seen before changes nothing."""
        self._do(
            lambda client: client.insert(
                table, rows, column_names=list(columns), settings=self._settings(token)
            )
        )

    def add(
        self,
        table: str,
        columns: Sequence[str],
        select: str,
        token: str,
        params: Mapping[str, object] | None = None,
    ) -> None:
        """Insert what a SELECT gives, column by column, as one block."""
        settings = ", ".join(f"{name} = {_literal(v)}" for name, v in self._settings(token).items())
        head = f"INSERT INTO {table} ({', '.join(columns)})\nSETTINGS {settings}\n"
        self.command(head + select, params)

    def native(self, columns: Sequence[str], select: str) -> bytes:
        """What a SELECT gives in the format Native, column by column under these names."""
        named = f"SELECT * FROM (\n{select}\n) AS made({', '.join(columns)})"
        return bytes(self._do(lambda client: client.raw_query(named, fmt="Native")))

    def push(self, table: str, columns: Sequence[str], block: bytes, token: str) -> None:
        """Insert bytes in the format Native as one block."""
        self._do(
            lambda client: client.raw_insert(
                table, list(columns), block, settings=self._settings(token), fmt="Native"
            )
        )

    def version(self) -> str:
        """The engine's version, such as 26.9.2.1."""
        return str(self.query("SELECT version() AS v")[0]["v"])

    def close(self) -> None:
        """Close every connection; an engine that hangs is left.

        All that was stored is synced, so nothing is lost with it.
        """
        with self._guard:
            if self._closed:
                return
            self._closed = True
        closing = threading.Thread(target=self._close_clients, name="store-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS)
        self.stuck = closing.is_alive()
        if self.stuck:
            log.error("the engine did not close", extra={"seconds": CLOSE_SECONDS})

    def _close_clients(self) -> None:
        for client in self._clients:
            client.close()

    def _do(self, work: Callable[[Any], Any]) -> Any:
        """Let this thread's client work; after an error of its transport it is made anew."""
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._open()
        try:
            return work(client)
        except Exception as error:
            if is_transport(error):
                self._forget(client)
            raise

    def _settings(self, token: str) -> dict[str, object]:
        return self.block | ({"insert_deduplication_token": token} if token else {})

    def _open(self) -> Any:
        with self._guard:
            if self._closed:
                raise StoreError("The store is closed.")
            client = self._connect()
            self._clients.append(client)
            return client

    def _forget(self, client: Any) -> None:
        self._local.client = None
        with self._guard:
            if not self._closed:
                self._clients.remove(client)
                client.close()


def describe(error: Exception) -> str:
    """What an error says without any data: an engine's message may quote the bytes it choked on."""
    found = re.search(r"Code: (\d+).*\(([A-Z_]{4,})\)", str(error), re.DOTALL)
    if found:
        return f"engine error {found[1]} ({found[2]})"
    if isinstance(error, (StoreError, OSError)):
        return str(error)
    if is_transport(error):
        return "the ClickHouse server of ECOMIND_STORE_URL does not answer"
    return type(error).__name__


def _literal(value: object) -> str:
    return f"'{value}'" if isinstance(value, str) else str(value)

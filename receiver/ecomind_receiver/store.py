"""The telemetry store: one engine, opened once per process, and its numbered migrations.

The engine is chDB through clickhouse-connect. It allows one process per directory and says so in
words nobody understands, so a lock file of ours is taken first and the refusal is a sentence.
A connection serialises its calls; each thread gets its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2

from ecomind_receiver.gate import Gate
from ecomind_receiver.private import keep_private, private_directory
from ecomind_receiver.settings import Settings

# Filters on DateTime columns match nothing when the engine sees another zone: set before it loads.
os.environ["TZ"] = "UTC"
time.tzset()

log = logging.getLogger("ecomind.store")

CLOSE_SECONDS = 20.0
"""How long the engine may take to close; rarely, it never comes back."""

SQL = files("ecomind_receiver") / "sql"
_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("ecomind_receiver", "sql"),
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=False,  # SQL, not HTML; only our own constants are rendered
)


class StoreError(Exception):
    """The store can't be opened or used; the message says what to do."""


def render(template: str, **values: object) -> str:
    """The SQL `template` (relative to `sql/`) with our own constants put in."""
    return _TEMPLATES.get_template(template).render(**values)


class Store:
    """The embedded engine on `<data_dir>/store`, migrated to the newest schema."""

    def __init__(self, settings: Settings, fill: Callable[[Store], None] | None = None) -> None:
        """Open, lock and migrate; the process's files are private from then. Raises StoreError.

        `fill` brings tables into an empty store before it is migrated.
        """
        keep_private()
        self.gate = Gate()
        self.path = settings.data_dir / "store"
        self._lock = _take_lock(settings.data_dir)
        self._local = threading.local()
        self._clients: list[Any] = []
        self._guard = threading.Lock()
        self._closed = False
        self.stuck = False
        """Whether the engine did not close; the process can then only be left (see `up.py`)."""
        try:
            if fill is not None:
                fill(self)
            migrate(self, {"retention_days": settings.retention_days})
        except BaseException:
            self.close()
            raise

    def query(self, sql: str, params: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Rows of a SELECT as dicts; `{name:Type}` in the text is bound from `params`. Blocking."""
        result = self._client().query(sql, parameters=dict(params or {}))
        return list(result.named_results())

    def command(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        """Run one statement that returns nothing. Blocking."""
        self._client().command(sql, parameters=dict(params or {}))

    def insert(
        self, table: str, columns: list[str], rows: list[list[object]], token: str = ""
    ) -> None:
        """Insert rows as one block; a block with a token that was seen before changes nothing."""
        settings = {"insert_deduplication_token": token} if token else {}
        self._client().insert(table, rows, column_names=columns, settings=settings)

    def version(self) -> str:
        """The engine's version, such as 26.9.2.1."""
        return str(self.query("SELECT version() AS v")[0]["v"])

    def keep_calls(self, days: int) -> None:
        """Have single calls deleted this many days after they began, those stored before as well.

        Rollups and closed days stay; the engine does it in the background. For a server only: a
        command that was started with other settings must not delete what a server keeps.
        """
        text = self.query(
            "SELECT create_table_query AS q FROM system.tables"
            " WHERE database = currentDatabase() AND name = 'calls'"
        )[0]["q"]
        found = re.search(r"TTL toDateTime\(start_time, 'UTC'\) \+ toIntervalDay\((\d+)\)", text)
        before = int(found[1]) if found else None
        if before != days:
            log.warning("retention changed", extra={"days": days, "days_before": before})
            self.command(
                "ALTER TABLE calls MODIFY TTL toDateTime(start_time, 'UTC')"
                f" + INTERVAL {days:d} DAY SETTINGS mutations_sync = 0"
            )

    def close(self) -> None:
        """Close every connection and give the lock back; an engine that hangs keeps the lock.

        All that was stored is synced, so nothing is lost with an engine that is left.
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
            else:
                os.close(self._lock)

    def _close_clients(self) -> None:
        for client in self._clients:
            client.close()

    def _client(self) -> Any:
        client = getattr(self._local, "client", None)
        if client is None:
            client = self._local.client = self._connect()
        return client

    def _connect(self) -> Any:
        import clickhouse_connect  # 0.4 s, so only when an engine is wanted

        with self._guard:
            if self._closed:
                raise StoreError("The store is closed.")
            try:
                client = clickhouse_connect.get_client(
                    interface="chdb", path=f"{self.path}?config-file={SQL / 'engine.xml'}"
                )
            except Exception as error:
                raise StoreError(f"The store at {self.path} can't be opened: {error}") from error
            self._clients.append(client)
            return client


def memory_engine() -> Any:
    """A client of an engine without a directory, which reads files; its process can have no store.

    Blocking, for seconds.
    """
    import clickhouse_connect

    return clickhouse_connect.get_client(interface="chdb")


def describe(error: Exception) -> str:
    """What an error says without any data: an engine's message may quote the bytes it choked on."""
    found = re.search(r"Code: (\d+).*\(([A-Z_]{4,})\)", str(error), re.DOTALL)
    if found:
        return f"engine error {found[1]} ({found[2]})"
    if isinstance(error, (StoreError, OSError)):
        return str(error)
    return type(error).__name__


def _take_lock(data_dir: Path) -> int:
    try:
        private_directory(data_dir)
        private_directory(data_dir / "store")
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


def migrate(store: Store, values: Mapping[str, object]) -> None:
    """Bring the schema to the newest version; refuse a history that differs from ours."""
    store.command(
        "CREATE TABLE IF NOT EXISTS schema_migrations (number UInt32, name String, sha256 String,"
        " applied_at DateTime('UTC')) ENGINE = MergeTree ORDER BY number"
    )
    applied = {
        int(row["number"]): row
        for row in store.query("SELECT number, name, sha256 FROM schema_migrations")
    }
    known = known_migrations()
    for number in sorted(applied.keys() - known.keys()):
        raise StoreError(
            f"The store at {store.path} holds migration {number} ({applied[number]['name']}),"
            " which this version does not know. Start the newer version of Ecomind that wrote it."
        )
    for number, (name, text) in sorted(known.items()):
        digest = hashlib.sha256(text.encode()).hexdigest()
        if number not in applied:
            _apply(store, number, name, text, digest, values)
        elif applied[number]["sha256"] != digest:
            raise StoreError(
                f"Migration {name} was changed after it had been applied to {store.path}."
                " Undo the change: a new migration must get a new number."
            )
    if applied.keys() != known.keys():
        _reload_rollups(store)
    _make_views(store)


def _reload_rollups(store: Store) -> None:
    """Have the engine read its materialized views anew.

    After MODIFY QUERY it makes other tokens for what a view inserts than after the next start, so a
    segment that was stored before a crash and replayed after it would be in the rollup twice.
    """
    for row in store.query(
        "SELECT name FROM system.tables"
        " WHERE database = currentDatabase() AND engine = 'MaterializedView'"
    ):
        store.command(f"DETACH TABLE {row['name']}")
        store.command(f"ATTACH TABLE {row['name']}")


def _make_views(store: Store) -> None:
    """Make the views anew if they are not those of this version; their comment says whose they are.

    Only then: what a start does not need is not done while a crashed process is cleared up after.
    """
    text = render("views.sql")
    digest = hashlib.sha256(text.encode()).hexdigest()
    found = store.query(
        "SELECT comment FROM system.tables"
        " WHERE database = currentDatabase() AND name = 'calls_footprint'"
    )
    if [row["comment"] for row in found] != [digest]:
        for statement in _statements(text):
            made = statement.startswith("CREATE VIEW")
            store.command(f"{statement}\nCOMMENT '{digest}'" if made else statement)


def known_migrations() -> dict[int, tuple[str, str]]:
    """Number → file name and text of every migration of this version."""
    entries = (entry for entry in (SQL / "schema").iterdir() if entry.name.endswith(".sql"))
    return {int(entry.name[:3]): (entry.name, entry.read_text("utf-8")) for entry in entries}


def _apply(
    store: Store, number: int, name: str, text: str, digest: str, values: Mapping[str, object]
) -> None:
    """Run one migration. Its statements are idempotent: an interrupted one is run again."""
    rendered = _TEMPLATES.from_string(text).render(**values)
    for statement in _statements(rendered):
        try:
            store.command(statement)
        except Exception as error:
            raise StoreError(f"Migration {name} failed and Ecomind stops here: {error}") from error
    store.command(
        "INSERT INTO schema_migrations"
        " VALUES ({number:UInt32}, {name:String}, {sha:String}, now('UTC'))",
        {"number": number, "name": name, "sha": digest},
    )


def _statements(text: str) -> list[str]:
    lines = [line.split("--", 1)[0] for line in text.splitlines()]
    return [part.strip() for part in "\n".join(lines).split(";") if part.strip()]

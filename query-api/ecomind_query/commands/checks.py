"""What doctor looks at: each check is a function from the settings to findings, and nothing else.

Checks change nothing. Where a server runs, its own word is taken; otherwise ports, directories and
the engine are tried from here, the engine on a directory that is thrown away.
"""

from __future__ import annotations

import os
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ecomind_query.commands import door_checks, running
from ecomind_query.commands.findings import Check, Finding
from ecomind_query.shapes import HIDDEN
from ecomind_receiver.backup.last import read as read_last
from ecomind_receiver.http_server import foreign, is_foreign
from ecomind_receiver.kafka.config import KafkaSettingError, import_client
from ecomind_receiver.settings import Settings

FREE_MIN_BYTES = 1024**3
_PORTS = ("api_port", "otlp_http_port", "otlp_grpc_port")
_DISTRIBUTIONS = ("ecomind", "chdb", "clickhouse-connect", "fastapi", "grpcio", "uvicorn")
_BUILT = datetime(2026, 11, 1, tzinfo=UTC)
"""No true clock shows a time before this version was written."""

_HIDDEN = (
    "details hidden; the server shows them on its own machine, or to a key with the scope admin in"
    " ECOMIND_API_KEY"
)


def versions(settings: Settings) -> Iterator[Finding]:
    """Python and the distributions that matter."""
    python = ".".join(str(part) for part in sys.version_info[:3])
    ok = sys.version_info >= (3, 11)
    yield Finding("python", ok, python, "" if ok else "Install Python 3.11 or newer.")
    for name in _DISTRIBUTIONS:
        try:
            yield Finding(name, True, version(name))
        except PackageNotFoundError:
            yield Finding(name, False, "not installed", "Run: pip install ecomind")


def server(settings: Settings) -> Iterator[Finding]:
    """Whether `up` runs on the data directory, and whether it can take a durable write."""
    found = running.find(settings.data_dir)
    if found is None:
        yield Finding(
            "server", True, f"none runs on {settings.data_dir}; start it with: ecomind up"
        )
        return
    yield Finding("server", True, f"pid {found.pid}, {found.api}, OTLP {found.otlp_http}")
    yield from _ready(settings)


def remote_server(settings: Settings) -> Iterator[Finding]:
    """Whether the server that is named answers, and whether it can take a durable write."""
    yield Finding("server", True, settings.server)
    yield from _ready(settings)


def _ready(settings: Settings) -> Iterator[Finding]:
    try:
        client = running.connect(settings)
        parts = client.get("/ready")["parts"] if client else {}
    except running.ServerError as error:
        yield Finding("ready", False, str(error), "Look at the server's log; restart it.")
        return
    for name, part in parts.items():
        hidden = part["detail"] == HIDDEN
        detail = _HIDDEN if hidden else part["detail"]
        fix = "" if part["ready"] or hidden else "Follow the sentence, then look again."
        yield Finding(name, part["ready"], detail, fix)


def ports(settings: Settings) -> Iterator[Finding]:
    """Whether the ports are free, if no server of ours has them."""
    if running.find(settings.data_dir) is not None:
        return
    for setting in _PORTS:
        port, variable = getattr(settings, setting), f"ECOMIND_{setting.upper()}"
        error = _bind_error(settings.host, port)
        fix = f"Stop what uses it, or set {variable} to another port." if error else ""
        yield Finding(f"port {port}", not error, error or "free", fix)


def directories(settings: Settings) -> Iterator[Finding]:
    """Whether data and keys can be written where they should be, and apart."""
    for name, path in (("data_dir", settings.data_dir), ("key_dir", settings.key_dir)):
        existing = _existing(path)
        ok = os.access(existing, os.W_OK | os.X_OK)
        fix = "" if ok else f"Set ECOMIND_{name.upper()} to a directory that this user may write."
        yield Finding(name, ok, str(path) if ok else f"{existing} can't be written", fix)
    if settings.key_dir.resolve().is_relative_to(settings.data_dir.resolve()):
        yield Finding(
            "keys", False, "the keys lie inside the data", "Set ECOMIND_KEY_DIR elsewhere."
        )
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    ok = free >= FREE_MIN_BYTES
    fix = "" if ok else "Free space, or set ECOMIND_DATA_DIR to a larger disk."
    yield Finding("disk", ok, f"{free / 1e9:.1f} GB free", fix)


def spool(settings: Settings) -> Iterator[Finding]:
    """What waits in the spool of a server that is not running."""
    if running.find(settings.data_dir) is not None:
        return
    folder = settings.data_dir / "spool"
    waiting = [file for file in folder.rglob("*") if file.is_file()] if folder.is_dir() else []
    size = sum(file.stat().st_size for file in waiting)
    ok = size < settings.spool_max_bytes
    fix = "" if ok else "Start `ecomind up`, which loads it, or raise ECOMIND_SPOOL_MAX_BYTES."
    yield Finding("spool", ok, f"{len(waiting)} files, {size:,} bytes wait", fix)
    quarantine = settings.data_dir / "quarantine"
    bad = [file for file in quarantine.rglob("*") if file.is_file()] if quarantine.is_dir() else []
    if bad:
        yield Finding(
            "quarantine",
            False,
            f"{len(bad)} files in {quarantine}",
            "Read the reasons beside them.",
        )


def kafka(settings: Settings) -> Iterator[Finding]:
    """Whether the topics that are configured are there, if no server of ours says so."""
    if not settings.kafka_brokers or running.find(settings.data_dir) is not None:
        return
    try:
        import_client()
        from ecomind_receiver.kafka.topics import described  # which needs the client

        for name, told in described(settings).items():
            fix = "" if told else "Create it; docs/kafka.md shows how."
            yield Finding(f"topic {name}", bool(told), told or "is not there", fix)
    except KafkaSettingError as error:
        fix = "Look at ECOMIND_KAFKA_BROKERS and ECOMIND_KAFKA_OPTIONS_FILE."
        yield Finding("kafka", False, str(error), fix)


def engine(settings: Settings) -> Iterator[Finding]:
    """Whether the column engine loads and computes, tried in a directory of its own."""
    owner = running.owner_of(settings.data_dir)
    if owner is not None:
        yield Finding("engine", True, f"in use by pid {owner}")
        return
    try:
        from ecomind_receiver.store import Store

        with tempfile.TemporaryDirectory(prefix="ecomind-doctor-") as scratch:
            own = {"data_dir": Path(scratch), "store_url": None}
            with closing(Store(settings.model_copy(update=own))) as opened:
                yield Finding("engine", True, opened.version())
    except Exception as error:
        yield Finding("engine", False, str(error), "Run: pip install --force-reinstall chdb")


def store(settings: Settings) -> Iterator[Finding]:
    """Whether the ClickHouse server that holds the telemetry, if one does, can be used."""
    url = settings.store
    if url is None:
        return
    from ecomind_receiver.clients import StoreError, client_of

    try:
        with closing(client_of(url)) as client:
            yield Finding("store", True, f"{url.where}, version {client.server_version}")
    except StoreError as error:
        yield Finding("store", False, str(error), "Follow the sentence, then look again.")


def backup(settings: Settings) -> Iterator[Finding]:
    """How old the last backup is. Where a server holds the telemetry, backups are its own."""
    if settings.store is not None:
        return
    last = read_last(settings.data_dir)
    if last is None:
        yield Finding("backup", True, "none was taken yet; take one with: ecomind backup DIRECTORY")
        return
    hours = (datetime.now(UTC) - last.as_of).total_seconds() / 3600
    age = f"{hours:.0f} hours" if hours < 48 else f"{hours / 24:.0f} days"
    detail = f"all until {last.as_of:%Y-%m-%d %H:%M} UTC, {age} ago, in {last.directory}"
    there = Path(last.directory).is_dir()
    yield Finding("backup", True, detail if there else f"{detail}, which is not there now")


def clock(settings: Settings) -> Iterator[Finding]:
    """Whether the clock can be right: spans outside the retention are refused by it."""
    now = datetime.now(UTC)
    detail, fix = f"{now:%Y-%m-%d %H:%M:%S} UTC", "Set the clock, for instance with NTP."
    lock = settings.data_dir / "lock"
    newest = datetime.fromtimestamp(lock.stat().st_mtime, UTC) if lock.exists() else _BUILT
    if now < _BUILT:
        yield Finding("clock", False, f"{detail} is before this version was made", fix)
    elif newest.timestamp() > time.time() + 60:
        yield Finding("clock", False, f"{detail} is before the last start, {newest:%Y-%m-%d}", fix)
    else:
        yield Finding("clock", True, detail)


CHECKS: tuple[Check, ...] = (
    versions,
    server,
    door_checks.keys,
    door_checks.own_key,
    door_checks.secrets,
    door_checks.tls,
    ports,
    directories,
    spool,
    kafka,
    engine,
    store,
    backup,
    clock,
)
REMOTE_CHECKS: tuple[Check, ...] = (versions, remote_server, door_checks.remote_key, clock)
"""Where the server is another machine's, nothing here says how it is but its own answers."""


def _bind_error(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            if is_foreign(error):
                return foreign(host)
            return f"can't be bound on {host}: {error.strerror}"
    return ""


def _existing(path: Path) -> Path:
    while not path.exists():
        path = path.parent
    return path

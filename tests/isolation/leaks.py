"""Where a canary could lie besides an answer: files, log lines, Redis, the control store."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from isolation.canaries import Canaries

from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.control.tables import metadata
from ecomind_receiver.notices import CHANNEL
from ecomind_receiver.telemetry import JsonFormatter
from ecomind_receiver.tenants import Reach

_CLIENTS = ("httpx", "httpcore", "hypothesis")
"""Loggers of the test's own side, which write down what a client asks."""


class LogLines(logging.Handler):
    """Every line that the server writes, as it would stand on its output."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self._lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.split(".")[0] not in _CLIENTS:
            self._lines.append((str(vars(record).get("org", "")), self.format(record)))

    def leaks(self, canaries: Canaries) -> list[str]:
        """What the lines since the last look hold of anybody but whom they name."""
        lines, self._lines = self._lines, []
        return [
            f"log line {line}: {leak}"
            for org_id, line in lines
            for leak in (
                *canaries.foreign(line, Reach(org_id) if org_id else None),
                *canaries.never_stored(line.encode()),
            )
        ]


@contextmanager
def log_lines() -> Iterator[LogLines]:
    """Collect what is logged, down to the finest level that can be set.

    Nobody else does meanwhile: pytest would keep every line of a long run.
    """
    lines, root = LogLines(), logging.getLogger()
    level, handlers = root.level, root.handlers
    root.setLevel(logging.DEBUG)
    root.handlers = [lines]
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.handlers = handlers


def in_files(folder: Path, canaries: Canaries) -> list[str]:
    """What lies in the files below a folder and may lie nowhere."""
    return [
        f"{path.relative_to(folder)}: {leak}"
        for path in sorted(folder.rglob("*"))
        for leak in canaries.never_stored(_bytes(path))
    ]


def in_control_store(store: ControlStore, canaries: Canaries) -> list[str]:
    """Likewise in the rows of the control store, whichever database it is."""
    with store.reading() as tx:
        return [
            f"{table.name}: {leak}"
            for table in metadata.sorted_tables
            for row in tx.execute(table.select())
            for leak in canaries.never_stored(repr(tuple(row)).encode())
        ]


def in_redis(url: str, canaries: Canaries) -> list[str]:
    """Keys of no organisation, and keys or values that hold what is not their organisation's."""
    leaks = []
    for key, value in redis_keys(url).items():
        org_id = key.removeprefix("ecomind:{").partition("}")[0]
        if not key.startswith(f"ecomind:{{{org_id}}}:"):
            leaks.append(f"the key {key} names no organisation")
        foreign = canaries.foreign(f"{key} {value}", Reach(org_id))
        leaks += [f"{key}: {leak}" for leak in foreign]
    with redis.Redis.from_url(url, decode_responses=True) as client:
        channels = set(client.pubsub_channels())
    return leaks + [f"the channel {name} is not known" for name in channels - {CHANNEL}]


def redis_keys(url: str) -> dict[str, str]:
    """What is stored in Redis."""
    with redis.Redis.from_url(url) as client:
        stored = {key: client.get(key) or b"" for key in client.scan_iter()}
    return {key.decode(): value.decode("latin-1") for key, value in stored.items()}


def _bytes(path: Path) -> bytes:
    """A file's content; none of a folder, or of a file that has gone meanwhile."""
    try:
        return path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return b""

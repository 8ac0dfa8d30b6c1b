"""What can't be loaded is kept, encrypted like the spool, with the reason beside it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ecomind_receiver import segment
from ecomind_receiver.durable import sync_data, sync_directory
from ecomind_receiver.kinds import Kind


def keep(directory: Path, spool_key: bytes, name: str, raw: bytes, reason: str) -> None:
    """Write `raw` as a one-chunk segment and `reason`, which holds no data, as JSON beside it.

    Idempotent: a replay that finds the same record at fault writes the same two files again.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    now_ns = time.time_ns()
    header, data_key = segment.new_header(0, now_ns, spool_key)
    chunk = b"".join(segment.seal_chunk(AESGCM(data_key), 0, 0, raw, 0, Kind(0)))
    _write(directory / f"{name}.seg", header + chunk)
    sync_directory(directory)
    note = {"reason": reason, "bytes": len(raw), "quarantined_at_ns": now_ns}
    _write(directory / f"{name}.json", json.dumps(note).encode())


def kept(directory: Path) -> int:
    """How many records are there; whoever has dealt with one deletes its two files."""
    try:
        return sum(name.endswith(".json") for name in os.listdir(directory))
    except FileNotFoundError:
        return 0


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        sync_data(file.fileno())

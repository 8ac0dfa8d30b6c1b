"""A real PostgreSQL for tests: the Debian package, in a temporary directory, gone afterwards.

`initdb` and `postgres` refuse to run as root, so root runs them as the user that the package made.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

USER, PASSWORD = "ecomind", "not-for-any-log"  # trusted whatever it says: to be looked for in logs
_FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=60")


def missing_postgres() -> str:
    """Why there is no PostgreSQL to start; empty if there is one."""
    if _programs() is None:
        return "PostgreSQL is not installed; on Debian: apt-get install postgresql"
    return ""


@contextmanager
def postgres_url() -> Iterator[str]:
    """A server on a free loopback port; the address is that of an empty database."""
    programs = _programs()
    assert programs is not None, missing_postgres()
    with tempfile.TemporaryDirectory(prefix="ecomind-pg-") as name:
        folder = Path(name)
        if os.getuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        _run(folder, programs / "initdb", "--auth=trust", f"--username={USER}", "--no-sync")
        port = _free_port()
        settings = (f"port={port}", "listen_addresses=127.0.0.1", f"unix_socket_directories={name}")
        options = " ".join(f"-c {setting}" for setting in (*settings, *_FAST))
        log = f"--log={folder / 'log'}"
        _run(folder, programs / "pg_ctl", "start", "--wait", log, f"--options={options}")
        try:
            yield f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            _run(folder, programs / "pg_ctl", "stop", "--wait", "--mode=immediate")


@contextmanager
def postgres_database(server_url: str, name: str, template: str = "template1") -> Iterator[str]:
    """A database of its own on a running server, dropped afterwards."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'.encode())
        try:
            yield f"{server_url.rpartition('/')[0]}/{name}"
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _programs() -> Path | None:
    """The folder of the newest installed version's programs."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    return newest.parent if newest else None


def _run(folder: Path, program: Path, *words: str) -> None:
    """Run one of PostgreSQL's programs on the data directory below `folder`."""
    done = subprocess.run(
        [program, *words, "-D", folder / "data"],
        user="postgres" if os.getuid() == 0 else None,
        group="postgres" if os.getuid() == 0 else None,
        extra_groups=[] if os.getuid() == 0 else None,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,  # the server keeps it open, so nothing may wait for its end
        stderr=subprocess.DEVNULL,
    )
    log = folder / "log"
    said = log.read_text("utf-8") if log.exists() else ""
    assert done.returncode == 0, f"{program.name} {words[0]} ended with {done.returncode}. {said}"


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port

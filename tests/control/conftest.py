"""One test body runs on both databases that can hold the control store."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection
from support.receiver import make_settings
from support.servers import missing_postgres, postgres_database, postgres_url
from typer.testing import CliRunner, Result

from ecomind_query.cli import app
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.orgs import create_org
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.snapshot import read_snapshot
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.secrets import Secrets

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
Run = Callable[..., Result]
PEPPERS = Peppers({1: bytes(range(32))})
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server that all tests share."""
    if reason := missing_postgres():
        pytest.skip(reason)
    with postgres_url() as url:
        yield url


@pytest.fixture(scope="session")
def migrated(postgres: str) -> Iterator[tuple[str, str]]:
    """The server, and the name of a database with the schema in it, to copy."""
    with postgres_database(postgres, "migrated") as url:
        store = ControlStore(url)
        store.migrate()
        store.close()
        yield postgres, "migrated"


@pytest.fixture(params=["sqlite", "postgres"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a store without a schema."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'control.db'}"
        return
    server = request.getfixturevalue("postgres")
    with postgres_database(server, f"test_{next(_numbers)}") as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a store with the schema and nothing in it."""
    with ExitStack() as stack:
        if request.param == "sqlite":
            address = f"sqlite:///{tmp_path / 'control.db'}"
            store = ControlStore(address)
            store.migrate()
            store.close()
        else:
            server, template = request.getfixturevalue("migrated")
            name = f"test_{next(_numbers)}"
            address = stack.enter_context(postgres_database(server, name, template))
        yield address


@pytest.fixture
def store(url: str) -> Iterator[ControlStore]:
    store = ControlStore(url)
    yield store
    store.close()


@pytest.fixture
def orgs(store: ControlStore) -> ControlStore:
    """The store with two organisations that have a project of the same id each."""
    with store.begin() as tx:
        for org_id in ("org_a", "org_b"):
            create_org(tx, org_id)
            Own(tx, org_id).create_project("default")
    return store


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keys_of(tx: Connection, clock: Clock, org_id: str = "org_a") -> OrgKeys:
    return OrgKeys(tx, org_id, PEPPERS, clock)


@pytest.fixture
def run(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """`ecomind` on a store of one of both databases; what must not be secret is on any output."""
    secrets = Secrets(make_settings(tmp_path))
    monkeypatch.setenv("ECOMIND_CONTROL_URL", url)
    monkeypatch.setenv("ECOMIND_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("ECOMIND_KEY_DIR", str(tmp_path / "keys"))
    for name in ("spool", "pseudonym"):
        text = (tmp_path / "keys" / f"{name}.key").read_text()
        monkeypatch.setenv(f"ECOMIND_{name.upper()}_KEY", text)
    monkeypatch.setenv("ECOMIND_KEY_PEPPER", f"1:{secrets.peppers[1].hex()}")
    monkeypatch.setenv("COLUMNS", "250")

    def run(*words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(app, words)
        assert result.exit_code == code, result.output
        assert secrets.peppers[1].hex() not in result.output
        assert "not-for-any-log" not in result.output
        return result

    return run


def answer(run: Run, *words: str) -> Any:
    return json.loads(run(*words, "--json").stdout)


def live(url: str) -> set[str]:
    store = ControlStore(url)
    try:
        return set(read_snapshot(store, datetime.now(UTC), 10).keys)
    finally:
        store.close()

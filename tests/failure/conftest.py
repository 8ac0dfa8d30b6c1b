"""One real server per module for hostile input; for trials, a store to start from and the table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from failure import power
from failure.trials import Note
from support.receiver import make_settings

from ecomind_query.bench.process import Server
from ecomind_query.conformance.target import Target
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.store import Store

SCHEMA = "schema.json"


def schema_of(store: Store) -> dict[str, str]:
    """Every table and view of a store, with the statement that makes it."""
    rows = store.query(
        "SELECT name, create_table_query AS made FROM system.tables"
        " WHERE database = currentDatabase()"
    )
    return {row["name"]: row["made"] for row in rows}


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A running server whose segments are sealed at once."""
    running = Server(
        tmp_path_factory.mktemp("server"),
        {"ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.05", "ECOMIND_NAMES_PER_DAY_MAX": "100000"},
    )
    running.start()
    try:
        yield Target.of(running)
    finally:
        running.stop()


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Writes down what a trial showed, and fails if it should not have."""
    return Note(request.node)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and keys of an Ecomind that was started once: migrating takes a second."""
    folder = tmp_path_factory.mktemp("migrated")
    settings = make_settings(folder)
    Secrets(settings)
    with pytest.MonkeyPatch.context() as patch:
        statements, command = 0, Store.command

        def counted(store: Store, sql: str, params: Mapping[str, object] | None = None) -> None:
            nonlocal statements
            statements += 1
            command(store, sql, params)

        patch.setattr(Store, "command", counted)
        store = Store(settings)
    begun = {"statements": statements, "tables": schema_of(store)}
    (folder / SCHEMA).write_text(json.dumps(begun))
    store.close()
    return folder


@pytest.fixture
def begun(migrated: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(migrated, tmp_path / "begun", symlinks=True))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is preloaded to know what was synced."""
    if power.missing():
        pytest.skip(power.missing())
    return power.build(tmp_path_factory.mktemp("library"))

"""Opening, migrating and running transactions, on both databases."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from control.conftest import NOW

from ecomind_receiver.control import changes
from ecomind_receiver.control.errors import Conflict, ControlError
from ecomind_receiver.control.orgs import create_org, exists
from ecomind_receiver.control.store import ControlStore
from ecomind_receiver.control.tables import metadata, orgs


def checks(connection: sa.Connection) -> dict[str, set[tuple[str | None, str]]]:
    inspector = sa.inspect(connection)
    return {
        table: {(c["name"], c["sqltext"]) for c in inspector.get_check_constraints(table)}
        for table in metadata.tables
    }


def test_the_migrations_lead_to_the_tables_that_the_code_uses(store: ControlStore) -> None:
    with store.begin() as tx:
        context = MigrationContext.configure(tx, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        migrated = checks(tx)
        for table in reversed(metadata.sorted_tables):
            tx.execute(sa.text(f'DROP TABLE "{table.name}"'))
        metadata.create_all(tx)
        assert checks(tx) == migrated
    assert sum(map(len, migrated.values())) == 11


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    code = (
        "import sys; from ecomind_receiver.control.store import ControlStore;"
        "store = ControlStore(sys.argv[1]); store.migrate(); print(store.changes()); store.close()"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, empty_url], stdout=-1, stderr=-1, text=True)
        for _ in range(3)
    ]
    ended = [process.communicate(timeout=60) for process in started]
    assert ended == [("0\n", "")] * 3


def test_threads_that_start_together_migrate_once(empty_url: str) -> None:
    def start() -> int:
        store = ControlStore(empty_url)
        try:
            store.migrate()
            return store.changes()
        finally:
            store.close()

    with ThreadPoolExecutor(4) as pool:
        assert [f.result() for f in [pool.submit(start) for _ in range(4)]] == [0] * 4


def test_migrating_again_keeps_everything(orgs: ControlStore) -> None:
    orgs.migrate()
    with orgs.reading() as tx:
        assert exists(tx, "org_a") and exists(tx, "org_b")


def test_a_store_of_a_newer_version_is_refused(store: ControlStore) -> None:
    with store.begin() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ControlError, match=r"written by a newer Ecomind\. Update this one"):
        store.migrate()


def test_an_exception_takes_everything_back(store: ControlStore) -> None:
    with pytest.raises(RuntimeError), store.begin() as tx:
        create_org(tx, "org_a")
        changes.bump(tx)
        raise RuntimeError
    with store.reading() as tx:
        assert not exists(tx, "org_a")
    assert store.changes() == 0


def test_a_read_sees_one_moment_and_waits_for_no_writer(store: ControlStore) -> None:
    with store.reading() as reader:
        assert changes.number(reader) == 0
        with store.begin() as writer:
            changes.bump(writer)
            assert store.changes() == 0  # another reader, while the writer is at work
        assert changes.number(reader) == 0
    assert store.changes() == 1


def test_no_update_is_lost(store: ControlStore) -> None:
    """Eight threads read a number, add one and write it back: every one of them counts."""
    together = threading.Barrier(8)

    def add() -> None:
        together.wait(30)
        for _ in range(5):
            with store.begin() as tx:
                changes.lock(tx)
                number = changes.number(tx)
                tx.execute(sa.text("UPDATE changes SET number = :n"), {"n": number + 1})

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(add) for _ in range(8)]:
            future.result()
    assert store.changes() == 40


def test_what_the_database_alone_refuses_is_a_conflict(store: ControlStore) -> None:
    row = {"id": "org_a", "name": "A", "created_at": NOW}
    with pytest.raises(Conflict, match="The control store refuses the change"), store.begin() as tx:
        tx.execute(sa.insert(orgs).values([row, row]))


def test_moments_come_back_in_utc_and_need_a_zone(store: ControlStore) -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5, minutes=30)))
    with store.begin() as tx:
        tx.execute(sa.insert(orgs).values(id="org_a", name="A", created_at=local))
        (got,) = tx.execute(sa.select(orgs.c.created_at)).scalars()
        assert (got, got.utcoffset()) == (NOW, timedelta(0))
        with pytest.raises(sa.exc.StatementError, match="needs a time zone"):
            tx.execute(sa.select(orgs).where(orgs.c.created_at == NOW.replace(tzinfo=None)))


def test_the_file_is_its_owners_alone_and_survives_a_power_cut(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "control.db"
    path.parent.mkdir()
    path.touch(0o644)
    store = ControlStore(f"sqlite:///{path}")
    store.migrate()
    with store.begin() as tx:
        pragmas = {
            name: tx.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    store.close()
    # 2: FULL, https://www.sqlite.org/pragma.html#pragma_synchronous
    assert pragmas == {
        "journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000,
    }  # fmt: skip
    assert modes == dict.fromkeys(("control.db", "control.db-wal", "control.db-shm"), 0o600)


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_a_server_that_was_restarted_is_found_again(store: ControlStore) -> None:
    """Connections that the server ended are left behind in the pool."""
    with store.begin() as tx:
        other = store._engine.connect()
        other.execute(sa.text("SELECT 1"))
        pid = other.connection.dbapi_connection.info.backend_pid  # type: ignore[union-attr]
        other.close()
        tx.execute(sa.text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    assert [store.changes() for _ in range(3)] == [0, 0, 0]

"""What keeps a server from being used is a sentence at the start that names the fix."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from support.clickhouse_server import ClickHouseServer, clickhouse_server
from support.receiver import make_settings

from ecomind_receiver import migrations
from ecomind_receiver.store import Store, StoreError


def refusal(directory: Path, url: str) -> str:
    with pytest.raises(StoreError) as refused:
        Store(make_settings(directory, store_url=url))
    return str(refused.value)


def test_a_wrong_password_another_database_and_nobody_there(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    where = f"clickhouse://127.0.0.1:{server.port}"
    wrong = refusal(tmp_path, server.url.replace("w%40rd", "secret"))
    assert wrong == (
        f"The ClickHouse server at {where}/ecomind refuses the user name or password."
        " Correct them in ECOMIND_STORE_URL."
    )
    other = refusal(tmp_path, server.url.replace("/ecomind", "/elsewhere"))
    assert other == (
        f"The ClickHouse server at {where}/elsewhere has no such database. Make it with CREATE"
        " DATABASE, or name another in ECOMIND_STORE_URL."
    )
    server.kill()
    away = refusal(tmp_path, server.url)
    assert away == (
        f"The ClickHouse server at {where}/ecomind can't be reached: Connection refused. Start"
        " it, or correct ECOMIND_STORE_URL."
    )


@pytest.mark.parametrize(("version", "is_enough"), [("24.7.9.1", False), ("24.8.1.2684", True)])
def test_the_oldest_version_that_can_be_used(tmp_path: Path, version: str, is_enough: bool) -> None:
    with clickhouse_server(version) as server:
        if is_enough:
            with closing(Store(make_settings(tmp_path, store_url=server.url))) as store:
                assert store.version() == version
            return
        assert refusal(tmp_path, server.url) == (
            f"The ClickHouse server at clickhouse://127.0.0.1:{server.port}/ecomind is version"
            f" {version}, and Ecomind needs 24.8 or newer: older ones can't tell a block that was"
            " stored already in a rollup. Upgrade the server."
        )


def test_a_data_directory_has_one_process_with_a_server_too(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    """Its spool is its own."""
    settings = make_settings(tmp_path, store_url=server.url)
    with closing(Store(settings)), pytest.raises(StoreError, match="already uses"):
        Store(settings)


def test_a_migration_that_was_changed_or_is_unknown_is_refused(
    server: ClickHouseServer, tmp_path: Path
) -> None:
    settings = make_settings(tmp_path, store_url=server.url)
    with closing(Store(settings)) as store:
        store.command("INSERT INTO schema_migrations VALUES (900, '900_later.sql', '', now())")
    assert "holds migration 900 (900_later.sql)" in refusal(tmp_path, server.url)
    with clickhouse_server() as another:
        with closing(Store(make_settings(tmp_path, store_url=another.url))) as store:
            store.command("ALTER TABLE schema_migrations UPDATE sha256 = 'x' WHERE number = 1"
                          " SETTINGS mutations_sync = 1")  # fmt: skip
        assert "001_calls.sql was changed" in refusal(tmp_path, another.url)


def test_a_lock_that_nobody_gives_back_is_named(
    server: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tmp_path, store_url=server.url)
    with closing(Store(settings)) as store:
        store.command("DROP VIEW calls_footprint")
        store.command(
            "CREATE TABLE schema_lock (one UInt8) ENGINE = Memory COMMENT 'a host, pid 7'"
        )
    monkeypatch.setattr(migrations, "LOCK_SECONDS", 0)
    assert "(a host, pid 7). If it is gone, drop the table schema_lock" in refusal(
        tmp_path, server.url
    )

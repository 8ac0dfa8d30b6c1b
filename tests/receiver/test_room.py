"""A full disk does not cost the store: no table is changed on it, and it opens again."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecomind_receiver import room
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store, StoreError, render


def test_statements_that_define_are_told_from_others() -> None:
    tables = dict.fromkeys(("staging", "changed", "losers", "keys", "caps"), "t")
    staging = render("staging.sql", coefficient_numbers=(), nullable_numbers=(), **tables)
    assert room.defines(staging.split(";")[0])
    assert room.defines("\n-- why\nalter table calls MODIFY TTL x")
    assert not room.defines("INSERT INTO calls SELECT 'CREATE'")
    assert not room.defines("DROP TABLE IF EXISTS staging_0")


def test_no_table_is_changed_without_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(settings)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(room, "MIN_FREE_BYTES", 1 << 60)
            for sql in (
                "CREATE TABLE t (a UInt8) ENGINE = Memory",
                "ALTER TABLE calls ADD COLUMN b UInt8",
            ):
                with pytest.raises(StoreError, match="Free space, or set ECOMIND_DATA_DIR"):
                    store.command(sql)
            store.command("OPTIMIZE TABLE calls")
        store.command("CREATE TABLE t (a UInt8) ENGINE = Memory")
    finally:
        store.close()


def test_an_empty_definition_of_a_scratch_table_is_removed(settings: Settings) -> None:
    """As a full disk leaves it; the engine alone would not open the store again."""
    store = Store(settings)
    store.command("CREATE TABLE caps_1 (a UInt8) ENGINE = Memory")
    store.close()
    (definition,) = Path(store.path, "store").glob("*/*/caps_1.sql")
    definition.write_bytes(b"")
    store = Store(settings)
    try:
        found = store.query("SELECT name FROM system.tables WHERE name IN ('caps_1', 'calls')")
        assert [row["name"] for row in found] == ["calls"]
        store.command("CREATE TABLE caps_1 (a UInt8) ENGINE = Memory")
    finally:
        store.close()

"""A store from before a migration, opened by this version."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from query.rows import Seed
from support.receiver import make_settings

from ecomind_query.reader import Reader
from ecomind_receiver.closing import Closer, digest
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Reach

OLD_COLUMNS = [
    "received_at", "segment_id", "org_id", "trace_id", "span_id", "service", "scope", "model",
    "outcome", "reason",
]  # fmt: skip


def test_older_spans_are_the_organisations_and_no_projects(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    store = Store(settings)
    store.command("ALTER TABLE recent_spans DROP COLUMN project_id")
    store.command("ALTER TABLE schema_migrations DELETE WHERE number = 3 SETTINGS mutations_sync=1")
    row = [datetime.now(UTC), 1, "org_a", b"1" * 16, b"1" * 8, "shop", "", "m", "stored", ""]
    store.insert("recent_spans", OLD_COLUMNS, [row])
    store.close()

    store = Store(settings)
    try:
        reader = Reader(store, retention_days=90)
        assert [span.service for span in reader.received(Reach("org_a"), 5).spans] == ["shop"]
        assert reader.received(Reach("org_a", "default"), 5).spans == []
        assert reader.received(Reach("org_b"), 5).spans == []
    finally:
        store.close()


ROOT_BEFORE = "765f9fa5fa6eaff8d0a136115e86260f71548e764123a5ffb5149dbf5f2e1922"
"""Of the same day, as the version before closed it."""


def test_a_day_that_was_closed_before_spend_keeps_its_digest(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, retention_days=3650)
    store = Store(settings)
    Seed(store, "org_a").call()
    store.insert("reconciled", ["window_end", "corrections"], [[datetime.now(UTC), 0]])
    closer = Closer(store)
    closer.close_days(datetime(2026, 11, 21, tzinfo=UTC))
    closer.stop()
    (close,) = store.query("SELECT rows, calls, root FROM day_closes")
    assert tuple(close.values()) == (1, 1, ROOT_BEFORE)
    store.command("ALTER TABLE closed_usage DROP COLUMN spend_microusd")
    store.command("ALTER TABLE schema_migrations DELETE WHERE number = 7 SETTINGS mutations_sync=1")
    store.close()

    store = Store(settings)
    try:
        assert digest(store, "org_a", date(2026, 11, 18)) == tuple(close.values())
    finally:
        store.close()

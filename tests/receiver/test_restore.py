"""A backup brought back is what was backed up, and what is not whole is refused by name."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from query.rows import Seed
from support.backups import opened, quiet
from support.receiver import make_settings

from ecomind_processor.factors import FactorSet
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.backup import manifest, restoring
from ecomind_receiver.backup.manifest import BackupError
from ecomind_receiver.catalogue import Catalogue
from ecomind_receiver.closing import Closer
from ecomind_receiver.control import orgs
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.restating import Request, Restater
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import Scope

DAY = date(2026, 11, 18)
DUE = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return make_settings(tmp_path_factory.mktemp("backup"), retention_days=3650)


@pytest.fixture(scope="module")
def taken(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of calls, corrections, a closed day, its restatement, a key, copied folders."""
    with opened(settings) as use:
        seed = Seed(use.store, "org_a")
        seed.calls([{"team": "search"}, {"team": "ads", "user_hash": 2**64 - 1}])
        seed.cancel(seed.call())
        Seed(use.store, "org_b").call(output_tokens=7)
        replay(use.store)
        use.store.insert("reconciled", ["window_end", "corrections"], [[DUE, 1]])
        closer = Closer(use.store)
        closer.stop()
        fresh = Closer(use.store)
        assert fresh.close_days(DUE) == 1
        fresh.stop()
        restate(use.store)
        make_control(settings)
        for name in manifest.COPIED:
            (settings.data_dir / name).mkdir(mode=0o700)
            (settings.data_dir / name / "kept").write_text(name)
        directory = tmp_path_factory.mktemp("backups") / "of today"
        use.backups.make(directory, quiet)
    return directory


def replay(store: Store) -> None:
    """Store a block as the loader does, under a token that is always the same."""
    store.command(
        "INSERT INTO calls (org_id, start_time, counted, sign, input_tokens)"
        " SETTINGS insert_deduplication_token = 'a segment',"
        " deduplicate_blocks_in_dependent_materialized_views = 1, insert_deduplicate = 1,"
        " async_insert = 0, max_insert_threads = 1, max_threads = 1"
        f" SELECT 'org_b', toDateTime64('{DAY} 09:00:00', 6, 'UTC'), 1, 1, 50"
    )


def restate(store: Store) -> None:
    older = FactorSet.load("ecomind-2026.1")
    restater = Restater(store, Catalogue(store, older, 1000))
    asked = Request("org_a", DAY, date(2026, 11, 19), older, older.method)
    restater.keep(restater.plan(asked), "a test", "alice", "{}")


def make_control(settings: Settings) -> None:
    control = ControlStore(default_url(settings))
    control.migrate()
    with control.begin() as tx:
        orgs.create_org(tx, "org_a", "Search")
        Own(tx, "org_a").create_project("web", "Web")
        peppers = Peppers(Secrets(settings).peppers)
        OrgKeys(tx, "org_a", peppers).create("a key", "web", frozenset({Scope.INGEST}))
    control.close()


def everything(store: Store) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    tables = store.query(
        "SELECT name FROM system.tables WHERE database = 'default' AND engine LIKE '%MergeTree'"
    )
    found = {}
    for name in (row["name"] for row in tables):
        merged = "FINAL" if name == "usage_hourly" else ""
        found[name] = store.query(f"SELECT toString(tuple(*)) AS row FROM {name} {merged}")
    return {name: sorted(row["row"] for row in rows) for name, rows in found.items()}


def elsewhere(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"data_dir": tmp_path / "restored"})


def copy(taken: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(taken, tmp_path / "copy"))


def test_what_is_restored_is_what_was_there(
    settings: Settings, taken: Path, tmp_path: Path
) -> None:
    other = elsewhere(settings, tmp_path)
    steps: list[str] = []
    found = restoring.restore(taken, other, lambda progress: steps.append(progress.step))
    assert (found.closed_days, found.control) == (2, True)
    assert found.tables == len(found.manifest.tables) >= 12
    assert list(dict.fromkeys(steps)) == [
        "checking", "restoring", "comparing", "working out closed days", "syncing",
    ]  # fmt: skip
    with opened(settings) as use:
        wanted = everything(use.store)
    with opened(other) as use:
        assert everything(use.store) == wanted
        rows = use.store.query("SELECT count() AS n FROM calls_footprint WHERE counted")
        assert rows[0]["n"] == 6
    assert {len(wanted[name]) for name in ("day_closes", "restatements")} == {1, 2}
    for name in manifest.COPIED:
        assert (other.data_dir / name / "kept").read_text() == name
    control = ControlStore(default_url(other))
    with control.reading() as tx:
        assert [
            key.name for key in OrgKeys(tx, "org_a", Peppers(Secrets(settings).peppers)).list()
        ] == ["a key"]
    control.close()


def test_everything_is_its_users_alone(settings: Settings, taken: Path, tmp_path: Path) -> None:
    other = elsewhere(settings, tmp_path)
    restoring.restore(taken, other, quiet)
    for root in (taken, other.data_dir):
        for path in (root, *root.rglob("*")):
            if not path.is_symlink():
                assert path.stat().st_mode & 0o077 == 0, path


def test_a_replay_after_a_restore_is_not_stored_twice(
    settings: Settings, taken: Path, tmp_path: Path
) -> None:
    other = elsewhere(settings, tmp_path)
    restoring.restore(taken, other, quiet)
    with opened(other) as use:
        wanted = everything(use.store)
        replay(use.store)
        assert everything(use.store) == wanted
        Seed(use.store, "org_c").call()
        assert everything(use.store) != wanted


def test_an_attempt_leaves_nothing_behind(settings: Settings, taken: Path, tmp_path: Path) -> None:
    other = elsewhere(settings, tmp_path)
    found = restoring.verify(taken, other, quiet)
    assert found.rows > 10 and not other.data_dir.exists()


def test_neither_spool_nor_keys_are_in_it(settings: Settings, taken: Path) -> None:
    described = manifest.read(taken)
    assert described.not_included.keys() == {"keys", "spool"}
    tops = {name.split("/")[0] for name in described.files}
    assert tops == {"store", "tokens", "control.db", "grids", "quarantine"}
    secrets = [path.read_bytes().strip() for path in settings.key_dir.rglob("*") if path.is_file()]
    assert secrets
    for path in taken.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in secrets), path


def alter(change: str) -> Callable[[Path], str]:
    """Damages a copy of a backup: which file."""

    def damage(folder: Path) -> str:
        described = manifest.read(folder)
        names = [name for name in described.files if name.endswith(("data.bin", "org_id.bin"))]
        path = folder / names[0]
        if change == "a bit":
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        elif change == "gone":
            path.unlink()
        else:
            path = folder / change
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        return str(path)

    return damage


@pytest.mark.parametrize("change", ["a bit", "gone", "control.db", "grids/kept"])
def test_a_damaged_file_is_refused_and_named(
    change: str, settings: Settings, taken: Path, tmp_path: Path
) -> None:
    folder, other = copy(taken, tmp_path), elsewhere(settings, tmp_path)
    path = alter(change)(folder)
    with pytest.raises(BackupError) as refused:
        restoring.restore(folder, other, quiet)
    assert str(refused.value).startswith(path) and "nothing was restored" in str(refused.value)
    assert not other.data_dir.exists()


def described(folder: Path, **given: Any) -> None:
    """The manifest with other values."""
    path = folder / manifest.NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | given))


NEWER = {"number": 999, "name": "999_later.sql", "sha256": ""}
FORGED = {"org_id": "org_a", "day": "2026-11-18", "generation": 1, "rows": 1, "calls": 1}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"format": 2, "ecomind": "9.0"}, "was written by a newer Ecomind (9.0)"),
        ({"schema_migrations": [NEWER]}, "holds migration 999_later.sql, which this version does"),
        ({"tables": {"calls": {"rows": 99}}}, "The table calls is not what was backed up"),
        ({"tables": {"none": {"rows": 1}}}, "The restore failed: IndexError"),
        ({"closes": [FORGED | {"root": "0" * 64}]}, "closed days are not those"),
        ({"files": "none"}, "is damaged"),
    ],
)
def test_what_does_not_fit_its_manifest_is_refused(
    given: dict[str, Any], says: str, settings: Settings, taken: Path, tmp_path: Path
) -> None:
    folder, other = copy(taken, tmp_path), elsewhere(settings, tmp_path)
    described(folder, **given)
    with pytest.raises(BackupError, match=says.replace("(", r"\(").replace(")", r"\)")):
        restoring.restore(folder, other, quiet)
    assert not other.data_dir.exists() or not any(other.data_dir.iterdir())


def test_a_directory_without_a_manifest_is_no_backup(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="is no backup"):
        restoring.restore(tmp_path, elsewhere(settings, tmp_path), quiet)


def test_nothing_is_restored_over_anything(settings: Settings, taken: Path, tmp_path: Path) -> None:
    other = elsewhere(settings, tmp_path)
    other.data_dir.mkdir()
    (other.data_dir / "mine").touch()
    with pytest.raises(BackupError, match="is not empty, and a restore overwrites nothing"):
        restoring.restore(taken, other, quiet)
    assert [path.name for path in other.data_dir.iterdir()] == ["mine"]


def test_figures_that_were_changed_after_their_day_closed_are_noticed(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, retention_days=3650)
    with opened(settings) as use:
        Seed(use.store, "org_a").call()
        use.store.insert("reconciled", ["window_end", "corrections"], [[DUE, 0]])
        closer = Closer(use.store)
        closer.close_days(DUE)
        closer.stop()
        use.store.command(
            "ALTER TABLE closed_usage UPDATE output_tokens = 1 WHERE 1 SETTINGS mutations_sync = 2"
        )
        use.backups.make(tmp_path / "b", quiet)
    with pytest.raises(BackupError, match="The digest of 2026-11-18 of org_a is not the one"):
        restoring.verify(tmp_path / "b", settings, quiet)

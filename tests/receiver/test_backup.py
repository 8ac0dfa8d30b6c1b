"""A backup is taken while everything goes on, or not at all: then nothing is left behind."""

from __future__ import annotations

import asyncio
import errno
import shutil
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from query.rows import Seed
from support.backups import Open, opened, quiet
from support.otlp import CHAT, protobuf
from support.receiver import Running, load, make_settings
from support.spans import Span, span_request

from ecomind_receiver.backup import last, making, manifest, restoring
from ecomind_receiver.backup.clone import CLONE, Clone
from ecomind_receiver.backup.manifest import BackupError, Manifest, Progress
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.store import Store
from ecomind_receiver.tenants import LOCAL

DAY = date(2026, 11, 18)
DUE = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def use(tmp_path: Path) -> Iterator[Open]:
    with opened(make_settings(tmp_path, retention_days=3650)) as use:
        Seed(use.store, "org_a").call()
        yield use


def refusal(use: Open, directory: Path) -> str:
    """Why no backup can be taken there; nothing is left behind."""
    before = sorted(directory.parent.iterdir()) if directory.parent.is_dir() else []
    with pytest.raises(BackupError) as refused:
        use.backups.make(directory, quiet)
    after = sorted(directory.parent.iterdir()) if directory.parent.is_dir() else []
    assert after == before
    assert use.store.query(f"SELECT count() AS n FROM system.databases WHERE name = '{CLONE}'") == [
        {"n": 0}
    ]
    return str(refused.value)


def test_a_directory_that_can_not_take_a_backup(use: Open, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert "is no directory" in refusal(use, tmp_path / "file")
    assert "is not empty" in refusal(use, tmp_path / "full")
    assert "is no directory" in refusal(use, tmp_path / "link")
    assert "can't be written" in refusal(use, tmp_path / "file" / "b")
    assert "lies inside the data directory" in refusal(use, use.store.path / "b")
    assert "beginning with /" in refusal(use, Path("b"))


def test_a_whole_disk_is_no_name_for_a_backup(
    use: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk").mkdir()
    monkeypatch.setattr(Path, "is_mount", lambda path: path.name == "disk")
    assert "is a whole disk" in refusal(use, tmp_path / "disk")


def test_a_disk_that_is_too_small(
    use: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert "0 MB are free on the disk" in refusal(use, tmp_path / "b")


def test_a_disk_that_fills_up(use: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_given: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Clone, "back_up", full)
    assert "can't be written: No space left on device" in refusal(use, tmp_path / "b")


def test_an_engine_that_can_not_write(
    use: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Clone.back_up
    monkeypatch.setattr(
        Clone, "back_up", lambda self, folder, observe: write(self, Path("/proc/no"), observe)
    )
    said = refusal(use, tmp_path / "b")
    assert "The engine can't write /proc/no" in said and "Stack trace" not in said


def test_an_engine_that_can_not_clone(
    use: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Clone, "make", lambda self, tokens: use.store.command("SELECT nothing"))
    assert (
        refusal(use, tmp_path / "b") == "The backup failed: engine error 47 (UNKNOWN_IDENTIFIER)."
    )


def test_the_last_backup_is_told_of(use: Open, tmp_path: Path) -> None:
    """Also by a process that did not take it; one that failed is none."""
    data_dir = use.store.path.parent
    assert use.backups.last is None
    made = use.backups.make(tmp_path / "first", quiet)
    assert use.backups.last == (made.as_of, str(tmp_path / "first"))
    with pytest.raises(BackupError):
        use.backups.make(tmp_path / "first", quiet)
    assert last.read(data_dir) == (made.as_of, str(tmp_path / "first"))
    (data_dir / "last_backup.json").write_text("{")
    assert last.read(data_dir) is None


def test_an_empty_directory_is_as_good_as_none(use: Open, tmp_path: Path) -> None:
    (tmp_path / "it's \\ mine").mkdir()
    use.backups.make(tmp_path / "it's \\ mine", quiet)
    assert (tmp_path / "it's \\ mine" / manifest.NAME).exists()
    assert {path.name for path in tmp_path.iterdir()} == {"data", "it's \\ mine"}


def test_one_backup_at_a_time(use: Open, tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def wait(_progress: Progress) -> None:
        begun.set()
        go_on.wait(10)

    first = threading.Thread(target=use.backups.make, args=(tmp_path / "a", wait))
    first.start()
    begun.wait(10)
    assert "being taken already" in refusal(use, tmp_path / "b")
    go_on.set()
    first.join()
    assert (tmp_path / "a" / manifest.NAME).exists()


def test_a_store_in_postgresql_is_left_to_its_own_tool(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, control_url="postgresql://somebody@127.0.0.1:1/none")
    with opened(settings) as use:
        made = use.backups.make(tmp_path / "b", quiet)
    assert "pg_dump" in made.not_included["control"]
    assert not restoring.verify(tmp_path / "b", settings, quiet).control


def test_a_stopping_server_gives_up(running: Running, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running() as receiver:
            await load(receiver, protobuf([CHAT]))
            receiver.backups.stop()
            with pytest.raises(BackupError, match="The server stops"):
                receiver.backups.make(tmp_path / "b", quiet)

    asyncio.run(scenario())
    assert not (tmp_path / "b").exists()


def test_what_can_not_be_stored_stops_a_backup(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(making, "_DRAIN_SECONDS", 0.2)

    async def scenario() -> None:
        async with running() as receiver:
            with receiver.store.gate.shut(1):
                await receiver.accept(LOCAL, protobuf([CHAT]), PROTOBUF)
                with pytest.raises(BackupError, match="was not stored within 0 s"):
                    await asyncio.to_thread(receiver.backups.make, tmp_path / "b", quiet)

    asyncio.run(scenario())


def test_a_backup_while_spans_come_in(running: Running, tmp_path: Path) -> None:
    """All that was acknowledged before is in it, nothing that was not, and the rollup fits."""
    acked: list[tuple[int, float]] = []

    async def send(receiver: Receiver, stop: asyncio.Event) -> None:
        number = 0
        while not stop.is_set():
            number += 1
            body = span_request(Span(number)).SerializeToString()
            await receiver.accept(LOCAL, body, PROTOBUF)
            acked.append((number, time.time()))

    async def scenario() -> list[Manifest]:
        async with running(spool_segment_max_seconds=0.5) as receiver:
            stop = asyncio.Event()
            sending = [asyncio.create_task(send(receiver, stop))]
            made = []
            for name in ("a", "b"):
                await asyncio.sleep(0.5)
                make = receiver.backups.make
                made.append(await asyncio.to_thread(make, tmp_path / name, quiet))
            await asyncio.sleep(0.2)
            stop.set()
            await asyncio.gather(*sending)
            await receiver.drain()
            stored = receiver.store.query("SELECT count() AS n FROM calls")
            assert stored[0]["n"] == len(acked)
            return made

    made = asyncio.run(scenario())
    for name, each in zip(("a", "b"), made, strict=True):
        other = make_settings(tmp_path / f"restored {name}")
        restoring.restore(tmp_path / name, other, quiet)
        store = Store(other)
        ids = {row["id"] for row in store.query("SELECT span_id AS id FROM calls")}
        rollup = store.query("SELECT sum(calls) AS n, sum(input_tokens) AS i FROM usage_hourly")
        again = store.query("SELECT sum(sign) AS n, sum(sign * input_tokens) AS i FROM calls")
        outcomes = store.query("SELECT sum(spans) AS n FROM span_outcomes")[0]["n"]
        store.close()
        before = {number for number, at in acked if at < each.as_of.timestamp()}
        assert before and before <= ids <= {number for number, _ in acked}
        assert rollup == again and outcomes == len(ids) == rollup[0]["n"]


def test_a_spool_that_outlived_its_store_is_loaded_after_a_restore(
    running: Running, tmp_path: Path
) -> None:
    """Its segments are none of those that were stored before the backup."""
    other = make_settings(tmp_path).model_copy(update={"data_dir": tmp_path / "new"})

    async def lose() -> None:
        async with running() as receiver:
            await load(receiver, protobuf([CHAT]))
            await asyncio.to_thread(receiver.backups.make, tmp_path / "b", quiet)
            with receiver.store.gate.shut(10):
                body = span_request(Span(7)).SerializeToString()
                await receiver.accept(LOCAL, body, PROTOBUF)
                shutil.copytree(receiver.settings.data_dir / "spool", tmp_path / "spool")

    async def go_on() -> int:
        receiver = Receiver(other, listeners=False)
        await receiver.start()
        await receiver.drain()
        rows = receiver.store.query("SELECT count() AS n FROM calls")
        await receiver.stop()
        return int(rows[0]["n"])

    asyncio.run(lose())
    restoring.restore(tmp_path / "b", other, quiet)
    shutil.copytree(tmp_path / "spool", other.data_dir / "spool")
    assert asyncio.run(go_on()) == 2


def test_a_clone_of_a_killed_process_is_dropped(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, retention_days=3650)
    with opened(settings) as use:
        Seed(use.store, "org_a").call()
        Clone(use.store).make(tmp_path / "tokens")
    with opened(settings) as use:
        databases = use.store.query("SELECT name FROM system.databases")
    assert CLONE not in {row["name"] for row in databases}

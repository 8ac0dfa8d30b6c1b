"""The durable promise: what was acknowledged is read back whole; a torn tail is dropped."""

import asyncio
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecomind_receiver import segment
from ecomind_receiver.kinds import Kind
from ecomind_receiver.pending import SpoolFull
from ecomind_receiver.settings import Settings
from ecomind_receiver.spool import Spool, _OpenSegment, envelope, varint
from ecomind_receiver.tenants import Tenant

KEY = bytes(range(32))
ACME = Tenant("acme", "web")


def record(body: bytes) -> list[bytes]:
    return envelope(ACME, 1_700_000_000_000_000_000, (1, 2), body, Kind.TRACES)


def spooled(settings: Settings, bodies: list[bytes]) -> Path:
    """Append every body one by one and leave the segment as a crash would: not sealed by us."""

    async def append() -> None:
        spool = Spool(settings, KEY)
        for body in bodies:
            await spool.append("org_a", record(body), 1, Kind.TRACES)
        spool.close()

    asyncio.run(append())
    (path,) = (settings.data_dir / "spool").glob("*.seg")
    return path


def envelopes(path: Path) -> list[bytes]:
    return list(segment.split_envelopes(read(path)[0]))


def read(path: Path, key: bytes = KEY) -> tuple[list[bytes], segment.Contents]:
    chunks: list[bytes] = []
    contents = segment.read_segment(path, key, chunks.append)
    return chunks, contents


def test_what_was_acknowledged_is_read_back_in_order(settings: Settings) -> None:
    bodies = [b"first", b"", b"x" * 70_000]
    path = spooled(settings, bodies)
    assert envelopes(path) == [b"".join(record(body)) for body in bodies]


def test_no_plaintext_reaches_the_disk(settings: Settings) -> None:
    path = spooled(settings, [b"the canary sings" * 100])
    assert b"canary" not in path.read_bytes()
    assert b"acme" not in path.read_bytes()
    assert oct(path.stat().st_mode)[-3:] == "600"


def test_a_torn_tail_is_dropped_and_the_rest_kept(settings: Settings) -> None:
    path = spooled(settings, [b"one" * 50, b"two" * 50, b"three" * 50])
    whole = path.read_bytes()
    for cut in range(1, 60, 7):
        path.write_bytes(whole[:-cut])
        assert len(envelopes(path)) == 2
    path.write_bytes(whole[:-40] + bytes(4096))  # the last pages never reached the disk
    assert len(envelopes(path)) == 2


def test_a_chunk_that_the_disk_altered_is_kept_apart(settings: Settings) -> None:
    path = spooled(settings, [b"one" * 50, b"two" * 50, b"three" * 50])
    raw = bytearray(path.read_bytes())
    raw[segment.HEADER_BYTES + 20] ^= 1
    path.write_bytes(raw)
    chunks, contents = read(path)
    assert len(chunks) == 2
    assert len(contents.damaged) == 1


def test_another_key_opens_nothing(settings: Settings) -> None:
    path = spooled(settings, [b"one"])
    with pytest.raises(segment.SegmentError, match="ECOMIND_KEY_DIR"):
        read(path, bytes(32))


def test_a_shredded_segment_leaves_no_key(settings: Settings) -> None:
    path = spooled(settings, [b"one"])
    hardlink = path.with_suffix(".kept")
    os.link(path, hardlink)
    segment.shred(path)
    assert not path.exists()
    with pytest.raises(segment.SegmentError):
        read(hardlink)


def test_a_shredded_segment_that_comes_back_is_removed(settings: Settings) -> None:
    """A crash may undo the unlink and keep what was synced before it."""
    path = spooled(settings, [b"one"])
    kept = path.with_suffix(".kept")
    os.link(path, kept)
    segment.shred(path)
    os.rename(kept, path)
    spool = Spool(settings, KEY)
    spool.close()
    assert not path.exists()
    assert spool.sealed.get_nowait() is None


def test_a_damaged_tail_of_a_segment_whose_spans_are_known_is_kept(settings: Settings) -> None:
    path = spooled(settings, [b"one" * 50, b"two" * 50])
    raw = bytearray(path.read_bytes())
    raw[-30] ^= 1
    path.write_bytes(raw)
    chunks: list[bytes] = []
    assert segment.read_segment(path, KEY, chunks.append).damaged == []
    assert len(segment.read_segment(path, KEY, chunks.append, promised_spans=2).damaged) == 1


def test_above_the_high_water_mark_it_refuses(settings: Settings) -> None:
    async def fill() -> None:
        spool = Spool(settings.model_copy(update={"spool_max_bytes": 1000}), KEY)
        try:
            await spool.append("org_a", record(b"x" * 500), 1, Kind.TRACES)
            spool.seal()
            while spool.sealed.empty():
                await asyncio.sleep(0.001)
            with pytest.raises(SpoolFull, match="ECOMIND_SPOOL_MAX_BYTES"):
                await spool.append("org_a", record(b"x" * 500), 1, Kind.TRACES)
        finally:
            spool.close()

    asyncio.run(fill())


def test_what_is_being_written_counts_to_the_mark(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a disk takes its time, what it is given is neither pending nor in the segment yet."""
    writing, go_on = threading.Event(), threading.Event()

    async def fill() -> None:
        spool = Spool(settings.model_copy(update={"spool_max_bytes": 1000}), KEY)
        put = _OpenSegment._put

        def held_up(one: _OpenSegment, data: bytes) -> None:
            if len(data) > 500:
                writing.set()
                go_on.wait(30)
            put(one, data)

        monkeypatch.setattr(_OpenSegment, "_put", held_up)
        try:
            first = asyncio.create_task(spool.append("org_a", record(b"x" * 500), 1, Kind.TRACES))
            assert await asyncio.to_thread(writing.wait, 30)
            with pytest.raises(SpoolFull, match="ECOMIND_SPOOL_MAX_BYTES"):
                await spool.append("org_a", record(b"x" * 500), 1, Kind.TRACES)
            go_on.set()
            await first
        finally:
            go_on.set()
            spool.close()

    asyncio.run(fill())


def test_a_disk_that_refuses_ends_the_segment_and_the_next_write_recovers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def write() -> None:
        spool = Spool(settings, KEY)
        try:
            await spool.append("org_a", record(b"before"), 1, Kind.TRACES)
            with monkeypatch.context() as patched:
                patched.setattr(os, "fdatasync", _no_space)
                with pytest.raises(SpoolFull, match=r"^the disk under the spool refuses writes$"):
                    await spool.append("org_a", record(b"refused"), 1, Kind.TRACES)
                assert "No space left" in spool.error
            await spool.append("org_a", record(b"after"), 1, Kind.TRACES)
            assert spool.error == ""
        finally:
            spool.close()

    asyncio.run(write())
    kept = [e for p in sorted((settings.data_dir / "spool").glob("*.seg")) for e in envelopes(p)]
    assert b"".join(record(b"before")) in kept
    assert b"".join(record(b"after")) in kept


def test_a_disk_that_says_too_early_that_it_has_synced_is_not_believed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sync succeeds, but the file system refuses every change since: nothing is promised."""

    async def write() -> None:
        spool = Spool(settings, KEY)
        try:
            await spool.append("org_a", record(b"before"), 1, Kind.TRACES)
            monkeypatch.setattr(os, "utime", _no_space)
            with pytest.raises(SpoolFull, match=r"^the disk under the spool refuses writes$"):
                await spool.append("org_a", record(b"refused"), 1, Kind.TRACES)
        finally:
            spool.close()

    asyncio.run(write())
    (path,) = (settings.data_dir / "spool").glob("*.seg")
    assert envelopes(path) == [b"".join(record(b"before"))]


@given(st.integers(min_value=0, max_value=2**63))
def test_varint_is_protobufs(number: int) -> None:
    encoded = varint(number)
    assert segment.without_length(encoded) == b""
    value = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(encoded))
    assert value == number
    assert all(byte & 0x80 for byte in encoded[:-1])
    assert not encoded[-1] & 0x80


def _no_space(_: int) -> None:
    raise OSError(28, "No space left on device")

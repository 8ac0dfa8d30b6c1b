"""The durable promise: a request is on disk, encrypted and synced, before it is acknowledged.

One writer thread commits whatever is pending (group commit): join, encrypt, write, fdatasync, then
wake every waiter. A segment is sealed by spans, bytes or age and handed to the loader; it is never
appended to again, not even after a restart. A failed write ends its segment, because a chunk's
nonce may be used only once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ecomind_receiver import segment
from ecomind_receiver.batch import Batch
from ecomind_receiver.draining import Draining
from ecomind_receiver.durable import sync_data, sync_directory
from ecomind_receiver.kinds import Kind
from ecomind_receiver.pending import Pending, SpoolFull, resolve
from ecomind_receiver.sealed import Sealed
from ecomind_receiver.settings import Settings
from ecomind_receiver.shares import Shares
from ecomind_receiver.store import describe
from ecomind_receiver.tenants import Tenant

_PREALLOCATE_BYTES = 8 * 1024 * 1024
# Tags of Envelope in sql/segment.proto.
_ORG, _PROJECT, _RECEIVED, _KEY_LOW, _KEY_HIGH = b"\x0a", b"\x12", b"\x19", b"\x21", b"\x29"
_BODY = {
    Kind.TRACES: b"\x32",
    Kind.TRACES_JSON: b"\x3a",
    Kind.LOGS: b"\x42",
    Kind.LOGS_JSON: b"\x4a",
}


def envelope(
    tenant: Tenant, received_ns: int, pseudonym_key: tuple[int, int], body: bytes, kind: Kind
) -> list[bytes]:
    """One record: the request's own bytes behind a prefix, never re-encoded."""
    org, project = tenant.org_id.encode(), tenant.project_id.encode()
    prefix = b"".join((
        _ORG, varint(len(org)), org, _PROJECT, varint(len(project)), project,
        _RECEIVED, received_ns.to_bytes(8, "little"),
        _KEY_LOW, pseudonym_key[0].to_bytes(8, "little"),
        _KEY_HIGH, pseudonym_key[1].to_bytes(8, "little"),
        _BODY[kind], varint(len(body)),
    ))  # fmt: skip
    return [varint(len(prefix) + len(body)), prefix, body]


def varint(number: int) -> bytes:
    """Protobuf's variable-length encoding of a non-negative integer."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class Spool:
    """The spool directory, its one writer thread and the queue of sealed segments."""

    def __init__(self, settings: Settings, spool_key: bytes, *, shared: bool = False) -> None:
        """`shared`: several organisations use it, and none may fill it for the others."""
        self._shared = shared
        self.directory = settings.data_dir / "spool"
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.sealed: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        self.error = ""
        self.topics = None
        self.draining = Draining()
        self._waiting: dict[Path, Sealed] = {}  # sealed and not stored, oldest first
        self._sealed_bytes = self._pending_bytes = 0
        self._shares = Shares(settings.spool_max_bytes)
        self._settings = settings
        self._key = spool_key
        self._wake = threading.Condition()
        self._pending: list[Pending] = []
        self._seal_now = False
        self._committing = False
        self._closing = False
        self._open: _OpenSegment | None = None
        self._recover()
        self._thread = threading.Thread(target=self._run, name="spool-writer", daemon=True)
        self._thread.start()

    @property
    def size_bytes(self) -> int:
        """Bytes in segments that are not stored yet, the open one included."""
        opened = self._open
        return self._sealed_bytes + (opened.size if opened else 0)

    @property
    def max_bytes(self) -> int:
        """The high-water mark."""
        return self._settings.spool_max_bytes

    async def append(self, org_id: str, record: list[bytes], spans: int, kind: Kind) -> None:
        """Return once the record is durable. Raises SpoolFull when it can't be taken now."""
        request = Pending.of(org_id, record, spans, kind)
        size = request.size_bytes
        self.require_room(org_id, size)
        with self._wake:
            if self._closing:
                raise SpoolFull("the receiver is stopping", "stopping")
            self._shares.hold(org_id, size)
            self._pending_bytes += size
            self._pending.append(request)
            self._wake.notify()
        await request.done

    def require_room(self, org_id: str, size_bytes: int) -> None:
        """Raises SpoolFull if a record of this size would not be taken now."""
        held = self.size_bytes + self._pending_bytes
        over = held + size_bytes - self.max_bytes
        if over > 0:
            raise SpoolFull(
                "the spool is above its high-water mark (ECOMIND_SPOOL_MAX_BYTES)",
                "spool_full",
                self._until_room(over, lambda item: item.size_bytes),
            )
        if self._shared and not self._shares.admits(org_id, size_bytes, held):
            whole, own = self._shares.beyond(org_id, size_bytes, held)
            raise SpoolFull(
                "the spool is nearly full, and most of it is this organisation's",
                "spool_share",
                min(
                    self._until_room(whole, lambda item: item.size_bytes),
                    self._until_room(own, lambda item: item.held.get(org_id, 0)),
                ),
            )

    def _until_room(self, size_bytes: float, gives: Callable[[Sealed], int]) -> float:
        """Seconds until segments that give so many bytes are stored, the oldest first."""
        with self._wake:
            waiting = [*self._waiting.values()]
        given = loaded = 0
        for item in waiting:
            given += gives(item)
            loaded += item.size_bytes
            if given >= size_bytes:
                return self.draining.wait_seconds(loaded)
        rest = self._settings.spool_segment_max_seconds  # it is in what is not sealed yet
        return self.draining.wait_seconds(self.size_bytes) + rest

    @property
    def segments(self) -> int:
        """Sealed segments that are not stored yet."""
        return len(self._waiting)

    def seal(self) -> None:
        """Hand what has been written so far to the loader without waiting for its age."""
        with self._wake:
            self._seal_now = True
            self._wake.notify()

    @property
    def busy(self) -> bool:
        """Whether anything accepted is not stored yet."""
        with self._wake:
            return bool(self._pending or self._open or self._committing or self.segments)

    def oldest_ns(self) -> int:
        """When the oldest segment that is not stored yet was opened; now, if there is none."""
        names = sorted(path.name for path in self.directory.glob("*.seg"))
        return int(names[0].split("-")[0]) if names else time.time_ns()

    def lag_seconds(self) -> float:
        """Age in seconds of the oldest accepted record that is not stored yet; 0 if none waits."""
        return max(time.time_ns() - self.oldest_ns(), 0) / 1e9 if self.busy else 0.0

    def loaded(self, item: Batch) -> None:
        """The loader has stored and destroyed this segment, and counted it."""
        assert isinstance(item, Sealed)
        self._shares.release(item.held)
        with self._wake:
            self._sealed_bytes -= item.size_bytes
            del self._waiting[item.path]
            self.draining.loaded(item.size_bytes, bool(self._waiting))

    def postponed(self, item: Batch, seconds: float) -> None:
        """The loader could not store this segment, and tries again in so many seconds."""
        self.draining.postponed(seconds)

    def close(self) -> None:
        """Commit what is pending, seal, and stop the writer."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join()
        self.sealed.put(None)

    def _recover(self) -> None:
        """Every segment found at start is sealed: what it holds was acknowledged."""
        for leftover in (*self.directory.glob("*.plan"), *self.directory.glob("*.draft")):
            if not leftover.with_suffix(".seg").exists():
                leftover.unlink()
        for path in sorted(self.directory.glob("*.seg")):
            size = path.stat().st_size
            if size <= segment.HEADER_BYTES or segment.is_shredded(path):
                path.unlink()  # no chunk was ever synced, or all was stored
                continue
            self._hand_over(Sealed(path, 0, size, self._key))

    def _hand_over(self, item: Sealed) -> None:
        with self._wake:
            self._sealed_bytes += item.size_bytes
            self._waiting[item.path] = item
            self.draining.began()
        self.sealed.put(item)

    def _run(self) -> None:
        while True:
            batch, seal_now, closing = self._wait()
            if batch:
                self._commit(batch)
            if self._open and (seal_now or closing or self._open.due(self._settings)):
                self._seal()
            self._committing = False
            if closing and not batch:
                return

    def _wait(self) -> tuple[list[Pending], bool, bool]:
        with self._wake:
            if not self._pending and not self._seal_now and not self._closing:
                self._wake.wait(self._open.seconds_left(self._settings) if self._open else None)
            batch, self._pending = self._pending, []
            self._committing = bool(batch)
            seal_now, self._seal_now = self._seal_now, False
            return batch, seal_now, self._closing

    def _commit(self, batch: list[Pending]) -> None:
        refused = None
        try:
            if self._open and self._open.created_ns > time.time_ns():
                self._seal()  # the clock was set back: a segment's name is before all it holds
            if self._open is None:
                self._open = _OpenSegment(self.directory, self._key)
            self._open.write(batch)
            self.error = ""
        except Exception as error:  # whatever it is, the thread goes on and every waiter is told
            self.error = f"{self.directory} can't be written: {describe(error)}"
            self._seal()
            self._shares.release(_by_org(batch))
            # Where, and why, is for the operator: /ready and doctor say it.
            refused = SpoolFull("the disk under the spool refuses writes", "disk")
        with self._wake:  # only now, so that at no moment it is counted nowhere
            self._pending_bytes -= sum(pending.size_bytes for pending in batch)
        resolve(batch, refused)

    def _seal(self) -> None:
        current = self._open
        if current is None:
            return
        with contextlib.suppress(OSError):  # what is synced stays; the rest was never promised
            current.close()
        if current.chunks:
            self._hand_over(
                Sealed(current.path, current.spans, current.size, self._key, current.held)
            )
        else:
            with contextlib.suppress(OSError):
                current.path.unlink()
        self._open = None


class _OpenSegment:
    """The segment being written."""

    def __init__(self, directory: Path, spool_key: bytes) -> None:
        self.id = secrets.randbits(64)
        self.created_ns = time.time_ns()
        self.path = directory / f"{self.created_ns:020d}-{self.id:016x}.seg"
        header, data_key = segment.new_header(self.id, self.created_ns, spool_key)
        self._cipher = AESGCM(data_key)
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self.size = self._synced_size = 0
        self.chunks = 0
        self.spans = 0
        self.held: Counter[str] = Counter()
        self._reserved = 0
        self._opened = time.monotonic()
        try:
            self._put(header)
            sync_directory(directory)
        except BaseException:
            os.close(self._file)
            self.path.unlink(missing_ok=True)
            raise

    def write(self, batch: list[Pending]) -> None:
        """One chunk, durable on return. Raises OSError; the segment must then be given up."""
        plaintext = b"".join([part for pending in batch for part in pending.parts])
        spans = sum(pending.spans for pending in batch)
        kinds = Kind(functools.reduce(int.__or__, (pending.kind for pending in batch), 0))
        for part in segment.seal_chunk(self._cipher, self.id, self.chunks, plaintext, spans, kinds):
            self._put(part)
        sync_data(self._file)
        self._synced_size = self.size
        self.chunks += 1
        self.spans += spans
        self.held.update(_by_org(batch))

    def due(self, settings: Settings) -> bool:
        """Whether it is full or old enough to be sealed."""
        return (
            self.spans >= settings.spool_segment_max_spans
            or self.size >= settings.spool_segment_max_bytes
            or self.seconds_left(settings) <= 0
        )

    def seconds_left(self, settings: Settings) -> float:
        """Seconds until its age seals it."""
        return max(self._opened + settings.spool_segment_max_seconds - time.monotonic(), 0.0)

    def close(self) -> None:
        """Give back what is preallocated, and what was written but never synced; close."""
        try:
            os.ftruncate(self._file, self._synced_size)
        finally:
            os.close(self._file)

    def _put(self, data: bytes) -> None:
        if self.size + len(data) > self._reserved:
            reserve = max(_PREALLOCATE_BYTES, len(data))
            os.posix_fallocate(self._file, self.size, reserve)
            self._reserved = self.size + reserve
        view = memoryview(data)
        while view:
            written = os.pwrite(self._file, view, self.size)
            self.size += written
            view = view[written:]


def _by_org(batch: list[Pending]) -> Counter[str]:
    held: Counter[str] = Counter()
    for pending in batch:
        held[pending.org_id] += pending.size_bytes
    return held

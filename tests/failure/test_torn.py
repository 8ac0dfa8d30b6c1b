"""What a crash may leave of a segment: a torn tail, and one whose writes came in another order."""

from __future__ import annotations

import random
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from failure.ending import end_at
from failure.points import SPOOL
from failure.trials import Note, draw_of, judged, trials
from support.receiver import make_settings

from ecomind_receiver import segment
from ecomind_receiver.kinds import Kind
from ecomind_receiver.secrets import Secrets


@trials(20)
def test_a_torn_and_reordered_tail_is_dropped(begun: Path, note: Note, number: int) -> None:
    """Behind what was promised stand two chunks that were not: one has a hole, one may be torn."""
    row = "torn and reordered tail"
    draw = draw_of(row, number)
    nth = draw.randint(2, SPOOL["chunk written, not synced"].most)
    ended = end_at(begun, "spool", "chunk synced", nth, draw.randrange(1 << 32), {})
    open_one = max((begun / "data" / "spool").glob("*.seg"))
    _append_unpromised(open_one, Secrets(make_settings(begun)).spool, draw)
    note(row, ended.sent, judged(begun, ended.sent), ended.peak_mb)


def _append_unpromised(path: Path, spool_key: bytes, draw: random.Random) -> None:
    """Two chunks with copies of what the segment holds, so that nothing new could be stored."""
    raw = path.read_bytes()
    chunks: list[bytes] = []
    contents = segment.read_segment(path, spool_key, chunks.append)
    header = segment.read_header(raw, spool_key)
    tail = bytearray()
    for index in (len(chunks), len(chunks) + 1):
        sealed = segment.seal_chunk(
            AESGCM(header.data_key),
            header.segment_id,
            index,
            chunks[0],
            contents.spans,
            Kind.TRACES,
        )
        chunk = bytearray(b"".join(sealed))
        if index == len(chunks):
            first = draw.randrange(len(chunk))
            hole = slice(first, draw.randint(first + 1, len(chunk)))
            chunk[hole] = bytes(hole.stop - hole.start)
        elif draw.random() < 0.5:
            del chunk[draw.randrange(len(chunk)) :]
        tail += chunk
    end = _end_of(raw)
    path.write_bytes(raw[:end] + tail + raw[end + len(tail) :])


def _end_of(raw: bytes) -> int:
    """Where the last chunk ends: a length of zero follows, or nothing."""
    position = segment.HEADER_BYTES
    while length := int.from_bytes(raw[position : position + 4], "little"):
        position += 12 + length
    return position

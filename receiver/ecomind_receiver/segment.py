"""The file format of a spool segment: encrypted chunks that are written once and never changed.

    header   magic 8 | segment id 8 | created, ns 8 | nonce 12 | wrapped data key 32 + tag 16
    chunk    length of ciphertext 4 | spans 4 | kinds 4 | AES-256-GCM ciphertext + tag 16
    …        a length of zero ends the segment: the rest is preallocated space

All integers little-endian. A chunk is what one group commit wrote: envelopes, each behind its
length as a varint, so that the plaintext of a segment is `FORMAT Protobuf` input as it stands. The
tag of a
chunk covers its place in the segment, so a torn, moved or altered chunk can't pass; that is why an
envelope carries no checksum of its own. Each segment has its own data key, wrapped by the spool
key; zeroing the wrapped key makes the rest unreadable.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ecomind_receiver.kinds import ALL, Kind

MAGIC = b"ECOSPL02"
_FIXED = struct.Struct("<8sQQ")
_CHUNK = struct.Struct("<III")
_NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 12, 16, 32
_MAX_CHUNK_BYTES = 2**31  # a longer one is a torn length
_ALTERED = "the chunk fails its integrity check: the disk altered it after it was synced"
_WRAPPED_BYTES = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
HEADER_BYTES = _FIXED.size + _WRAPPED_BYTES


class SegmentError(Exception):
    """A segment file can't be opened: not ours, or wrapped by another key."""


class Header(NamedTuple):
    """What the start of a segment file says."""

    segment_id: int
    created_ns: int
    data_key: bytes


class Damaged(NamedTuple):
    """What was accepted and can't be read, and whose it is where that is certain."""

    raw: bytes
    reason: str
    org_id: str = ""
    project_id: str = ""
    spans: int = 0  # 0: not known


class Contents(NamedTuple):
    """What was found in a segment besides its plaintext."""

    segment_id: int
    spans: int  # and log records, as counted before the ack; those of what is damaged included
    kinds: Kind  # what its envelopes hold, all together
    damaged: list[Damaged]  # for instance chunks that were synced and fail their tag now


UNREAD = Contents(0, 0, Kind(0), [])


def new_header(segment_id: int, created_ns: int, spool_key: bytes) -> tuple[bytes, bytes]:
    """A fresh data key and the header that wraps it: (header, data key)."""
    fixed = _FIXED.pack(MAGIC, segment_id, created_ns)
    data_key, nonce = AESGCM.generate_key(256), os.urandom(_NONCE_BYTES)
    return fixed + nonce + AESGCM(spool_key).encrypt(nonce, data_key, fixed), data_key


def seal_chunk(
    cipher: AESGCM, segment_id: int, index: int, plaintext: bytes, spans: int, kinds: Kind
) -> tuple[bytes, bytes]:
    """One chunk as it is written: prefix, ciphertext; apart, to spare a copy of the latter."""
    prefix = _CHUNK.pack(len(plaintext) + _TAG_BYTES, spans, kinds)
    return prefix, cipher.encrypt(_nonce(index), plaintext, _bound(segment_id, index, prefix))


def read_header(raw: bytes, spool_key: bytes) -> Header:
    """Parse and unwrap a header. Raises SegmentError."""
    if len(raw) < HEADER_BYTES or raw[:8] != MAGIC:
        raise SegmentError("this is not a spool segment of this version")
    fixed, wrapped = raw[: _FIXED.size], raw[_FIXED.size : HEADER_BYTES]
    _, segment_id, created_ns = _FIXED.unpack(fixed)
    try:
        key = AESGCM(spool_key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], fixed)
    except InvalidTag:
        raise SegmentError(
            "its key can't be unwrapped: the spool key (ECOMIND_KEY_DIR) is not the one it was"
            " written with"
        ) from None
    return Header(segment_id, created_ns, key)


def read_segment(
    path: Path, spool_key: bytes, sink: Callable[[bytes], object], promised_spans: int = 0
) -> Contents:
    """Decrypt a segment chunk by chunk into `sink`, dropping a torn tail, which was never promised.

    `promised_spans` is how many were acknowledged, if that is known: with fewer, the tail is not
    torn but damaged. Raises SegmentError or OSError.
    """
    with open(path, "rb") as file:
        header = read_header(file.read(HEADER_BYTES), spool_key)
        cipher = AESGCM(header.data_key)
        damaged: list[Damaged] = []
        suspects: list[Damaged] = []
        spans, kinds = 0, Kind(0)
        for index, prefix, ciphertext in _walk(file):
            try:
                plaintext = cipher.decrypt(
                    _nonce(index), ciphertext, _bound(header.segment_id, index, prefix)
                )
            except InvalidTag:
                suspects.append(Damaged(ciphertext, _ALTERED))
                continue
            damaged += suspects  # a later chunk passes, so these were synced once: not a torn tail
            suspects.clear()
            sink(plaintext)
            _, chunk_spans, chunk_kinds = _CHUNK.unpack(prefix)
            spans += chunk_spans
            kinds |= Kind(chunk_kinds)
    if spans < promised_spans:
        damaged += suspects
    return Contents(header.segment_id, spans, kinds, damaged)


def read_kinds(path: Path) -> Kind:
    """What the chunks of a segment say that they hold, before any is decrypted. Raises OSError."""
    found = 0
    with open(path, "rb") as file:
        file.seek(HEADER_BYTES)
        while len(prefix := file.read(_CHUNK.size)) == _CHUNK.size:
            length, _, kinds = _CHUNK.unpack(prefix)
            if length < _TAG_BYTES or length > _MAX_CHUNK_BYTES:
                break
            found |= kinds
            file.seek(length, os.SEEK_CUR)
    return Kind(found & ALL)


def is_shredded(path: Path) -> bool:
    """Whether what is left is the file of a segment that was destroyed."""
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == bytes(len(MAGIC))


def shred(path: Path) -> None:
    """Destroy a segment: its header with the data key first, then the file.

    A file that comes back after a crash is told by its empty header.
    """
    with open(path, "r+b") as file:
        file.write(bytes(HEADER_BYTES))
        file.flush()
        os.fdatasync(file.fileno())
    path.unlink()


def split_envelopes(chunks: list[bytes]) -> Iterator[bytes]:
    """The envelopes of a segment one by one, in order, each with its length in front."""
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            size, body = _read_varint(chunk, start)
            yield chunk[start : body + size]
            start = body + size


def without_length(envelope: bytes) -> bytes:
    """An envelope as `split_envelopes` gives it, without its length."""
    return envelope[_read_varint(envelope, 0)[1] :]


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


def _walk(file: BinaryIO) -> Iterator[tuple[int, bytes, bytes]]:
    index = 0
    while len(prefix := file.read(_CHUNK.size)) == _CHUNK.size:
        length = _CHUNK.unpack(prefix)[0]
        if length < _TAG_BYTES or length > _MAX_CHUNK_BYTES:
            return
        ciphertext = file.read(length)
        if len(ciphertext) < length:
            return
        yield index, prefix, ciphertext
        index += 1


def _nonce(index: int) -> bytes:
    return index.to_bytes(_NONCE_BYTES, "little")


def _bound(segment_id: int, index: int, prefix: bytes) -> bytes:
    return segment_id.to_bytes(8, "little") + index.to_bytes(8, "little") + prefix

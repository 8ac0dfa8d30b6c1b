"""The value of a record in Ecomind's own topic: one request, compressed, then encrypted.

    magic 8 | size in clear 4 | nonce 12 | wrapped data key 32 + tag 16
    nonce 12 | AES-256-GCM ciphertext + tag 16

All integers little-endian. The plaintext is a zstd frame of the envelope just as the spool writes
it: what is encrypted no longer compresses, and before, a batch shrinks to a tenth for 0.3 µs a
span. Each record carries its wrapped data key, so that it can be read by any process that has the
spool key, in whatever order. The tag covers the head and the record's headers: whose it is can't be
changed by who may write to the topic.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterable
from typing import NamedTuple

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ecomind_receiver.kinds import Kind
from ecomind_receiver.tenants import Tenant

MAGIC = b"ECOREC01"
_FIXED = struct.Struct("<8sI")
_NONCE_BYTES, _TAG_BYTES, _KEY_BYTES = 12, 16, 32
_KEY_END = _FIXED.size + _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_HEAD_BYTES = _KEY_END + _NONCE_BYTES
_KEY_SECONDS, _KEY_RECORDS = 3600.0, 2**31
_OPENED_KEYS = 1000
_LEVEL = 1
ORG, PROJECT, SPANS, KINDS = "ecomind-org", "ecomind-project", "ecomind-spans", "ecomind-kinds"
"""Names of the headers; the last two hold decimal numbers."""

Headers = list[tuple[str, bytes]]


class RecordError(Exception):
    """A record can't be read; the message says why and holds nothing of it."""


class About(NamedTuple):
    """What the headers of a record say."""

    tenant: Tenant
    spans: int  # and log records, as counted before the ack
    kinds: Kind

    def headers(self) -> Headers:
        """As they are sent."""
        return [
            (ORG, self.tenant.org_id.encode()),
            (PROJECT, self.tenant.project_id.encode()),
            (SPANS, b"%d" % self.spans),
            (KINDS, b"%d" % self.kinds),
        ]


class Opened(NamedTuple):
    """A record that was decrypted."""

    about: About
    envelopes: bytes


class Sealer:
    """Encrypts records under a data key of its own, which changes every hour. For one thread."""

    def __init__(self, spool_key: bytes) -> None:
        self._wrapping = AESGCM(spool_key)
        self._compressor = zstandard.ZstdCompressor(level=_LEVEL)
        self._renew()

    def seal(self, envelopes: bytes, about: About) -> bytes:
        """The value of one record. Of a plaintext below 4 GiB."""
        if self._used >= _KEY_RECORDS or time.monotonic() > self._renew_at:
            self._renew()
        fixed = _FIXED.pack(MAGIC, len(envelopes))
        nonce = self._used.to_bytes(_NONCE_BYTES, "little")
        self._used += 1
        head = fixed + self._wrapped + nonce
        packed = self._compressor.compress(envelopes)
        return head + self._cipher.encrypt(nonce, packed, _bound(head, about.headers()))

    def _renew(self) -> None:
        data_key, nonce = AESGCM.generate_key(256), os.urandom(_NONCE_BYTES)
        self._wrapped = nonce + self._wrapping.encrypt(nonce, data_key, MAGIC)
        self._cipher = AESGCM(data_key)
        self._used = 0
        self._renew_at = time.monotonic() + _KEY_SECONDS


class Opener:
    """Decrypts records of any process that has the same spool key. Safe from several threads."""

    def __init__(self, spool_key: bytes) -> None:
        self._wrapping = AESGCM(spool_key)
        self._ciphers: dict[bytes, AESGCM] = {}
        self._guard = threading.Lock()

    def open(self, value: bytes, headers: Headers) -> Opened:
        """The envelopes of a record. Raises RecordError."""
        if len(value) < _HEAD_BYTES or value[: len(MAGIC)] != MAGIC:
            raise RecordError("it is not a record of Ecomind of this version")
        about = read_headers(headers)
        head, nonce = value[:_HEAD_BYTES], value[_KEY_END:_HEAD_BYTES]
        cipher = self._cipher(value[_FIXED.size : _KEY_END])
        try:
            packed = cipher.decrypt(nonce, value[_HEAD_BYTES:], _bound(head, headers))
            clear = zstandard.ZstdDecompressor().decompress(packed, clear_bytes(value))
        except InvalidTag:
            raise RecordError(
                "it fails its integrity check: its value or its headers are not what was sent"
            ) from None
        except zstandard.ZstdError:
            raise RecordError("it can't be decompressed") from None
        return Opened(about, clear)

    def _cipher(self, wrapped: bytes) -> AESGCM:
        with self._guard:
            found = self._ciphers.get(wrapped)
        if found is not None:
            return found
        try:
            key = self._wrapping.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], MAGIC)
        except InvalidTag:
            raise RecordError(
                "its key can't be unwrapped: the spool key (ECOMIND_SPOOL_KEY, ECOMIND_KEY_DIR) is"
                " not that of the receiver that sent it"
            ) from None
        with self._guard:
            if len(self._ciphers) >= _OPENED_KEYS:
                self._ciphers.clear()
            return self._ciphers.setdefault(wrapped, AESGCM(key))


def clear_bytes(value: bytes) -> int:
    """How large the envelopes of a record are, as it says itself; 0 if it is none of ours."""
    if len(value) < _HEAD_BYTES or value[: len(MAGIC)] != MAGIC:
        return 0
    return int(_FIXED.unpack_from(value)[1])


def read_headers(headers: Headers) -> About:
    """What they say. Raises RecordError."""
    found = {name: value for name, value in headers if value is not None}
    try:
        tenant = Tenant(found[ORG].decode(), found[PROJECT].decode())
        return About(tenant, int(found[SPANS]), Kind(int(found[KINDS])))
    except (KeyError, ValueError):
        raise RecordError("its headers do not say whose it is") from None


def sent_by(record: list[bytes]) -> tuple[Tenant, int]:
    """The tenant of a record that `spool.envelope` made, and when it was received, in ns."""
    prefix = record[1]
    org, at = _text(prefix, 1)
    project, at = _text(prefix, at + 1)
    return Tenant(org, project), int.from_bytes(prefix[at + 1 : at + 9], "little")


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A text behind its length, and where it ends."""
    size = shift = 0
    while True:
        byte = data[at]
        size |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return data[at : at + size].decode(), at + size


def _bound(head: bytes, headers: Iterable[tuple[str, bytes]]) -> bytes:
    """What the tag covers besides the ciphertext: the head, and every header of ours."""
    ours = [(n, v) for n, v in headers if n in (ORG, PROJECT, SPANS, KINDS) and v is not None]
    parts = [head]
    for name, value in ours:
        parts += [name.encode(), len(value).to_bytes(4, "little"), value]
    return b"".join(parts)

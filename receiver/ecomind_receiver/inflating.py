"""Inflating bodies without letting a bomb, or an organisation that sends many, hold up the others.

A little is inflated at once, where it is cheaper than changing threads. What turns out larger goes
to a thread, one at a time for each organisation, so that whoever sends bombs waits for them alone.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import zstandard

from ecomind_receiver.refusals import Refusal, RequestRefused

_PIECE_BYTES = 256 * 1024
_INLINE_BYTES = 512 * 1024  # about a millisecond, and more than most batches hold
_ZSTD_PIECE_BYTES = 256  # one byte of zstd becomes 32 KiB at most, so these become 8 MiB
_ZSTD_WINDOW_BYTES = 8 * 1024 * 1024  # RFC 9659: no more for a content coding
_THREADS = 2


class Inflater:
    """Inflates gzip, zlib and zstd bodies."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="inflate")
        self._slots: dict[str, _Slot] = {}

    async def inflate(self, org_id: str, body: bytes, encoding: str, max_bytes: int) -> bytes:
        """The body as it was before encoding, if it is no longer. Raises RequestRefused."""
        if encoding not in _PIECES:
            raise RequestRefused(
                Refusal.UNSUPPORTED, f"Content-Encoding must be {', '.join(_PIECES)} or identity."
            )
        if len(body) <= _INLINE_BYTES:
            try:
                return decompress(body, encoding, min(_INLINE_BYTES, max_bytes))
            except RequestRefused as error:
                if error.refusal is not Refusal.TOO_LARGE or max_bytes <= _INLINE_BYTES:
                    raise
        slot = self._slots.setdefault(org_id, _Slot())
        slot.wanted += 1
        try:
            async with slot.lock:
                return await asyncio.get_running_loop().run_in_executor(
                    self._threads, decompress, body, encoding, max_bytes
                )
        finally:
            slot.wanted -= 1
            if not slot.wanted:
                self._slots.pop(org_id, None)

    def close(self) -> None:
        """End the threads."""
        self._threads.shutdown()


class _Slot:
    """One organisation's turn, kept while somebody wants it."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.wanted = 0


def decompress(body: bytes, encoding: str, max_bytes: int) -> bytes:
    """Inflate gzip, zlib or zstd data (all members), to `max_bytes` at most. Raises RequestRefused.

    In small pieces, so that a bomb costs about `max_bytes` of memory and not a multiple of it.
    """
    pieces: list[bytes] = []
    room = max_bytes
    try:
        for piece in _PIECES[encoding](body):
            room -= len(piece)
            if room < 0:
                raise too_large(max_bytes)
            pieces.append(piece)
    except (zlib.error, zstandard.ZstdError, EOFError) as error:
        raise RequestRefused(
            Refusal.MALFORMED, f"The body is not valid {encoding}: {error}."
        ) from error
    return b"".join(pieces)


def _zlib(window_bits: int, body: bytes) -> Iterator[bytes]:
    stream = zlib.decompressobj(window_bits)
    for start in range(0, len(body), _PIECE_BYTES):
        data = body[start : start + _PIECE_BYTES]
        while data:
            if stream.eof:  # another member follows
                stream = zlib.decompressobj(window_bits)
            yield stream.decompress(data, _PIECE_BYTES)
            data = stream.unused_data if stream.eof else stream.unconsumed_tail
    if not stream.eof:
        raise EOFError("it ends too early")


def too_large(max_bytes: int) -> RequestRefused:
    """The refusal of a body above the limit."""
    return RequestRefused(
        Refusal.TOO_LARGE,
        f"The request is larger than {max_bytes} bytes, before or after decompression. Send smaller"
        " batches; ECOMIND_REQUEST_MAX_BYTES may be raised, but not for public keys.",
    )


def _zstd(body: bytes) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW_BYTES)
    stream = decompressor.decompressobj()
    for start in range(0, len(body), _ZSTD_PIECE_BYTES):
        data = body[start : start + _ZSTD_PIECE_BYTES]
        while data:
            if stream.eof:  # another frame follows
                stream = decompressor.decompressobj()
            yield stream.decompress(data)
            data = stream.unused_data if stream.eof else b""
    if not stream.eof:
        raise EOFError("it ends too early")


_PIECES: Mapping[str, Callable[[bytes], Iterator[bytes]]] = {
    "gzip": partial(_zlib, 31),
    "deflate": partial(_zlib, 15),
    "zstd": _zstd,
}
ENCODINGS = tuple(_PIECES)
"""Content codings that are understood, besides `identity`."""

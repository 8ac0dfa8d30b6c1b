"""Inflating bodies without letting a bomb, or an organisation that sends many, hold up the others.

A little is inflated at once, where it is cheaper than changing threads. What turns out larger goes
to a thread, one at a time for each organisation, so that whoever sends bombs waits for them alone.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from ecomind_receiver.refusals import Refusal, RequestRefused

_PIECE_BYTES = 256 * 1024
_INLINE_BYTES = 512 * 1024  # about a millisecond, and more than most batches hold
_THREADS = 2
_WINDOW_BITS = {"gzip": 31, "deflate": 15}


class Inflater:
    """Inflates gzip and zlib bodies."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="inflate")
        self._slots: dict[str, _Slot] = {}

    async def inflate(self, org_id: str, body: bytes, encoding: str, max_bytes: int) -> bytes:
        """The body as it was before encoding, if it is no longer. Raises RequestRefused."""
        if encoding not in _WINDOW_BITS:
            raise RequestRefused(
                Refusal.UNSUPPORTED, "Content-Encoding must be gzip, deflate or identity."
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
    """Inflate gzip (all members) or zlib data, never past `max_bytes`. Raises RequestRefused.

    In small pieces, so that a bomb costs `max_bytes` of memory at most and not a multiple of it.
    """
    pieces: list[bytes] = []
    room = max_bytes
    try:
        for piece in _inflated(body, _WINDOW_BITS[encoding]):
            room -= len(piece)
            if room < 0:
                raise too_large(max_bytes)
            pieces.append(piece)
    except (zlib.error, EOFError) as error:
        raise RequestRefused(
            Refusal.MALFORMED, f"The body is not valid {encoding}: {error}."
        ) from error
    return b"".join(pieces)


def _inflated(body: bytes, window_bits: int) -> Iterator[bytes]:
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

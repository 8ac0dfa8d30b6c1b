"""Blocks in the format Native as a client asks for that names its protocol version (clickhouse-go).

The engine writes them without what versions added: a head of each block, and a byte before each
column. To put these in, the ends of columns must be found, which is done for types of a fixed size
and for strings; a query with others is refused.
"""

from __future__ import annotations

import re

CUSTOM_SERIALIZATION = 54454
"""From this version on a byte before each column says that it is written in the plain way."""

_HEAD = b"\x01\x00\x02\xff\xff\xff\xff\x00"
_SIZES = {
    "UInt8": 1, "Int8": 1, "Bool": 1, "UInt16": 2, "Int16": 2, "Date": 2, "UInt32": 4, "Int32": 4,
    "Float32": 4, "DateTime": 4, "IPv4": 4, "UInt64": 8, "Int64": 8, "Float64": 8, "DateTime64": 8,
    "UUID": 16,
}  # fmt: skip


class UnknownColumn(Exception):
    """A type whose end is not known here."""


def with_version(native: bytes) -> bytes:
    """The same blocks for a client of that version. Raises UnknownColumn."""
    written, place = bytearray(), 0
    while place < len(native):
        columns, after = _number(native, place)
        rows, after = _number(native, after)
        written += _HEAD + native[place:after]
        place = after
        for _ in range(columns):
            _, start = _text(native, place)
            kind, start = _text(native, start)
            end = _end(native, start, kind.decode(), rows)
            written += native[place:start] + b"\x00" + native[start:end]
            place = end
    return bytes(written)


def _end(native: bytes, place: int, kind: str, rows: int) -> int:
    if kind == "String":
        for _ in range(rows):
            _, place = _text(native, place)
        return place
    if nullable := re.fullmatch(r"Nullable\((.*)\)", kind):
        return _end(native, place + rows, nullable[1], rows)
    fixed = re.fullmatch(r"FixedString\((\d+)\)", kind)
    size = int(fixed[1]) if fixed else _SIZES.get(kind.partition("(")[0])
    if size is None:
        raise UnknownColumn(kind)
    return place + size * rows


def _number(native: bytes, place: int) -> tuple[int, int]:
    found, shift = 0, 0
    while True:
        byte = native[place]
        found |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return found, place


def _text(native: bytes, place: int) -> tuple[bytes, int]:
    length, place = _number(native, place)
    return native[place : place + length], place + length

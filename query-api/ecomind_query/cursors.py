"""Where a list of calls goes on, as an opaque word, and the id of a call.

A cursor holds the last call that was shown, not an offset: calls that arrive meanwhile neither
repeat nor hide a row. It starts with a hash of the organisation, so that a cursor of another is
refused as what it is; it opens nothing, since every query binds the caller's organisation anyway.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
from datetime import UTC, datetime, timedelta

from ecomind_query.errors import BadParameter
from ecomind_query.queries import Place

_LAYOUT = struct.Struct(">8sqQQQ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID = re.compile(r"([0-9a-f]{16})([0-9a-f]{16})")
_REFUSED = (
    "is not a cursor of this list. Pass next_cursor of the last answer as it is, or leave it out."
)


def encode(org_id: str, place: Place) -> str:
    """The cursor after this call."""
    micros = (place.at - _EPOCH) // _MICROSECOND
    raw = _LAYOUT.pack(_owner(org_id), micros, place.trace_hash, place.span_id, place.segment_id)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(org_id: str, cursor: str) -> Place:
    """The call that the cursor stands after. Raises BadParameter."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        owner, micros, trace_hash, span_id, segment_id = _LAYOUT.unpack(raw)
        at = _EPOCH + micros * _MICROSECOND
    except (binascii.Error, ValueError, struct.error, OverflowError):
        raise BadParameter("cursor", _REFUSED) from None
    if owner != _owner(org_id):
        raise BadParameter("cursor", _REFUSED)
    return Place(at, trace_hash, span_id, segment_id)


def call_id(trace_hash: int, span_id: int) -> str:
    """The id of a call: 32 hexadecimal digits."""
    return f"{trace_hash:016x}{span_id:016x}"


def parse_call_id(id: str) -> tuple[int, int] | None:
    """Trace hash and span id of a call's id; None if it is not one."""
    match = _ID.fullmatch(id)
    return (int(match[1], 16), int(match[2], 16)) if match else None


def _owner(org_id: str) -> bytes:
    return hashlib.blake2b(org_id.encode(), digest_size=8, person=b"calls-cursor").digest()

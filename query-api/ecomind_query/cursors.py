"""Where a list of calls goes on, as an opaque word, and the id of a call.

A cursor holds the last call that was shown, not an offset: calls that arrive meanwhile neither
repeat nor hide a row. It starts with a hash of the caller's reach, so that a cursor of another is
refused as what it is; it opens nothing, since every query binds the caller's reach anyway.
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
from ecomind_receiver.tenants import Reach

_LAYOUT = struct.Struct(">8sqQQQ")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ID = re.compile(r"([0-9a-f]{16})([0-9a-f]{16})")
_REFUSED = (
    "is not a cursor of this list. Pass next_cursor of the last answer as it is, or leave it out."
)


def encode(reach: Reach, place: Place) -> str:
    """The cursor after this call."""
    micros = (place.at - _EPOCH) // _MICROSECOND
    raw = _LAYOUT.pack(_owner(reach), micros, place.trace_hash, place.span_id, place.segment_id)
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(reach: Reach, cursor: str) -> Place:
    """The call that the cursor stands after. Raises BadParameter."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        owner, micros, trace_hash, span_id, segment_id = _LAYOUT.unpack(raw)
        at = _EPOCH + micros * _MICROSECOND
    except (binascii.Error, ValueError, struct.error, OverflowError):
        raise BadParameter("cursor", _REFUSED) from None
    if owner != _owner(reach):
        raise BadParameter("cursor", _REFUSED)
    return Place(at, trace_hash, span_id, segment_id)


def call_id(trace_hash: int, span_id: int) -> str:
    """The id of a call: 32 hexadecimal digits."""
    return f"{trace_hash:016x}{span_id:016x}"


def parse_call_id(id: str) -> tuple[int, int] | None:
    """Trace hash and span id of a call's id; None if it is not one."""
    match = _ID.fullmatch(id)
    return (int(match[1], 16), int(match[2], 16)) if match else None


def _owner(reach: Reach) -> bytes:
    name = reach.org_id if reach.project_id is None else f"{reach.org_id}\0{reach.project_id}"
    return hashlib.blake2b(name.encode(), digest_size=8, person=b"calls-cursor").digest()

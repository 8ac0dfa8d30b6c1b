"""The digest of a closed day: canonical lines of integers and the root of a Merkle tree over them.

Anybody with the rows and a SHA-256 can work it out again, in any language: a line is the compact
JSON array of a row's values in UTF-8, the lines are sorted by their bytes, and the tree is that of
RFC 6962 (section 2.1), so that one row can be shown to belong to a day without the others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

_LEAF, _NODE = b"\x00", b"\x01"


def line(values: Sequence[str | int]) -> bytes:
    """A row as it is hashed."""
    return json.dumps(list(values), ensure_ascii=False, separators=(",", ":")).encode()


def root(lines: Iterable[bytes]) -> str:
    """The root of the tree over the sorted lines, in hex; of no lines, SHA-256 of nothing."""
    level = [hashlib.sha256(_LEAF + each).digest() for each in sorted(lines)]
    if not level:
        return hashlib.sha256().hexdigest()
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(_NODE + left + right).digest() for left, right in pairs]
        level = above + level[len(level) & ~1 :]  # the odd one out goes up as it is
    return level[0].hex()

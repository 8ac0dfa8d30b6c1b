"""What a record of the spool holds: which signal, in which encoding."""

from __future__ import annotations

import enum


class Kind(enum.IntFlag):
    """A kind of record; the kinds of a chunk or a segment are their union."""

    TRACES = 1
    TRACES_JSON = 2
    LOGS = 4
    LOGS_JSON = 8


ALL = Kind.TRACES | Kind.TRACES_JSON | Kind.LOGS | Kind.LOGS_JSON

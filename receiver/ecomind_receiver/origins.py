"""What a browser is told that sends from a page of another origin, with a public key.

The OTLP port and the JSON API take such keys by the same rules; nothing else is shared with pages
of other origins.
"""

from __future__ import annotations

Header = tuple[bytes, bytes]

UNKNOWN = "No public key names this origin."
PREFLIGHT: tuple[Header, ...] = (
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding"),
    (b"access-control-max-age", b"7200"),
)


def for_origin(origin: str) -> tuple[Header, ...]:
    """The headers that let a page of the origin read the answer."""
    return (
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"retry-after"),
        (b"vary", b"origin"),
    )

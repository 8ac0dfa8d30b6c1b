"""Reads `ECOMIND_GRID_HOURLY`: a list of plug-ins, each written like a small URL.

Only the text is judged here, so that a command which needs no grid does not fail for a file that it
would never open.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, get_args
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from ecomind_processor.hourly import KINDS, Kind
from ecomind_receiver.settings import is_loopback

UK = "uk-carbon-intensity"
FILE = "file"
UK_URL = "https://api.carbonintensity.org.uk"
SUFFIXES = (".csv", ".parquet")
_EXAMPLE = f"write entries such as {UK} or file:/etc/ecomind/grid.csv, with commas between"


class UkEntry(NamedTuple):
    """The service for Great Britain, at its own address or a copy's."""

    url: str = UK_URL


class TableEntry(NamedTuple):
    """A table in a file and what its numbers are."""

    path: Path
    kind: Kind = "average"


Entry = UkEntry | TableEntry


def parse_entries(text: str) -> tuple[Entry, ...]:
    """The plug-ins that the setting names, in order.

    Raises ValueError with a sentence that begins with the entry, for a message that has named the
    setting already.
    """
    entries: list[Entry] = []
    for written in filter(None, (part.strip() for part in text.split(","))):
        entry = _entry(written)
        if any(_same(entry, other) for other in entries):
            raise ValueError(f"{written!r} names something twice; leave one of them out")
        entries.append(entry)
    return tuple(entries)


def _entry(written: str) -> Entry:
    parts = urlsplit(written)
    if parts.scheme == FILE and parts.path and not parts.netloc:
        return _table(written, parts)
    if not parts.scheme and not parts.netloc and parts.path == UK:
        return UkEntry(_url(written, _options(written, parts, "url").get("url", UK_URL)))
    raise ValueError(f"{written!r} is no grid plug-in; {_EXAMPLE}")


def _table(written: str, parts: SplitResult) -> TableEntry:
    path = Path(unquote(parts.path))
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{written!r} must name a file that ends in {' or '.join(SUFFIXES)}")
    kind = _options(written, parts, "kind").get("kind", "average")
    for known in KINDS:
        if kind == known:
            return TableEntry(path, known)
    raise ValueError(f"{written!r} has the kind {kind!r}; use one of {', '.join(get_args(Kind))}")


def _options(written: str, parts: SplitResult, known: str) -> dict[str, str]:
    """What stands after `?`: at most the one option that the plug-in knows."""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    if parts.fragment or len(pairs) > 1 or any(name != known for name, _ in pairs):
        raise ValueError(f"{written!r} has an unknown option; it takes only ?{known}=…")
    return dict(pairs)


def _url(written: str, url: str) -> str:
    parts = urlsplit(url)
    plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
    if not parts.hostname or parts.query or not (parts.scheme == "https" or plain):
        raise ValueError(f"{written!r} must have an https address; http is for loopback only")
    return url.rstrip("/")


def _same(one: Entry, other: Entry) -> bool:
    if isinstance(one, TableEntry) and isinstance(other, TableEntry):
        return one.path == other.path
    return type(one) is type(other)

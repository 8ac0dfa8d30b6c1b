"""Files of OTLP traces, cut into the requests that they hold.

JSON files hold one request, several one after another, or one a line, as the Collector's file
exporter writes them. A protobuf file holds one request.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ecomind_receiver import frame
from ecomind_receiver.ingest import JSON, PROTOBUF

MEDIA_TYPES = {
    ".json": JSON,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".pb": PROTOBUF,
    ".binpb": PROTOBUF,
    ".bin": PROTOBUF,
}
_DECODER = json.JSONDecoder()


class FileError(Exception):
    """A file that is not OTLP traces; the message says why."""


class Request(NamedTuple):
    """One ExportTraceServiceRequest of a file."""

    body: bytes
    media_type: str
    spans: int


def find(paths: Iterable[Path]) -> list[Path]:
    """The files, and those below the directories that a known ending marks, in order."""
    found: list[Path] = []
    for path in paths:
        below = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [file for file in below if file == path or _is_known(file)]
    return found


def read(path: Path) -> Iterator[Request]:
    """The requests of a file in order. Raises FileError or OSError."""
    media_type = MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        raise FileError(f"its ending must be one of {', '.join(MEDIA_TYPES)}")
    bodies = [path.read_bytes()] if media_type == PROTOBUF else _documents(path)
    count = frame.count_protobuf if media_type == PROTOBUF else frame.count_json
    for body in bodies:
        try:
            yield Request(body, media_type, count(body))
        except frame.FrameError as error:
            raise FileError(str(error)) from error


def _documents(path: Path) -> Iterator[bytes]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError("it is not UTF-8 text") from error
    position = _skip_space(text, 0)
    while position < len(text):
        try:
            _, end = _DECODER.raw_decode(text, position)
        except ValueError as error:
            line = text.count("\n", 0, position) + 1
            raise FileError(f"line {line}: it is not JSON: {error}") from error
        yield text[position:end].encode()
        position = _skip_space(text, end)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _is_known(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in MEDIA_TYPES

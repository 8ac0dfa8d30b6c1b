"""Files of OTLP traces and logs, cut into the requests that they hold.

JSON files hold one request, several one after another, or one a line, as the Collector's file
exporter writes them, and say themselves what they are. A protobuf file holds one request, of logs
if its name says so: `session.logs.pb`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ecomind_receiver import frame
from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.signals import LOGS, METRICS, SIGNALS, TRACES, Signal

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
    """A file that is neither OTLP traces nor logs; the message says why."""


class Request(NamedTuple):
    """One Export request of a file."""

    body: bytes
    media_type: str
    records: int  # spans or log records
    signal: Signal


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
    if media_type == PROTOBUF:
        requests = iter([(path.read_bytes(), LOGS if ".logs" in path.suffixes else TRACES)])
    else:
        requests = _documents(path)
    count = frame.count_protobuf if media_type == PROTOBUF else frame.count_json
    for body, signal in requests:
        if signal is METRICS:
            raise FileError("it holds metrics; calls are in traces and logs")
        try:
            yield Request(body, media_type, count(body, signal).items, signal)
        except frame.FrameError as error:
            raise FileError(str(error)) from error


def _documents(path: Path) -> Iterator[tuple[bytes, Signal]]:
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError("it is not UTF-8 text") from error
    position = _skip_space(text, 0)
    while position < len(text):
        try:
            document, end = _DECODER.raw_decode(text, position)
        except ValueError as error:
            line = text.count("\n", 0, position) + 1
            raise FileError(f"line {line}: it is not JSON: {error}") from error
        yield text[position:end].encode(), _signal(document)
        position = _skip_space(text, end)


def _signal(document: object) -> Signal:
    """What a document is; one that says nothing is traces, of which it holds none."""
    keys = document if isinstance(document, dict) else {}
    return next((signal for signal in SIGNALS if signal.groups[0] in keys), TRACES)


def _skip_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _is_known(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in MEDIA_TYPES

"""A pipe to the engine: what is written arrives, whoever stops first."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecomind_receiver.feed import Sink, feed
from ecomind_receiver.store import StoreError

_MANY = [bytes([n]) * 100_000 for n in range(50)]  # five times what the pipe holds


@given(st.lists(st.binary(max_size=300_000), max_size=8))
def test_all_arrives_in_order(parts: list[bytes]) -> None:
    arrived: list[bytes] = []

    def write(sink: Sink) -> str:
        for part in parts:
            sink(part)
        return "written"

    assert feed(write, lambda path: arrived.append(Path(path).read_bytes())) == ("written", None)
    assert b"".join(arrived) == b"".join(parts)


@pytest.mark.parametrize("opened", [False, True])
def test_a_reader_that_fails_does_not_stop_who_writes(opened: bool) -> None:
    """It learns what a segment holds, which is needed to find out what was wrong with it."""
    written: list[int] = []

    def write(sink: Sink) -> int:
        for part in _MANY:
            sink(part)
            written.append(len(part))
        return sum(written)

    def read(path: str) -> None:
        if opened:
            with open(path, "rb") as file:
                file.read(1)
        raise StoreError("it can't be decoded")

    told, failure = feed(write, read)
    assert told == 5_000_000
    assert str(failure) == "it can't be decoded"


def test_a_reader_that_stops_early_has_failed() -> None:
    def write(sink: Sink) -> None:
        for part in _MANY:
            sink(part)

    def read(path: str) -> None:
        with open(path, "rb") as file:
            file.read(10)

    assert str(feed(write, read)[1]) == "the engine did not read a segment to its end"


def test_what_the_writer_raises_is_raised_whatever_the_reader_made_of_it() -> None:
    def write(sink: Sink) -> None:
        sink(b"half")
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output error"):
        feed(write, lambda path: Path(path).read_bytes())

"""Coverage-guided fuzzing of all that Python does with a body before it is acknowledged.

Framing of protobuf and JSON for the three signals, snake_case, and inflating. Anything but a count
or the refusal that is documented is a crash. Memory is read every 100,000 bodies: whatever is sent,
it may not grow. `make fuzz` runs it; libFuzzer's options pass through.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import atheris

sys.path.insert(0, str(Path(__file__).parents[1]))  # as pytest does

with atheris.instrument_imports(include=["ecomind_receiver"]):
    from ecomind_receiver import camel_case, frame, inflating
    from ecomind_receiver.refusals import RequestRefused
    from ecomind_receiver.signals import SIGNALS, Signal

from fuzz.bodies import Body, Mutator, seeds
from fuzz.receiving import resident_mb

from ecomind_receiver.ingest import JSON

EVERY = 100_000
GROWTH = 0.05
_MAX_BYTES = 1 << 20
_RUNS = "-runs="

Way = Callable[[bytes], object]


def _protobuf(signal: Signal) -> Way:
    return lambda body: _plausible(frame.count_protobuf(body, signal))


def _json(signal: Signal) -> Way:
    def count(body: bytes) -> None:
        if camel_case.needed(body):
            body = camel_case.rewritten(body)
        _plausible(frame.count_json(body, signal))

    return count


def _inflated(encoding: str) -> Way:
    def inflate(body: bytes) -> None:
        assert len(inflating.decompress(body, encoding, _MAX_BYTES)) <= _MAX_BYTES

    return inflate


def _plausible(found: frame.Frame) -> None:
    assert 0 <= found.rejected <= found.items


_WAYS: dict[tuple[str, str], Way] = (
    {("protobuf", signal.name): _protobuf(signal) for signal in SIGNALS}
    | {("json", signal.name): _json(signal) for signal in SIGNALS}
    | {("inflate", encoding): _inflated(encoding) for encoding in inflating.ENCODINGS}
    | {("record", ""): lambda body: frame.read_record(body)}
)
"""What the first byte of a body chooses."""
_NAMES = list(_WAYS)
_ALL = list(_WAYS.values())


class Watch:
    """Counts bodies and reads memory as they pass."""

    def __init__(self, runs: int) -> None:
        self._runs = runs
        self._bodies = self._refused = 0
        self._memory_mb: list[float] = []

    def __call__(self, data: bytes) -> None:
        """One body."""
        try:
            _ALL[data[0] % len(_ALL)](data[1:]) if data else None
        except (RequestRefused, frame.FrameError):
            self._refused += 1
        self._bodies += 1
        if self._bodies % EVERY == 0:
            self._memory_mb.append(resident_mb())
            print(f"{self._bodies:,} bodies, {self._memory_mb[-1]:.1f} MB", flush=True)
        if self._bodies == self._runs:
            self._conclude()

    def _conclude(self) -> None:
        """Compare the last 100,000 with the first that follow the warm-up, also 100,000."""
        said = f"before the ack: {self._bodies:,} bodies, crashes 0, {self._refused:,} refused"
        if len(self._memory_mb) < 3:
            print(said, flush=True)
            return
        first, last = self._memory_mb[1], self._memory_mb[-1]
        print(
            f"{said}; memory after the first {EVERY:,} that follow the warm-up {first:.1f} MB,"
            f" after the last {last:.1f} MB ({last / first - 1:+.1%})",
            flush=True,
        )
        if last > first * (1 + GROWTH):
            raise MemoryError(f"memory grew by more than {GROWTH:.0%}")


def _corpus(folder: Path) -> None:
    """The captures, each behind the byte that chooses its way."""
    for number, body in enumerate(seeds()):
        (folder / str(number)).write_bytes(_chosen(body))


class _Mutate:
    """Every other time libFuzzer's damage, which knows bytes; else ours, which knows the format.

    The parsers are not written in Python, so their coverage does not lead libFuzzer on.
    """

    def __init__(self) -> None:
        self._mutator = Mutator(0)

    def __call__(self, data: bytes, max_size: int, seed: int) -> bytes:
        if seed % 2:
            mutated: bytes = atheris.Mutate(data, len(data)) if data else b""
            return mutated
        self._mutator.restart(seed)
        return _chosen(self._mutator.body())[:max_size]


def _chosen(body: Body) -> bytes:
    return bytes([_NAMES.index(_way(body))]) + body.data


def _way(body: Body) -> tuple[str, str]:
    if body.encoding:
        return "inflate", body.encoding
    return ("json" if body.media_type == JSON else "protobuf"), body.signal.name


def main() -> None:
    """Fuzz; libFuzzer ends the process."""
    given = [word for word in sys.argv[1:] if word.startswith(_RUNS)]
    runs = int(given[-1].removeprefix(_RUNS)) if given else 0
    with tempfile.TemporaryDirectory(prefix="ecomind-corpus-") as folder:
        _corpus(Path(folder))
        atheris.Setup([*sys.argv, folder], Watch(runs), custom_mutator=_Mutate())
        atheris.Fuzz()


if __name__ == "__main__":
    main()

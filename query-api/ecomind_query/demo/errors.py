"""What can go wrong in the demo, told in a sentence."""

from __future__ import annotations

from collections.abc import Sequence


class DemoError(Exception):
    """A demo that can't go on: a sentence, and the log lines that explain it, if any."""

    def __init__(self, message: str, log_lines: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log_lines = tuple(log_lines)

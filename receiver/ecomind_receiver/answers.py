"""What an accepted request is told: nothing, or what of it was not accepted or not as it should be.

The specification calls that a partial success. Its messages differ between the signals only in the
JSON name of the count, so one protobuf message serves all.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from ecomind_receiver import camel_case, messages
from ecomind_receiver.signals import Signal

_BAD_IDS = (
    "have no valid trace id (16 bytes) and span id (8 bytes), neither all zero; they are not kept."
)


class Accepted(NamedTuple):
    """What became of a request that was not refused: items accepted and rejected, and a warning."""

    items: int
    rejected: int = 0
    snake_case: bool = False

    @property
    def message(self) -> str:
        """What the client should know; empty if all is well."""
        sentences = []
        if self.rejected:
            sentences.append(f"{self.rejected} of {self.items + self.rejected} spans {_BAD_IDS}")
        if self.snake_case:
            sentences.append(camel_case.WARNING)
        return " ".join(sentences)


def as_protobuf(accepted: Accepted) -> bytes:
    """The response message of any signal; empty if all is well."""
    if not accepted.message:
        return b""
    response = messages.Response()
    response.partial_success.rejected = accepted.rejected
    response.partial_success.error_message = accepted.message
    return bytes(response.SerializeToString())


def as_json(accepted: Accepted, signal: Signal) -> bytes:
    """The same in OTLP/JSON, where 64-bit integers are strings."""
    if not accepted.message:
        return b"{}"
    told = {signal.rejected: str(accepted.rejected), "errorMessage": accepted.message}
    return json.dumps({"partialSuccess": told}).encode()

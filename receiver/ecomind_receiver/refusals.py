"""Why a request is refused, and the one table that maps it to HTTP and gRPC.

Whether an error is permanent or retryable is decided where it is raised, by the refusal named
there; nothing else decides it. A refusal that a full or failing server makes names its cause, which
metrics count it by.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import grpc

RETRY_AFTER_SECONDS = 5.0


class Refusal(Enum):
    """(HTTP status, gRPC code, whether a client should retry)."""

    MALFORMED = (400, grpc.StatusCode.INVALID_ARGUMENT, False)
    UNAUTHENTICATED = (401, grpc.StatusCode.UNAUTHENTICATED, False)
    FORBIDDEN = (403, grpc.StatusCode.PERMISSION_DENIED, False)
    TOO_LARGE = (413, grpc.StatusCode.RESOURCE_EXHAUSTED, False)
    UNSUPPORTED = (415, grpc.StatusCode.INVALID_ARGUMENT, False)
    OVER_QUOTA = (429, grpc.StatusCode.RESOURCE_EXHAUSTED, True)
    UNAVAILABLE = (503, grpc.StatusCode.UNAVAILABLE, True)

    @property
    def http_status(self) -> int:
        """The HTTP status."""
        return int(self.value[0])

    @property
    def grpc_code(self) -> Any:
        """The gRPC status code."""
        return self.value[1]

    @property
    def retryable(self) -> bool:
        """Whether the same request may succeed later."""
        return bool(self.value[2])


class RequestRefused(Exception):
    """A request was refused; nothing of it is kept. The message says what to change."""

    def __init__(
        self,
        refusal: Refusal,
        message: str,
        wait_seconds: float = RETRY_AFTER_SECONDS,
        *,
        cause: str = "",
    ) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message
        self.cause = cause
        self._wait_seconds = wait_seconds

    @property
    def retry_after_seconds(self) -> float | None:
        """Seconds to wait before a retry; None if a retry can't help."""
        return self._wait_seconds if self.refusal.retryable else None

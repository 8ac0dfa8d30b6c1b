"""What can be wrong with hourly grids.

ValueError
└── GridError    a file or a setting; whoever runs Ecomind can mend it, and the message says how
Exception
└── FetchError   a service on the network; `retryable` says whether the same request may work later
"""

from __future__ import annotations


class GridError(ValueError):
    """A plug-in can't be used as configured. The message is a sentence that names the fix."""


class FetchError(Exception):
    """A request to a service failed. `reason` is one word to count by."""

    def __init__(
        self, reason: str, message: str, *, retryable: bool, wait_seconds: float = 0.0
    ) -> None:
        """`wait_seconds`: how long the service asks to be left alone."""
        super().__init__(message)
        self.reason = reason
        self.retryable = retryable
        self.wait_seconds = wait_seconds

"""What a caller did wrong, or what the server can't do now.

    QueryError              status, detail: one sentence that names what to change
    └── BadParameter        422, names the parameter

`problems.py` is the only place that turns these into answers.
"""

from __future__ import annotations


class QueryError(Exception):
    """A request that can't be answered; `status` is the HTTP status."""

    status = 400

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadParameter(QueryError):
    """A value that can't be used; the sentence says which values can."""

    status = 422

    def __init__(self, name: str, detail: str) -> None:
        super().__init__(f"{name}: {detail}")
        self.name = name

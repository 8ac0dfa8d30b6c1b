"""The one place where errors of the SDK end: counted, logged once per hook, never raised.

A fault in here must cost the app some telemetry and nothing else. `errors` holds how often each
hook failed, so that what was swallowed can be seen.
"""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

errors: Counter[str] = Counter()
"""Hook → number of errors swallowed since the process started."""

_log = logging.getLogger("ecomind")
_said: set[str] = set()


def quiet(hook: Callable[P, R]) -> Callable[P, R | None]:
    """Return `hook` made safe to call from the app: an error gives None and one log line."""

    @functools.wraps(hook)
    def safe(*args: P.args, **kwargs: P.kwargs) -> R | None:
        try:
            return hook(*args, **kwargs)
        except Exception:
            errors[hook.__qualname__] += 1
            warn_once(
                f"{hook.__qualname__} failed; the app is not affected, some footprints are missing",
                trace=True,
            )
            return None

    return safe


def warn_once(message: str, *, trace: bool = False) -> None:
    """Log a warning the first time it is given; `trace` adds the current exception."""
    if message not in _said:
        _said.add(message)
        _log.warning(message, exc_info=trace)

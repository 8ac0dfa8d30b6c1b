"""What a check of doctor says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ecomind_receiver.settings import Settings


class Finding(NamedTuple):
    """What a check found, and what to do if it is wrong."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


Check = Callable[[Settings], Iterator[Finding]]

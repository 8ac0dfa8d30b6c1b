"""An event with an id is written once, also while its first copy is still on the way to the store.

The store knows what has been loaded; this knows what this process wrote since. What neither knows
(a restart between a write and its load) has the same span id, and reconcile takes it back.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable

KEPT = 100_000


class Once:
    """Remembers the newest keys that were written. For one event loop."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._written: OrderedDict[object, asyncio.Future[bool]] = OrderedDict()

    async def write(self, key: object, write: Callable[[], Awaitable[object]]) -> bool:
        """Write unless the key was written: whether it was. A repeat waits for the first copy.

        Raises what `write` raises; then the next copy is tried afresh.
        """
        while (first := self._written.get(key)) is not None:
            if await asyncio.shield(first):
                return True
        done = self._written[key] = asyncio.get_running_loop().create_future()
        try:
            await write()
        except BaseException:
            del self._written[key]
            done.set_result(False)
            raise
        done.set_result(True)
        while len(self._written) > self._kept:
            self._written.popitem(last=False)
        return False

"""A store that is in use and can be backed up, for tests of backups and of restoring them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from ecomind_receiver.backup.making import Backups
from ecomind_receiver.backup.manifest import Progress
from ecomind_receiver.settings import Settings
from ecomind_receiver.spool import Spool
from ecomind_receiver.store import Store


def quiet(_progress: Progress) -> None:
    """Nobody watches."""


class Open(NamedTuple):
    """A store that is in use, and who backs it up."""

    store: Store
    backups: Backups


@contextmanager
def opened(settings: Settings) -> Iterator[Open]:
    """The store of a data directory. A process has one at a time."""
    store = Store(settings)
    spool = Spool(settings, bytes(32))
    try:
        yield Open(store, Backups(settings, store, spool, lambda: ""))
    finally:
        spool.close()
        store.close()

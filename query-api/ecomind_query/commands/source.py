"""Where a reading command gets its answers: from a running server, else from the store itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecomind_query.commands import running
from ecomind_query.commands.common import NOT_STARTED, fail
from ecomind_receiver.settings import Settings

if TYPE_CHECKING:
    from ecomind_query.reader import Reader


@contextmanager
def reader(settings: Settings) -> Iterator[Reader]:
    """The data directory's store, opened for this command; ends with a sentence if it can't be."""
    from ecomind_query.reader import Reader
    from ecomind_receiver.store import Store, StoreError

    if not (settings.data_dir / "store").is_dir():
        fail(
            f"There is no data in {settings.data_dir} yet. Start `ecomind up` and send it spans,"
            " or name another directory with --data-dir.",
            NOT_STARTED,
        )
    try:
        store = Store(settings)
    except StoreError as error:
        fail(str(error), NOT_STARTED)
    try:
        yield Reader(store, retention_days=settings.retention_days)
    finally:
        store.close()


def server_of(settings: Settings) -> running.Server | None:
    """The server on this data directory, if one runs."""
    return running.find(settings.data_dir)

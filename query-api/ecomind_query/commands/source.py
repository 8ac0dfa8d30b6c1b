"""Where a reading command gets its answers: from a running server, else from the store itself.

Either way it sees what the key in ECOMIND_API_KEY may read, and org_demo without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecomind_query.commands import running
from ecomind_query.commands.common import NOT_STARTED, fail
from ecomind_receiver.secrets import SecretError, Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import ANYONE, Reach, Scope

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


def reach(settings: Settings) -> Reach:
    """What the command may read of the store; ends with a sentence if its key may not."""
    if settings.api_key is None:
        return ANYONE.reach
    from ecomind_receiver.control.errors import ControlError
    from ecomind_receiver.refusals import RequestRefused

    try:
        return asyncio.run(_reach(settings, settings.api_key.get_secret_value()))
    except (ControlError, RequestRefused, SecretError) as error:
        fail(f"ECOMIND_API_KEY: {error}", NOT_STARTED)


async def _reach(settings: Settings, text: str) -> Reach:
    from ecomind_receiver.server import open_keyring

    keyring = await open_keyring(settings, Secrets(settings))
    try:
        return (await keyring.admit(Scope.READ, f"Bearer {text}")).caller.reach
    finally:
        await keyring.close()


def server_of(settings: Settings) -> running.Client | None:
    """The server on this data directory, if one runs. Raises ServerError."""
    return running.connect(settings)

"""What a command may do with the store itself, where no server runs on it.

It is what the key in ECOMIND_API_KEY may do, as beside a server, and org_demo's without one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ecomind_query.commands.common import NOT_STARTED, fail
from ecomind_receiver.secrets import SecretError, Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import ANYONE, Reach, Scope

if TYPE_CHECKING:
    from ecomind_processor.terms import Terms
    from ecomind_query.reader import Reader
    from ecomind_receiver.authentication import Grant
    from ecomind_receiver.grids.factory import ConfiguredGrids
    from ecomind_receiver.server import Receiver
    from ecomind_receiver.store import Store


@contextmanager
def store(settings: Settings) -> Iterator[Store]:
    """The settings' store, opened for this command; ends with a sentence if it can't be."""
    from ecomind_receiver.store import Store, StoreError

    if settings.store is None and not (settings.data_dir / "store").is_dir():
        fail(
            f"There is no data in {settings.data_dir} yet. Start `ecomind up` and send it spans,"
            " or name another directory with --data-dir.",
            NOT_STARTED,
        )
    try:
        opened = Store(settings)
    except StoreError as error:
        fail(str(error), NOT_STARTED)
    try:
        yield opened
    finally:
        opened.close()


@contextmanager
def receiver(settings: Settings) -> Iterator[tuple[Receiver, asyncio.Runner]]:
    """A receiver of this process on the data directory, without listeners, and what runs it.

    Ends with a sentence if it can't start; stopped at the end, which stores what was accepted.
    """
    from ecomind_receiver.control.errors import ControlError
    from ecomind_receiver.server import Receiver, StartError
    from ecomind_receiver.store import StoreError

    with asyncio.Runner() as runner:
        opened = Receiver(settings, listeners=False)
        try:
            runner.run(opened.start())
        except (StartError, StoreError, SecretError, ControlError, OSError, ValueError) as error:
            fail(str(error), NOT_STARTED)
        try:
            yield opened, runner
        finally:
            runner.run(opened.stop())


@contextmanager
def reader(settings: Settings) -> Iterator[Reader]:
    """The data directory's store, opened for this command; ends with a sentence if it can't be."""
    from ecomind_query.reader import Reader

    with store(settings) as opened:
        yield Reader(opened, retention_days=settings.retention_days)


def terms(settings: Settings) -> Mapping[str, Terms]:
    """What organisations have approved of factors; ends with a sentence if it can't be read."""
    from ecomind_receiver.agreements import Agreements
    from ecomind_receiver.control.errors import ControlError

    try:
        agreements = Agreements(settings)
    except ControlError as error:
        fail(str(error), NOT_STARTED)
    agreements.stop()
    return agreements.current


def grids(settings: Settings) -> ConfiguredGrids:
    """The hourly grids with what they know already; ends with a sentence if one can't be read."""
    from ecomind_processor.factors import FactorSet
    from ecomind_receiver.grids.errors import GridError
    from ecomind_receiver.grids.factory import grids_from

    try:
        return grids_from(settings, FactorSet.load().zones)
    except GridError as error:
        fail(str(error), NOT_STARTED)


def reach(settings: Settings) -> Reach:
    """What the command may read of the store; ends with a sentence if its key may not."""
    grant = admitted(settings, Scope.READ)
    return grant.caller.reach if grant else ANYONE.reach


def admitted(settings: Settings, scope: Scope) -> Grant | None:
    """What the command's key is good for; None without one, a sentence and the end if it is not."""
    if settings.api_key is None:
        return None
    from ecomind_receiver.control.errors import ControlError
    from ecomind_receiver.refusals import RequestRefused

    try:
        return asyncio.run(_admitted(settings, scope, settings.api_key.get_secret_value()))
    except (ControlError, RequestRefused, SecretError) as error:
        fail(f"ECOMIND_API_KEY: {error}", NOT_STARTED)


async def _admitted(settings: Settings, scope: Scope, text: str) -> Grant:
    from ecomind_receiver.server import open_keyring

    keyring = await open_keyring(settings, Secrets(settings))
    try:
        return await keyring.admit(scope, f"Bearer {text}")
    finally:
        await keyring.close()

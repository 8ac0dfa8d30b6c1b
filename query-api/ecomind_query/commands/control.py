"""What the operator's commands share: transactions on the control store, and how keys are shown.

These commands work on the store itself, not through a server, so they also work before the first
key exists; who may run them is whoever may read the file or knows the database's password. A server
that runs meanwhile notices changes by itself. SQLAlchemy is loaded when a command runs, because all
commands are loaded to print help.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ecomind_query.commands.common import FAILED, NOT_STARTED, fail, print_json
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import LOCAL

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from ecomind_receiver.api_keys import Peppers
    from ecomind_receiver.control.records import KeyRecord
    from ecomind_receiver.control.store import ControlStore

Org = Annotated[str, typer.Option("--org", help="The organisation's id.")]
DEFAULT_ORG = LOCAL.org_id
_NOT_SHOWN = frozenset({"digest", "pepper_version", "pepper_mark"})


@contextmanager
def reading(settings: Settings) -> Iterator[Connection]:
    """A transaction that only reads; what is wrong ends the command with a sentence."""
    with _opened(settings) as store, store.reading() as tx:
        yield tx


@contextmanager
def changing(settings: Settings) -> Iterator[Connection]:
    """A transaction that writes; after a change of keys or quotas, `announce` it."""
    with _opened(settings) as store, store.begin() as tx:
        yield tx


def announce(settings: Settings) -> None:
    """Tell receivers that keys or quotas have changed, if they listen at Redis."""
    if settings.redis_url is None:
        return
    from ecomind_receiver.notices import NoticeError, publish

    try:
        publish(settings.redis_url.get_secret_value())
    except NoticeError as error:
        say(
            f"Warning: {error} The change is made; receivers read it within"
            f" {settings.key_refresh_seconds:g} s (ECOMIND_KEY_REFRESH_SECONDS)."
        )


def peppers(settings: Settings) -> Peppers:
    """What keys are hashed with."""
    from ecomind_receiver.api_keys import Peppers
    from ecomind_receiver.secrets import SecretError, Secrets

    try:
        return Peppers(Secrets(settings).peppers)
    except SecretError as error:
        fail(str(error), NOT_STARTED)


def known_peppers(settings: Settings) -> Peppers | None:
    """The peppers that are there, or None: looking makes none."""
    from ecomind_receiver.api_keys import Peppers
    from ecomind_receiver.secrets import SecretError, known_peppers

    try:
        found = known_peppers(settings)
    except SecretError as error:
        say(f"Warning: {error}")
        return None
    return Peppers(found) if found else None


def say(sentence: str) -> None:
    """Tell a person something on stderr: stdout is for the result."""
    Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print(sentence)


def plain(record: Any) -> dict[str, Any]:
    """A record as JSON can hold it, without what is nobody's to see."""
    return {name: _plain(value) for name, value in asdict(record).items() if name not in _NOT_SHOWN}


def day_and_time(moment: datetime | None) -> str:
    """A moment as tables show it."""
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


def show_new_key(key: KeyRecord, text: str, as_json: bool) -> None:
    """Print a new key's text, for the only time."""
    if as_json:
        print_json(plain(key) | {"key": text})
    else:
        typer.echo(text)
    say("Keep this key now: only a hash of it is stored, so it can't be shown again.")


@contextmanager
def _opened(settings: Settings) -> Iterator[ControlStore]:
    from ecomind_receiver.control.errors import Conflict, ControlError, Invalid, NotFound
    from ecomind_receiver.control.store import ControlStore, default_url
    from ecomind_receiver.private import keep_private

    keep_private()
    try:
        store = ControlStore(default_url(settings))
        try:
            store.migrate()
            yield store
        finally:
            store.close()
    except (NotFound, Conflict, Invalid) as error:
        fail(str(error), FAILED)
    except ControlError as error:
        fail(str(error), NOT_STARTED)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return sorted(value) if isinstance(value, frozenset) else value

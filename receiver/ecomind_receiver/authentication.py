"""From a request's headers to who asks: the one place where a tenant is found out.

Every live key is in memory, so a request costs one HMAC and no query. Twice a second, and when a
notice comes through Redis, the control store is asked whether something has changed, and then all
is read again, as it is every minute anyway. A key that fails is looked for once more in a fresh
copy, so a new key works at once. An unknown id takes the path of a known one with a wrong secret.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, TypeVar

from ecomind_receiver import api_keys
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.control.keys import KeyRecord
from ecomind_receiver.control.snapshot import Snapshot, read_snapshot, touch
from ecomind_receiver.control.store import ControlError, ControlStore
from ecomind_receiver.http_server import PEER
from ecomind_receiver.limits import UNLIMITED, Quota, Quotas
from ecomind_receiver.notices import Notices
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import ANYONE, LOCAL, Caller, Scope, Tenant

log = logging.getLogger("ecomind.keys")
T = TypeVar("T")

_POLL_SECONDS = 0.5
_LOOK_AGAIN_SECONDS = 0.05
_TOUCH_SECONDS = 60.0
_ANSWER_SECONDS = 3.0
_LOG_SECONDS = 1.0
_SCHEMES = ("bearer", "basic")
_FORM = "Write `Bearer`, one space, then the key; %20 only inside OTEL_EXPORTER_OTLP_HEADERS."
_CHALLENGE = "Send a header `Authorization: Bearer` with an API key."


class Grant(NamedTuple):
    """Who asks, where what they send is stored, and what limits it."""

    caller: Caller
    tenant: Tenant | None
    quotas: Quotas = UNLIMITED

    def writes(self) -> Tenant:
        """Where calls are stored. Only keys with a project have the scope that leads here."""
        assert self.tenant, "a key without a project has no ingest scope"
        return self.tenant


class Door(Protocol):
    """Decides who may come in."""

    failures: dict[str, int]

    async def admit(self, scope: Scope, authorization: str, origin: str = "") -> Grant:
        """Who asks, if they have the scope. Raises RequestRefused."""

    def knows_origin(self, origin: str) -> bool:
        """Whether a page of this origin may send with some public key."""

    async def close(self) -> None:
        """Let go of everything."""


class OpenDoor:
    """Lets who shows no key in as the local organisation: only ever behind a loopback address.

    A key that is shown counts as it does everywhere, and one that is not live is refused.
    """

    def __init__(self, settings: Settings, keyring: Keyring | None = None) -> None:
        """Without a keyring, such as in a process that does not listen, nothing shown is read."""
        self._keyring = keyring
        self.failures: dict[str, int] = keyring.failures if keyring else {}
        self._grant = Grant(ANYONE, LOCAL, Quotas(org=default_quota(settings)))

    async def admit(self, scope: Scope, authorization: str, origin: str = "") -> Grant:
        """Whose the key is, or the local organisation without one. Raises RequestRefused."""
        if authorization and self._keyring:
            return await self._keyring.admit(scope, authorization, origin)
        if scope not in ANYONE.scopes:
            raise RequestRefused(Refusal.FORBIDDEN, "This needs a key; set ECOMIND_AUTH=keys.")
        return self._grant

    def knows_origin(self, origin: str) -> bool:
        """Whether a page of this origin may send with some public key."""
        return self._keyring is not None and self._keyring.knows_origin(origin)

    async def close(self) -> None:
        """Close the keyring."""
        if self._keyring:
            await self._keyring.close()


class _Entry(NamedTuple):
    record: KeyRecord
    grant: Grant


class Keyring:
    """The live keys of a control store, kept fresh in the background."""

    def __init__(
        self,
        store: ControlStore,
        peppers: Peppers,
        settings: Settings,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.error = ""
        self.lost = 0  # live keys that can't be checked: their pepper is not configured
        self.failures: dict[str, int] = {}
        self._store = store
        self._peppers = peppers
        self._settings = settings
        self._clock = clock
        self._refresh_seconds = settings.key_refresh_seconds
        self._decoy = secrets.token_bytes(32)
        self._entries: dict[str, _Entry] = {}
        self._origins: frozenset[str] = frozenset()
        self._number = -1
        self._read_at = self._looked_at = self._logged_at = -float("inf")
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="keys")
        self._used: dict[str, datetime] = {}
        self._reading, self._looking = asyncio.Lock(), asyncio.Lock()
        self._notices = _notices(settings)
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self) -> None:
        """Read every key, then keep reading in the background. Raises ControlError."""
        await self._read()
        self._tasks = [asyncio.create_task(self._watch()), asyncio.create_task(self._note_uses())]
        if self._notices:
            self._tasks.append(asyncio.create_task(self._notices.run(self.refresh)))

    async def close(self) -> None:
        """Stop reading, note when keys were last used, let go of the store."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._touch()
        await asyncio.to_thread(self._store.close)
        self._threads.shutdown(wait=False)

    def has(self, scope: Scope) -> bool:
        """Whether any live key that can be checked has the scope."""
        return any(
            scope in entry.record.scopes and self._checkable(entry.record)
            for entry in self._entries.values()
        )

    def knows_origin(self, origin: str) -> bool:
        """Whether a page of this origin may send with some public key."""
        return origin in self._origins

    async def admit(self, scope: Scope, authorization: str, origin: str = "") -> Grant:
        """Who asks, if their key is live and has the scope. Raises RequestRefused."""
        if not authorization:
            raise self._refused("missing", Refusal.UNAUTHENTICATED, f"No API key. {_CHALLENGE}")
        text = credential(authorization)
        entry = self._find(text)
        if entry is None:
            await self._look_again()
            entry = self._find(text)
        if entry is None and self.error:
            sentence = "The keys can't be read now, and this one is not among those last read."
            raise self._refused("unreadable", Refusal.UNAVAILABLE, sentence)
        if entry is None:
            known_form = authorization.partition(" ")[0].lower() in _SCHEMES
            sentence = f"The API key is unknown, revoked or expired. {_CHALLENGE}"
            sentence = sentence if known_form else f"There is no API key to be read. {_FORM}"
            raise self._refused("unknown", Refusal.UNAUTHENTICATED, sentence, text)
        if scope not in entry.record.scopes:
            sentence = f"The key {entry.record.id} lacks the scope {scope}."
            raise self._refused("scope", Refusal.FORBIDDEN, sentence)
        if entry.record.public and origin not in entry.record.origins:
            sentence = f"The public key {entry.record.id} is not for this origin."
            raise self._refused("origin", Refusal.FORBIDDEN, sentence)
        self._used[entry.record.id] = self._clock()
        return entry.grant

    async def refresh(self) -> None:
        """Read the keys again if the control store has changed, or if it is time."""
        async with self._reading:  # one after the other: an older copy never replaces a newer one
            try:
                number = await self._ask(self._store.changes)
                if number != self._number or self._age_seconds() >= self._refresh_seconds:
                    await self._read()
                self.error = ""
            except Exception as error:  # whatever it is: without this no revocation is ever seen
                if not self.error:
                    log.error("keys can't be read", extra={"error": describe(error)})
                age = f"{self._age_seconds():.0f} s"
                self.error = f"the keys in use are {age} old: {describe(error)}"

    def _age_seconds(self) -> float:
        return time.monotonic() - self._read_at

    def _find(self, text: str) -> _Entry | None:
        key = api_keys.parse(text)
        entry = self._entries.get(key.id) if key else None
        version = entry.record.pepper_version if entry else self._peppers.current
        wanted = entry.record.digest if entry else self._decoy
        same = hmac.compare_digest(self._peppers.digest(text, version), wanted)
        if entry is None or not same:
            return None
        expires_at = entry.record.expires_at
        return None if expires_at and expires_at <= self._clock() else entry

    async def _look_again(self) -> None:
        """Look at the store once after this moment, but seldom, however many keys fail at once."""
        now = time.monotonic()
        async with self._looking:
            if self._looked_at >= now or self.error:
                return  # another request has looked since, or looking is in vain
            await asyncio.sleep(self._looked_at + _LOOK_AGAIN_SECONDS - now)
            started = time.monotonic()
            await self.refresh()
            self._looked_at = started

    async def _ask(self, question: Callable[..., T], *given: object) -> T:
        """An answer of the store, from threads that nothing else uses. Raises ControlError.

        Not by `wait_for`: before Python 3.12 it forgets that its task was cancelled if the answer
        comes at the same moment, and a task that watches for ever then never ends.
        """
        asking = asyncio.get_running_loop().run_in_executor(self._threads, question, *given)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                return await asking
        except TimeoutError:
            raise ControlError(
                f"The control store has not answered within {_ANSWER_SECONDS:.0f} seconds."
            ) from None

    async def _read(self) -> None:
        snapshot = await self._ask(
            read_snapshot, self._store, self._clock(), self._settings.quota_burst_seconds
        )
        records = snapshot.keys.values()
        self._entries = {record.id: self._entry(record, snapshot) for record in records}
        self._origins = frozenset(origin for record in records for origin in record.origins)
        self._number, self._read_at = snapshot.number, time.monotonic()
        self.lost = sum(not self._checkable(record) for record in records)
        if self.lost:
            log.warning("keys made with a pepper that is not configured", extra={"keys": self.lost})

    def _checkable(self, record: KeyRecord) -> bool:
        return self._peppers.knows(record.pepper_version, record.pepper_mark)

    def _entry(self, record: KeyRecord, snapshot: Snapshot) -> _Entry:
        caller = Caller(record.org_id, record.project_id, record.id, record.scopes)
        tenant = Tenant(record.org_id, record.project_id) if record.project_id else None
        org = snapshot.quotas.get(record.org_id) or default_quota(self._settings)
        own = _quota(record.spans_per_second, self._settings)
        return _Entry(record, Grant(caller, tenant, Quotas(record.id, org, own, record.public)))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_POLL_SECONDS)
            await self.refresh()

    async def _note_uses(self) -> None:
        while True:
            await asyncio.sleep(_TOUCH_SECONDS)
            await self._touch()

    async def _touch(self) -> None:
        used, self._used = self._used, {}
        if not used:
            return

        def write() -> None:
            with self._store.begin() as transaction:
                touch(transaction, used)

        try:
            await self._ask(write)
        except Exception as error:  # the next one notes them
            self._used = used | self._used
            log.warning("last use of keys not noted", extra={"error": describe(error)})

    def _refused(
        self, reason: str, refusal: Refusal, sentence: str, text: str = ""
    ) -> RequestRefused:
        self.failures[reason] = self.failures.get(reason, 0) + 1
        if refusal is Refusal.UNAUTHENTICATED:
            self._log_stranger(reason, text)
        return RequestRefused(refusal, sentence)

    def _log_stranger(self, reason: str, text: str) -> None:
        """One line a second at most, with the id of what has the shape of a key; never the rest."""
        now = time.monotonic()
        if now - self._logged_at < _LOG_SECONDS:
            return
        self._logged_at = now
        key = api_keys.parse(text)
        said = {"reason": reason, "peer": PEER.get(), "key_id": key.id if key else ""}
        log.warning("key refused", extra=said | {"refused": sum(self.failures.values())})


def describe(error: Exception) -> str:
    """What went wrong; of what we have no sentence for, only the kind, for it may quote data."""
    return str(error) if isinstance(error, ControlError) else type(error).__name__


def credential(authorization: str) -> str:
    """The key in an Authorization header: a bearer token, or the password of a basic one."""
    scheme, _, value = authorization.partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        with contextlib.suppress(binascii.Error, ValueError):
            return base64.b64decode(value, validate=True).decode("latin-1").partition(":")[2]
    return ""


def default_quota(settings: Settings) -> Quota | None:
    """The quota of an organisation that has none of its own."""
    return _quota(settings.quota_spans_per_second or None, settings)


def _quota(spans_per_second: float | None, settings: Settings) -> Quota | None:
    if spans_per_second is None:
        return None
    return Quota(spans_per_second, spans_per_second * settings.quota_burst_seconds)


def _notices(settings: Settings) -> Notices | None:
    return Notices(settings.redis_url.get_secret_value()) if settings.redis_url else None

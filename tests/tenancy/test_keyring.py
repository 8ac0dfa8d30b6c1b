"""Which key lets whom in, how soon a change of the keys is known, and what a stranger learns."""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from support.redis_server import RedisServer
from tenancy.office import Office

from ecomind_receiver import authentication, notices
from ecomind_receiver.authentication import Keyring, credential
from ecomind_receiver.control.errors import ControlError
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.http_server import PEER
from ecomind_receiver.limits import Quota, Quotas
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import Caller, Scope, Tenant

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@asynccontextmanager
async def keyring(
    office: Office, settings: Settings, clock: Callable[[], datetime] | None = None
) -> AsyncIterator[Keyring]:
    store = ControlStore(default_url(settings))
    ring = Keyring(store, office.peppers, settings, **({"clock": clock} if clock else {}))
    await ring.open()
    try:
        yield ring
    finally:
        await ring.close()


async def refusal(ring: Keyring, scope: Scope, text: str, origin: str = "") -> Refusal | None:
    try:
        await ring.admit(scope, f"Bearer {text}", origin)
    except RequestRefused as error:
        return error.refusal
    return None


async def until_refused(ring: Keyring, text: str) -> float:
    """Seconds until the key is no longer let in; fails after three."""
    start = time.monotonic()
    while await refusal(ring, Scope.INGEST, text) is None:
        assert time.monotonic() - start < 3, "the key still works"
        await asyncio.sleep(0.01)
    return time.monotonic() - start


def test_a_key_gives_its_tenant_its_scopes_and_what_limits_it(
    office: Office, settings: Settings
) -> None:
    office.quota("org_a", 500, 2_000)
    record, text = office.key("org_a", "web", spans_per_second=20)

    async def scenario() -> Any:
        async with keyring(office, settings) as ring:
            return await ring.admit(Scope.INGEST, f"Bearer {text}")

    grant = asyncio.run(scenario())
    scopes = frozenset({Scope.INGEST, Scope.READ})
    assert grant.caller == Caller("org_a", "web", record.id, scopes)
    assert grant.tenant == Tenant("org_a", "web")
    # the key has no burst of its own: ten seconds of its rate (ECOMIND_QUOTA_BURST_SECONDS)
    assert grant.quotas == Quotas(record.id, Quota(500, 2_000), Quota(20, 200))


def test_a_key_without_a_project_reads_the_whole_organisation(
    office: Office, settings: Settings
) -> None:
    _, text = office.key("org_a", None, [Scope.READ])

    async def scenario() -> Any:
        async with keyring(office, settings) as ring:
            assert await refusal(ring, Scope.INGEST, text) is Refusal.FORBIDDEN
            assert await refusal(ring, Scope.ADMIN, text) is Refusal.FORBIDDEN
            return await ring.admit(Scope.READ, f"Bearer {text}")

    grant = asyncio.run(scenario())
    assert (grant.caller.reach, grant.tenant) == (("org_a", None), None)


def test_what_is_no_live_key_is_unauthenticated(office: Office, settings: Settings) -> None:
    record, text = office.key("org_a", "web")
    _, other = office.key("org_b", "web")
    swapped = text[:18] + other[18:]  # the id of one, the secret of another
    flipped = text[:30] + ("A" if text[30] != "A" else "B") + text[31:]

    async def scenario() -> dict[str, int]:
        async with keyring(office, settings) as ring:
            for wrong in ("x", "", swapped, flipped, text[:-1], text + "0", f"{text} {text}"):
                assert await refusal(ring, Scope.INGEST, wrong) is Refusal.UNAUTHENTICATED, wrong
            with pytest.raises(RequestRefused, match="No API key"):
                await ring.admit(Scope.INGEST, "")
            return ring.failures

    assert asyncio.run(scenario()) == {"unknown": 7, "missing": 1}
    assert record.id == text[9:17]


def test_an_unknown_id_costs_what_a_wrong_secret_costs(
    office: Office, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = office.key("org_a", "web")
    _, gone = office.key("org_a", "web", expires_at=datetime.now(UTC) + timedelta(seconds=0.05))
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return real(one, other)

    real = hmac.compare_digest

    async def scenario() -> list[list[tuple[int, int]]]:
        async with keyring(office, settings) as ring:
            await asyncio.sleep(0.06)
            monkeypatch.setattr(hmac, "compare_digest", compare)
            seen = []
            for wrong in (text[:18] + gone[18:], gone, "eco_live_unknown0_x", "nothing at all"):
                compared.clear()
                ring._find(wrong)
                seen.append(list(compared))
            return seen

    assert asyncio.run(scenario()) == [[(32, 32)]] * 4


def test_a_key_expires_at_its_moment(office: Office, settings: Settings) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    _, text = office.key("org_a", "web", expires_at=ends)
    now = [ends - timedelta(microseconds=1)]

    async def scenario() -> None:
        async with keyring(office, settings, lambda: now[0]) as ring:
            assert await refusal(ring, Scope.READ, text) is None
            now[0] = ends
            assert await refusal(ring, Scope.READ, text) is Refusal.UNAUTHENTICATED

    asyncio.run(scenario())


def test_a_new_key_works_at_once_and_a_revoked_one_ends_within_a_second(
    office: Office, settings: Settings
) -> None:
    async def scenario() -> float:
        async with keyring(office, settings) as ring:
            record, text = office.key("org_a", "web")
            assert await refusal(ring, Scope.INGEST, text) is None
            office.revoke("org_a", record.id)
            return await until_refused(ring, text)

    assert asyncio.run(scenario()) < 1


def test_a_new_key_works_at_once_while_strangers_try_theirs(
    office: Office, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [0]
    changes = ControlStore.changes

    def counted(store: ControlStore) -> int:
        asked[0] += 1
        return changes(store)

    async def scenario() -> float:
        async with keyring(office, settings) as ring:
            monkeypatch.setattr(ControlStore, "changes", counted)
            start = time.monotonic()
            for _ in range(5):
                strangers = [refusal(ring, Scope.INGEST, f"x{n}") for n in range(50)]
                _, text = office.key("org_a", "web")
                *refused, new = await asyncio.gather(*strangers, refusal(ring, Scope.INGEST, text))
                assert set(refused) == {Refusal.UNAUTHENTICATED}
                assert new is None
            return time.monotonic() - start

    seconds = asyncio.run(scenario())
    assert asked[0] <= seconds / 0.05 + 2 * seconds + 2  # not once for each stranger


def test_while_a_key_is_rotated_both_work(office: Office, settings: Settings) -> None:
    async def scenario() -> None:
        async with keyring(office, settings) as ring:
            record, old = office.key("org_a", "web")
            _, new = office.rotate("org_a", record.id, timedelta(hours=1))
            assert await refusal(ring, Scope.INGEST, new) is None
            assert await refusal(ring, Scope.INGEST, old) is None
            office.revoke("org_a", record.id)
            await until_refused(ring, old)
            assert await refusal(ring, Scope.INGEST, new) is None

    asyncio.run(scenario())


def test_a_public_key_sends_from_its_origins_only(office: Office, settings: Settings) -> None:
    origins = ["https://shop.example", "chrome-extension://abcdefghijklmnopabcdefghijklmnop"]
    _, text = office.key("org_a", "web", [Scope.INGEST], public=True, origins=origins)

    async def scenario() -> None:
        async with keyring(office, settings) as ring:
            for origin in origins:
                assert await refusal(ring, Scope.INGEST, text, origin) is None
                assert ring.knows_origin(origin)
            for origin in ("", "https://evil.example", "https://shop.example:444", "null"):
                assert await refusal(ring, Scope.INGEST, text, origin) is Refusal.FORBIDDEN
                assert not ring.knows_origin(origin)
            assert await refusal(ring, Scope.READ, text, origins[0]) is Refusal.FORBIDDEN
            grant = await ring.admit(Scope.INGEST, f"Bearer {text}", origins[0])
            assert grant.quotas.public
            assert grant.quotas.key == Quota(20, 200)  # a public key always has a rate

    asyncio.run(scenario())


def test_the_last_use_of_a_key_is_noted(office: Office, settings: Settings) -> None:
    record, text = office.key("org_a", "web")
    idle, _ = office.key("org_a", "web")
    before = office.store.changes()

    async def scenario() -> None:
        async with keyring(office, settings, lambda: NOW) as ring:
            await ring.admit(Scope.READ, f"Bearer {text}")

    asyncio.run(scenario())
    keys = office.keys("org_a")
    assert (keys[record.id].last_used_at, keys[idle.id].last_used_at) == (NOW, None)
    assert office.store.changes() == before  # no receiver needs to read again for it


def test_keys_work_on_while_the_control_store_is_away(
    office: Office, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, text = office.key("org_a", "web")
    away = ControlError("The control store can't be used: it is away.")

    def fail(store: ControlStore) -> int:
        raise away

    async def scenario() -> None:
        async with keyring(office, settings) as ring:
            with monkeypatch.context() as broken:
                broken.setattr(ControlStore, "changes", fail)
                office.revoke("org_a", record.id)
                await ring.refresh()
                assert await refusal(ring, Scope.INGEST, text) is None
                assert ring.error.endswith(f"s old: {away}")
            await until_refused(ring, text)
            assert ring.error == ""

    asyncio.run(scenario())


def test_keys_are_read_again_after_a_minute_whatever_was_announced(
    office: Office, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A change that left the number as it was, as after a restored backup, is found too."""
    record, text = office.key("org_a", "web")
    number = office.store.changes()
    monkeypatch.setattr(ControlStore, "changes", lambda store: number)
    soon = settings.model_copy(update={"key_refresh_seconds": 0.2})

    async def scenario() -> None:
        async with keyring(office, soon) as ring:
            assert await refusal(ring, Scope.INGEST, text) is None
            office.revoke("org_a", record.id)
            await until_refused(ring, text)

    asyncio.run(scenario())


def test_a_notice_through_redis_ends_a_key_without_polling(
    office: Office, settings: Settings, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, text = office.key("org_a", "web")
    shared = settings.model_copy(update={"redis_url": SecretStr(redis.url)})
    monkeypatch.setattr(authentication, "_POLL_SECONDS", 60)

    async def scenario() -> float:
        async with keyring(office, shared) as ring:
            while not (ring._notices and ring._notices.live):
                await asyncio.sleep(0.01)
            office.revoke("org_a", record.id)
            assert ring._find(text) is not None
            notices.publish(redis.url)
            start = time.monotonic()
            while ring._find(text) is not None:
                await asyncio.sleep(0.01)
            return time.monotonic() - start

    assert asyncio.run(scenario()) < 1


def test_without_a_notice_a_key_ends_within_a_second_also_with_redis(
    office: Office, settings: Settings, redis: RedisServer
) -> None:
    """As when a command revokes that does not know of this Redis."""
    record, text = office.key("org_a", "web")
    shared = settings.model_copy(update={"redis_url": SecretStr(redis.url)})

    async def scenario() -> float:
        async with keyring(office, shared) as ring:
            office.revoke("org_a", record.id)
            return await until_refused(ring, text)

    assert asyncio.run(scenario()) < 1


@pytest.mark.parametrize("failure", [ValueError("a scope of a later version"), "hangs"], ids=str)
def test_whatever_fails_the_keys_are_looked_at_again(
    office: Office, settings: Settings, monkeypatch: pytest.MonkeyPatch, failure: object
) -> None:
    record, text = office.key("org_a", "web")
    monkeypatch.setattr(authentication, "_ANSWER_SECONDS", 0.1)

    def fail(store: ControlStore) -> int:
        if isinstance(failure, Exception):
            raise failure
        time.sleep(0.3)
        return 0

    async def scenario() -> None:
        async with keyring(office, settings) as ring:
            with monkeypatch.context() as broken:
                broken.setattr(ControlStore, "changes", fail)
                while not ring.error:
                    await asyncio.sleep(0.02)
                assert "later version" not in ring.error
                _, new = office.key("org_a", "web")
                assert await refusal(ring, Scope.INGEST, new) is Refusal.UNAVAILABLE
                assert await refusal(ring, Scope.INGEST, text) is None
                office.revoke("org_a", record.id)
            await until_refused(ring, text)
            assert ring.error == ""

    asyncio.run(scenario())


def test_keys_that_wait_for_the_same_look_are_all_found(
    office: Office, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the first that looked went away meanwhile."""
    changes = ControlStore.changes

    def slow(store: ControlStore) -> int:
        time.sleep(0.2)
        return changes(store)

    async def scenario() -> None:
        async with keyring(office, settings) as ring:
            monkeypatch.setattr(ControlStore, "changes", slow)
            _, text = office.key("org_a", "web")
            asked = [asyncio.create_task(refusal(ring, Scope.INGEST, text)) for _ in range(4)]
            await asyncio.sleep(0.1)
            asked[0].cancel()
            assert await asyncio.gather(*asked[1:]) == [None, None, None]

    asyncio.run(scenario())


def test_the_key_is_the_bearer_token_or_the_basic_password() -> None:
    basic = base64.b64encode(b"anyone:eco_live_x").decode()
    assert credential("Bearer eco_live_x") == "eco_live_x"
    assert credential("bearer  eco_live_x ") == "eco_live_x"
    assert credential(f"Basic {basic}") == "eco_live_x"
    for other in ("Basic !", "Digest eco_live_x", "eco_live_x", ""):
        assert credential(other) == ""


@pytest.mark.parametrize("header", ["{}", "Bearer%20{}", "Token {}", "Bearer"])
def test_a_header_in_another_form_is_told_the_right_one(
    office: Office, settings: Settings, header: str
) -> None:
    _, text = office.key("org_a", "web")

    async def scenario() -> None:
        async with keyring(office, settings) as ring:
            with pytest.raises(RequestRefused) as refused:
                await ring.admit(Scope.INGEST, header.format(text))
            assert refused.value.refusal is Refusal.UNAUTHENTICATED
            wanted = "unknown, revoked" if header == "Bearer" else "%20 only inside OTEL_EXPORTER"
            assert wanted in refused.value.message
            assert text not in refused.value.message

    asyncio.run(scenario())


def test_a_stranger_is_logged_once_a_second_by_address_and_id(
    office: Office, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    record, text = office.key("org_a", "web")
    office.revoke("org_a", record.id)

    async def scenario() -> None:
        async with keyring(office, settings) as ring:
            PEER.set("192.0.2.7")
            for _ in range(3):
                assert await refusal(ring, Scope.INGEST, text) is Refusal.UNAUTHENTICATED

    asyncio.run(scenario())
    (line,) = (each for each in caplog.records if each.message == "key refused")
    assert (line.peer, line.key_id, line.reason) == ("192.0.2.7", record.id, "unknown")  # type: ignore[attr-defined]
    assert text[18:] not in str(line.__dict__)


class Answering(ThreadPoolExecutor):
    """Threads whose answer comes when the test says so."""

    def __init__(self) -> None:
        super().__init__(1)
        self.answer: Future[Any] = Future()

    def submit(self, *given: Any, **more: Any) -> Future[Any]:
        return self.answer


@pytest.mark.parametrize("turns", range(6))
def test_a_stop_is_heard_although_the_store_answers_at_that_moment(
    office: Office, settings: Settings, turns: int
) -> None:
    """The stop comes so many turns of the loop after the answer, before or after it is taken."""

    async def scenario() -> None:
        store = ControlStore(default_url(settings))
        ring = Keyring(store, office.peppers, settings)
        ring._threads = threads = Answering()
        asking = asyncio.create_task(ring._ask(store.changes))
        await asyncio.sleep(0)
        threads.answer.set_result(1)
        for _ in range(turns):
            await asyncio.sleep(0)
        heard = asking.cancel()
        await asyncio.wait([asking])
        assert asking.cancelled() == heard
        await ring.close()

    asyncio.run(scenario())

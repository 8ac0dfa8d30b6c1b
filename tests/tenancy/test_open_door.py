"""On loopback nobody is asked for a key, and one that is shown counts as it does everywhere."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from support.otlp import CHAT, protobuf
from support.receiver import Running
from tenancy.office import Office, bearer
from tenancy.test_api_keys_asked import EVENT, app_of
from tenancy.test_over_the_wire import SHOP, post, stored

from ecomind_receiver.tenants import Scope

LOCAL = ("127.0.0.1", 50_000)


async def ask(app: Any, method: str, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, client=LOCAL)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
        return await http.request(method, path, **options)


def test_a_key_that_is_shown_decides(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web")
    _, reads = office.key("org_a", "web", [Scope.READ])

    async def scenario() -> dict[tuple[str, str], int]:
        async with running(auth="auto") as receiver:
            spans = [protobuf([CHAT], first_id=number) for number in (1, 11, 21, 31, 41)]
            answers = [
                await post(receiver, spans[0]),
                await post(receiver, spans[1], **bearer(text)),
                await post(receiver, spans[2], **bearer(text[:-1])),
                await post(receiver, spans[3], **bearer("another-vendors-key")),
                await post(receiver, spans[4], **bearer(reads)),
            ]
            assert [answer.status_code for answer in answers] == [200, 200, 401, 401, 403]
            await receiver.drain()
            app = app_of(receiver)
            for headers, calls in ((bearer(reads), 1), ({}, 1)):
                usage = await ask(app, "GET", "/v1/usage", headers=headers)
                assert usage.json()["total"]["calls"] == calls
            garbage = await ask(app, "GET", "/v1/usage", headers=bearer("garbage"))
            assert garbage.status_code == 401
            assert receiver.door.failures == {"unknown": 3, "scope": 1}
            return stored(receiver)

    assert asyncio.run(scenario()) == {("org_demo", "default"): 1, ("org_a", "web"): 1}


def test_the_limits_of_a_key_that_is_shown_apply(office: Office, running: Running) -> None:
    _, slow = office.key("org_a", "web", spans_per_second=0.1)  # burst 1

    async def scenario() -> list[int]:
        async with running(auth="auto") as receiver:
            keys: list[dict[str, str]] = [bearer(slow), bearer(slow), {}]
            return [(await post(receiver, protobuf([CHAT]), **key)).status_code for key in keys]

    assert asyncio.run(scenario()) == [200, 429, 200]


def test_a_page_needs_a_public_key_here_too(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web", [Scope.INGEST], public=True, origins=[SHOP])

    async def scenario() -> None:
        async with running(auth="auto") as receiver:
            app = app_of(receiver)
            for origin, status in ((SHOP, 204), ("https://evil.example", 403)):
                asked = await ask(app, "OPTIONS", "/v1/ingest", headers={"origin": origin})
                assert asked.status_code == status
            headers = bearer(text) | {"origin": SHOP}
            sent = await ask(app, "POST", "/v1/ingest", json=EVENT, headers=headers)
            assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (202, SHOP)
            no_key = await ask(app, "POST", "/v1/ingest", json=EVENT, headers={"origin": "null"})
            assert "access-control-allow-origin" not in no_key.headers

    asyncio.run(scenario())

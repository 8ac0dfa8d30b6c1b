"""The API and the page of a server that asks for keys."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from support.receiver import Running
from tenancy.office import Office, bearer, counts
from tenancy.test_over_the_wire import SHOP

from ecomind_query.app import create_app
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import Scope

FAR = ("192.0.2.7", 50_000)
EVENT: dict[str, Any] = {
    "user_id": "alice", "provider": "openai", "model": "gpt-4o",
    "tokens_in": 100, "tokens_out": 50, "region": "FR",
}  # fmt: skip


async def ask(
    app: FastAPI, method: str, path: str, text: str | None = None, **options: Any
) -> httpx.Response:
    headers = {**options.pop("headers", {}), **(bearer(text) if text else {})}
    transport = httpx.ASGITransport(app=app, client=options.pop("client", FAR))
    async with httpx.AsyncClient(transport=transport, base_url="http://ecomind.example") as http:
        return await http.request(method, path, headers=headers, **options)


def app_of(receiver: Receiver) -> FastAPI:
    return create_app(receiver, receiver.settings)


def test_an_event_goes_where_its_key_says(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web")
    _, admin = office.key("org_b", None, [Scope.ADMIN])

    async def scenario() -> None:
        async with running() as receiver:
            app = app_of(receiver)
            event = EVENT | {"org_id": "org_b", "project": "batch"}
            sent = await ask(app, "POST", "/v1/ingest", text, json=event)
            assert (sent.status_code, sent.json()["ignored"]) == (202, ["org_id", "project"])
            await receiver.drain()
            usage = await ask(app, "GET", "/v1/usage?group_by=project", text)
            assert [row["group"] for row in usage.json()["rows"]] == [{"project": "web"}]
            metrics = (await ask(app, "GET", "/metrics", admin)).text
            assert counts(metrics, "ecomind_tenant_claims") == {"body": 2, "span": 0}

    asyncio.run(scenario())


def test_each_route_wants_its_scope(office: Office, running: Running) -> None:
    _, sends = office.key("org_a", "web", [Scope.INGEST])
    _, reads = office.key("org_a", "web", [Scope.READ])

    async def scenario() -> None:
        async with running() as receiver:
            app = app_of(receiver)
            for method, path, body, wrong, right in (
                ("GET", "/v1/today", None, sends, reads),
                ("POST", "/v1/sql", {"sql": "SELECT 1 AS one"}, sends, reads),
                ("POST", "/v1/ingest", EVENT, reads, sends),
            ):
                refused = await ask(app, method, path, wrong, json=body)
                assert refused.status_code == 403
                assert "lacks the scope" in refused.json()["detail"]
                missing = await ask(app, method, path, json=body)
                assert missing.status_code == 401
                assert missing.headers["www-authenticate"] == 'Bearer realm="Ecomind"'
                assert (await ask(app, method, path, right, json=body)).is_success

    asyncio.run(scenario())


def test_a_browser_is_asked_for_the_key(office: Office, running: Running) -> None:
    _, text = office.key("org_a", None, [Scope.READ])
    html = {"accept": "text/html"}
    basic = {"authorization": "Basic " + base64.b64encode(f":{text}".encode()).decode()}

    async def scenario() -> None:
        async with running() as receiver:
            app = app_of(receiver)
            asked = await ask(app, "GET", "/", headers=html)
            assert asked.status_code == 401
            assert asked.headers["www-authenticate"].startswith("Basic realm=")
            assert "A key, please" in asked.text
            assert (await ask(app, "GET", "/", headers=html | basic)).status_code == 200
            assert (await ask(app, "GET", "/methodology", headers=html)).status_code == 200

    asyncio.run(scenario())


def test_what_needs_no_key_says_nothing_of_a_tenant(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web")

    async def scenario() -> None:
        async with running() as receiver:
            app = app_of(receiver)
            await ask(app, "POST", "/v1/ingest", text, json=EVENT | {"team": "secret-team"})
            await receiver.drain()
            for path in ("/health", "/ready", "/openapi.json", "/methodology"):
                answer = await ask(app, "GET", path)
                assert answer.status_code == 200
                for secret in ("org_a", "secret-team", text):
                    assert secret not in answer.text, path

    asyncio.run(scenario())


def test_details_are_for_admins_and_for_the_machine_itself(
    office: Office, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = "The control store db.internal:5432/ecomind can't be used: no user eve."
    _, plain = office.key("org_a", "web")
    _, admin = office.key("org_a", None, [Scope.ADMIN])
    hidden = {"ready": False, "detail": "hidden"}
    shown = {"ready": False, "detail": error}

    async def scenario() -> None:
        async with running() as receiver:
            app = app_of(receiver)
            monkeypatch.setattr(receiver.door, "error", error)
            for text, client, part, metrics in (
                (None, FAR, hidden, 401),
                (plain, FAR, hidden, 403),
                (admin, FAR, shown, 200),
                (None, ("127.0.0.1", 50_000), shown, 200),
                (None, ("::1", 50_000), shown, 200),
            ):
                ready = await ask(app, "GET", "/ready", text, client=client)
                assert (ready.status_code, ready.json()["ready"]) == (200, True)
                assert ready.json()["parts"]["control"] == part
                answer = await ask(app, "GET", "/metrics", text, client=client)
                assert answer.status_code == metrics
            refused = receiver.door.failures
            assert refused == {"missing": 1, "scope": 2}  # a probe without a key is no failure

    asyncio.run(scenario())


def test_without_a_key_nothing_is_read(office: Office, running: Running) -> None:
    async def scenario() -> None:
        async with running() as receiver:
            app, failures = app_of(receiver), receiver.door.failures

            async def body() -> AsyncIterator[bytes]:
                yield b""
                raise AssertionError("the body is read")

            json = {"content-type": "application/json"}
            bad = await ask(app, "POST", "/v1/ingest", content=b"{bad", headers=json)
            unread = await ask(app, "POST", "/v1/ingest", content=body(), headers=json)
            nowhere = await ask(app, "GET", "/v1/nowhere", headers={"accept": "text/html"})
            assert [answer.status_code for answer in (bad, unread, nowhere)] == [401] * 3
            assert bad.headers["www-authenticate"] == 'Bearer realm="Ecomind"'
            assert bad.headers["content-type"] == "application/problem+json"
            assert bad.json()["request_id"] == bad.headers["x-request-id"]
            assert nowhere.headers["www-authenticate"].startswith("Basic realm=")
            assert failures == {"missing": 3}
            _, text = office.key("org_a", "web")
            let_in = await ask(app, "POST", "/v1/ingest", text, content=b"{bad", headers=json)
            assert let_in.status_code == 422

    asyncio.run(scenario())


def test_over_the_quota_an_event_waits(office: Office, running: Running) -> None:
    office.quota("org_a", 0.5, 1)
    _, text = office.key("org_a", "web")

    async def scenario() -> None:
        async with running() as receiver:
            app = app_of(receiver)
            sent = [await ask(app, "POST", "/v1/ingest", text, json=EVENT) for _ in range(2)]
            assert [answer.status_code for answer in sent] == [202, 429]
            assert sent[1].headers["retry-after"] == "2"

    asyncio.run(scenario())


def test_a_page_of_the_origin_may_send_an_event_with_a_public_key(
    office: Office, running: Running
) -> None:
    _, text = office.key("org_a", "web", [Scope.INGEST], public=True, origins=[SHOP])
    evil = "https://evil.example"

    async def scenario() -> None:
        async with running() as receiver:
            app = app_of(receiver)
            asked = await ask(app, "OPTIONS", "/v1/ingest", headers={"origin": SHOP})
            assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, SHOP)
            assert "authorization" in asked.headers["access-control-allow-headers"]
            for path, origin, status in (("/v1/ingest", evil, 403), ("/v1/usage", SHOP, 401)):
                other = await ask(app, "OPTIONS", path, headers={"origin": origin})
                assert other.status_code == status
                assert "access-control-allow-origin" not in other.headers
            for key, origin, status, shared in (
                (text, SHOP, 202, SHOP),
                ("eco_live_x", SHOP, 401, SHOP),  # and the page may read that it is
                (text, evil, 403, None),
            ):
                headers = {"origin": origin}
                sent = await ask(app, "POST", "/v1/ingest", key, json=EVENT, headers=headers)
                assert sent.status_code == status
                assert sent.headers.get("access-control-allow-origin") == shared
            read = await ask(app, "GET", "/v1/today", text, headers={"origin": SHOP})
            assert read.status_code == 403
            assert "access-control-allow-origin" not in read.headers

    asyncio.run(scenario())

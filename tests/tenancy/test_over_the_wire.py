"""What a sender sees: keys, quotas, origins and foreign claims on the real ports."""

from __future__ import annotations

import asyncio
import gzip
import secrets
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.rpc import error_details_pb2, status_pb2
from support.otlp import CHAT, json_request, protobuf
from support.receiver import Running, make_settings
from tenancy.office import Office, bearer, counts

from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.server import Receiver, StartError
from ecomind_receiver.telemetry import prometheus_text
from ecomind_receiver.tenants import Scope

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
SHOP = "https://shop.example"


async def post(
    receiver: Receiver, body: bytes, media_type: str = PROTOBUF, **headers: str
) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(
            f"http://127.0.0.1:{receiver.http_port}/v1/traces",
            content=body,
            headers={"content-type": media_type, **named},
        )


async def export(receiver: Receiver, body: bytes, *metadata: tuple[str, str]) -> Any:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{receiver.grpc_port}") as channel:
        return await channel.unary_unary(EXPORT)(body, metadata=metadata, timeout=10)


def stored(receiver: Receiver) -> dict[tuple[str, str], int]:
    rows = receiver.store.query(
        "SELECT org_id, project_id, count() AS n FROM calls GROUP BY org_id, project_id"
    )
    return {(row["org_id"], row["project_id"]): row["n"] for row in rows}


def test_spans_belong_to_the_key_whatever_they_say(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web")
    claims = {"ecomind.org": "org_b", "ecomind.project": "batch"}
    own = {"ecomind.org": "org_a", "ecomind.project": "web"}

    async def scenario() -> tuple[Any, str]:
        async with running() as receiver:
            body = protobuf([CHAT | claims, CHAT | own, CHAT], resource={"ecomind.org": "org_b"})
            answer = await post(
                receiver, body, **bearer(text), x_scope_orgid="org_b", x_ecomind_project="web"
            )
            assert (answer.status_code, answer.content) == (200, b"")
            await export(
                receiver, protobuf([CHAT], first_id=9),
                ("authorization", f"Bearer {text}"), ("x-ecomind-org", "org_b"),
            )  # fmt: skip
            more = json_request([CHAT | {"ecomind.project": "batch"}], first_id=20)
            await post(receiver, more, JSON, **bearer(text))
            await receiver.drain()
            return stored(receiver), prometheus_text(receiver)

    rows, metrics = asyncio.run(scenario())
    assert rows == {("org_a", "web"): 5}
    # spans: one names two other tenants; its resource names one for each of three; JSON names one
    assert counts(metrics, "ecomind_tenant_claims") == {"span": 6, "header": 2}


def test_without_a_live_key_nothing_is_taken(
    office: Office, running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    _, reads = office.key("org_a", "web", [Scope.READ])
    cases = ((None, 401, "UNAUTHENTICATED"), ("eco_live_x", 401, "UNAUTHENTICATED"),
             (reads, 403, "PERMISSION_DENIED"))  # fmt: skip

    async def scenario() -> Any:
        async with running() as receiver:
            for text, status, code in cases:
                headers = bearer(text) if text else {}
                answer = await post(receiver, protobuf([CHAT]), **headers)
                detail = status_pb2.Status.FromString(answer.content)
                assert (answer.status_code, detail.code) == (
                    status, getattr(grpc.StatusCode, code).value[0]
                )  # fmt: skip
                assert ("www-authenticate" in answer.headers) is (status == 401)
                assert "retry-after" not in answer.headers
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await export(receiver, protobuf([CHAT]), *headers.items())
                assert refused.value.code() is getattr(grpc.StatusCode, code)
                assert refused.value.details() == detail.message
            await receiver.drain()
            return stored(receiver), prometheus_text(receiver)

    rows, metrics = asyncio.run(scenario())
    assert rows == {}
    assert counts(metrics, "ecomind_key_refusals") == {"missing": 2, "unknown": 2, "scope": 2}
    lines = [line for line in caplog.records if line.message == "key refused"]
    assert {line.peer for line in lines} == {"127.0.0.1"}  # type: ignore[attr-defined]


def test_over_the_quota_the_wait_is_exact(office: Office, running: Running) -> None:
    """Two spans a second, burst 10: ten pass, then three more need 1.5 s."""
    office.quota("org_a", 2, 10)
    _, text = office.key("org_a", "web")
    key = ("authorization", f"Bearer {text}")

    async def scenario() -> Any:
        async with running() as receiver:
            assert (await post(receiver, protobuf([CHAT] * 10), **bearer(text))).status_code == 200
            refused = await post(receiver, protobuf([CHAT] * 3), **bearer(text))
            assert refused.status_code == 429
            assert refused.headers["retry-after"] in ("1", "2")  # whole seconds, rounded up
            with pytest.raises(grpc.aio.AioRpcError) as again:
                await export(receiver, protobuf([CHAT] * 3), key)
            assert again.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            info = dict(again.value.trailing_metadata())["google.rpc.retryinfo-bin"]
            wait = error_details_pb2.RetryInfo.FromString(info).retry_delay.ToNanoseconds() / 1e9
            assert 0 < wait <= 1.5
            await asyncio.sleep(wait)
            await export(receiver, protobuf([CHAT] * 3, first_id=11), key)
            await receiver.drain()
            return stored(receiver), prometheus_text(receiver)

    rows, metrics = asyncio.run(scenario())
    assert rows == {("org_a", "web"): 13}
    assert counts(metrics, "ecomind_quota_refusals") == {"org": 2}


def test_a_key_has_its_own_limit_and_one_organisation_never_spends_anothers(
    office: Office, running: Running
) -> None:
    office.quota("org_b", 1, 5)
    _, slow = office.key("org_a", "web", spans_per_second=1)  # burst 10
    _, fast = office.key("org_a", "web")
    _, other = office.key("org_b", "web")

    async def scenario() -> list[int]:
        async with running() as receiver:
            answers = [
                await post(receiver, protobuf([CHAT] * spans), **bearer(text))
                for text, spans in ((slow, 10), (slow, 1), (fast, 50), (other, 5), (other, 1))
            ]
            return [answer.status_code for answer in answers]

    assert asyncio.run(scenario()) == [200, 429, 200, 200, 429]


def test_a_page_of_the_origin_may_send_with_a_public_key(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web", [Scope.INGEST], public=True, origins=[SHOP])

    async def preflight(receiver: Receiver, origin: str) -> httpx.Response:
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.options(
                f"http://127.0.0.1:{receiver.http_port}/v1/traces",
                headers={"origin": origin, "access-control-request-method": "POST"},
            )

    async def scenario() -> None:
        async with running() as receiver:
            asked = await preflight(receiver, SHOP)
            assert (asked.status_code, asked.headers["access-control-allow-origin"]) == (204, SHOP)
            assert "authorization" in asked.headers["access-control-allow-headers"]
            sent = await post(receiver, protobuf([CHAT]), **bearer(text), origin=SHOP)
            assert (sent.status_code, sent.headers["access-control-allow-origin"]) == (200, SHOP)
            assert (await preflight(receiver, "https://evil.example")).status_code == 403
            unknown = await post(receiver, protobuf([CHAT]), **bearer("x"), origin=SHOP)
            assert unknown.status_code == 401  # and the page may read that it is
            assert unknown.headers["access-control-allow-origin"] == SHOP
            stolen = await post(
                receiver, protobuf([CHAT]), **bearer(text), origin="https://evil.example"
            )
            assert stolen.status_code == 403
            assert "access-control-allow-origin" not in stolen.headers
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await export(receiver, protobuf([CHAT]), ("authorization", f"Bearer {text}"))
            assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED

    asyncio.run(scenario())


def test_a_public_key_sends_little_at_once(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web", [Scope.INGEST], public=True, origins=[SHOP])  # 20/s
    note = {"service.name": "x" * 1_100_000}

    async def scenario() -> list[int]:
        async with running() as receiver:
            bodies = (protobuf([CHAT] * 201), protobuf([CHAT], resource=note), protobuf([CHAT] * 9))
            sent = [await post(receiver, body, **bearer(text), origin=SHOP) for body in bodies]
            packed = gzip.compress(bodies[1])
            gzipped = {"origin": SHOP, "content_encoding": "gzip"}
            sent.append(await post(receiver, packed, **bearer(text), **gzipped))
            return [answer.status_code for answer in sent]

    assert asyncio.run(scenario()) == [413, 413, 200, 413]


def test_bombs_of_one_organisation_do_not_hold_up_another(office: Office, running: Running) -> None:
    """Forty bodies that inflate to the limit, and meanwhile small ones of somebody else."""
    _, noisy = office.key("org_a", "web")
    _, quiet = office.key("org_b", "web")
    bomb = gzip.compress(bytes(63 * 1024 * 1024))

    async def scenario() -> None:
        async with running() as receiver:
            bombs = [
                asyncio.create_task(post(receiver, bomb, **bearer(noisy), content_encoding="gzip"))
                for _ in range(40)
            ]
            await asyncio.sleep(0.2)
            for number in range(1, 6):
                body = protobuf([CHAT], first_id=number)
                assert (await post(receiver, body, **bearer(quiet))).status_code == 200
            assert not all(task.done() for task in bombs), "there was nothing to wait for"
            for task in bombs:
                task.cancel()
            await asyncio.gather(*bombs, return_exceptions=True)

    asyncio.run(scenario())


def test_an_unexpected_error_is_worth_a_retry_and_tells_nothing(
    office: Office, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, text = office.key("org_a", "web")

    async def scenario() -> None:
        async with running() as receiver:

            async def broken(*_: object, **__: object) -> None:
                raise ValueError("secret detail")

            monkeypatch.setattr(receiver.spool, "append", broken)
            answer = await post(receiver, protobuf([CHAT]), **bearer(text))
            assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
            assert b"secret" not in answer.content
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await export(receiver, protobuf([CHAT]), ("authorization", f"Bearer {text}"))
            assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
            assert "secret" not in str(refused.value.details())

    asyncio.run(scenario())


def test_a_person_has_another_pseudonym_in_each_organisation(
    office: Office, running: Running
) -> None:
    keys = [office.key(org, "web")[1] for org in ("org_a", "org_b")]
    spans = [
        CHAT | {"user.id": "alice", "session.id": "s-1"},
        CHAT | {"user.id": "alice"},
        CHAT | {"installation.id": "alice"},
        CHAT,
    ]

    async def scenario() -> list[dict[str, Any]]:
        async with running() as receiver:
            for text in keys:
                await post(receiver, protobuf(spans), **bearer(text))
            await receiver.drain()
            return receiver.store.query(
                "SELECT org_id, user_hash, session_hash FROM calls ORDER BY org_id, span_id"
            )

    rows = asyncio.run(scenario())
    users = [
        [row["user_hash"] for row in rows if row["org_id"] == org] for org in ("org_a", "org_b")
    ]
    for hashes in users:
        assert hashes[0] == hashes[1] == hashes[2] != 0
        assert hashes[3] == 0
    assert users[0][0] != users[1][0]
    sessions = {row["session_hash"] for row in rows} - {0}
    assert len(sessions) == 2
    assert sessions.isdisjoint(users[0] + users[1])


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "ecomind.example"])
def test_beyond_loopback_a_process_without_keys_does_not_start(tmp_path: Path, host: str) -> None:
    settings = make_settings(tmp_path, host=host)

    async def start() -> None:
        await Receiver(settings).start()

    with pytest.raises(StartError, match=r"only with API keys.*ecomind keys create"):
        asyncio.run(start())


def test_beyond_loopback_it_asks_for_the_key(office: Office, running: Running) -> None:
    _, text = office.key("org_a", "web")

    async def scenario() -> list[int]:
        async with running(host="0.0.0.0", auth="auto") as receiver:
            answers = [await post(receiver, protobuf([CHAT]), **h) for h in ({}, bearer(text))]
            return [answer.status_code for answer in answers]

    assert asyncio.run(scenario()) == [401, 200]


def test_a_large_request_without_a_key_is_refused_before_it_is_read(
    office: Office, running: Running
) -> None:
    async def scenario() -> bytes:
        async with running() as receiver:
            reader, writer = await asyncio.open_connection("127.0.0.1", receiver.http_port)
            writer.write(
                b"POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n"
                b"content-length: 60000000\r\n\r\n"
            )  # and not one byte of the body
            line = await asyncio.wait_for(reader.readline(), 5)
            writer.close()
            return line

    assert asyncio.run(scenario()).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("pepper", ["another of its version", "a newer one alone"])
def test_keys_that_can_t_be_checked_open_no_server_beyond_loopback(
    office: Office, tmp_path: Path, pepper: str
) -> None:
    office.key("org_a", "web")
    fresh = secrets.token_hex(32)
    given = fresh if pepper == "another of its version" else f"2:{fresh}"
    receiver = Receiver(make_settings(tmp_path, host="0.0.0.0", key_pepper=given))
    with pytest.raises(StartError, match=r"1 were made with another pepper. Set ECOMIND_KEY_PEP"):
        asyncio.run(receiver.start())

"""The API over a real receiver: the same bytes in and out that a client sees."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from support.clickhouse_server import STORES, store_settings
from support.otlp import CHAT, protobuf
from support.receiver import make_settings

from ecomind_query.app import create_app
from ecomind_query.desk import AT_ONCE, WAITING_MAX
from ecomind_query.once import Once
from ecomind_receiver.control.store import ControlError
from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.refusals import Refusal, RequestRefused
from ecomind_receiver.server import Receiver
from ecomind_receiver.tenants import LOCAL, Reach

EVENT: dict[str, Any] = {
    "org_id": "org_demo",
    "user_id": "user_alice",
    "provider": "openai",
    "model": "gpt-4o",
    "tokens_in": 100,
    "tokens_out": 50,
    "region": "US-CAISO",
}
LOOPBACK = ("127.0.0.1", 50_000)


class Api:
    """A client of the application, in the receiver's own event loop."""

    def __init__(self, runner: asyncio.Runner, receiver: Receiver, app: FastAPI) -> None:
        self.runner = runner
        self.receiver = receiver
        self.app = app

    def __call__(
        self, method: str, path: str, *, client: tuple[str, int] = LOOPBACK, **options: Any
    ) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.app, client=client)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
                return await http.request(method, path, **options)

        return self.runner.run(ask())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self("GET", path, **options)

    def event(self, **given: Any) -> httpx.Response:
        return self("POST", "/v1/ingest", json=EVENT | given)

    def drain(self) -> None:
        self.runner.run(self.receiver.drain())


@pytest.fixture(scope="module", params=STORES)
def api(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with store_settings(request.param) as values, asyncio.Runner() as runner:
        settings = make_settings(tmp_path_factory.mktemp("api"), **values)
        receiver = Receiver(settings, listeners=False)
        runner.run(receiver.start())
        try:
            yield Api(runner, receiver, create_app(receiver, settings))
        finally:
            runner.run(receiver.stop())


def problem(response: httpx.Response, status: int) -> str:
    """The sentence of a problem, which has the shape of RFC 9457."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert set(body) == {"type", "title", "status", "detail", "request_id", "errors"}
    assert (body["status"], body["request_id"]) == (status, response.headers["x-request-id"])
    return str(body["detail"])


def test_the_event_of_the_readme_becomes_a_call(api: Api) -> None:
    accepted = api.event(user_id="user_readme", team="readme")
    assert accepted.status_code == 202
    assert accepted.json()["duplicate"] is False
    api.drain()
    detail = api.get(f"/v1/calls/{accepted.json()['id']}").json()
    call = detail["call"]
    assert (call["provider"], call["request_model"], call["place"]) == (
        "openai",
        "gpt-4o",
        "US-CAISO",
    )
    assert (call["input_tokens"], call["output_tokens"], call["team"]) == (100, 50, "readme")
    assert (call["counted"], call["model_tier"]) == (True, "D")
    assert detail["coefficients"]["zone"] == "US-CAISO"
    usage = api.get("/v1/usage", params={"team": "readme", "group_by": "region"}).json()
    assert [row["group"] for row in usage["rows"]] == [{"region": "US-CAISO"}]
    assert usage["total"]["energy_wh"] == pytest.approx(detail["energy_wh"])
    assert usage["total"]["cost_usd"] == pytest.approx(100 * 2.5e-6 + 50 * 10e-6)


def test_an_event_goes_to_its_key_whatever_it_names(api: Api) -> None:
    names = {"org_id": "org_other", "project": "other"}
    named, plain = api.event(event_id="n1", team="named", **names), api.event(event_id="n1")
    assert (named.status_code, plain.status_code) == (202, 202)
    assert named.json()["ignored"] == ["org_id", "project"]
    assert plain.json() == {"id": named.json()["id"], "duplicate": True, "ignored": []}
    api.drain()
    usage = api.get("/v1/usage", params={"team": "named", "group_by": "project"}).json()
    assert [row["group"] for row in usage["rows"]] == [{"project": LOCAL.project_id}]


def test_a_repeated_event_is_stored_once(api: Api) -> None:
    """Before its first copy is loaded, after it, and when another process takes the repeat."""
    answers = [api.event(event_id="order-1", team="repeats") for _ in range(2)]
    api.drain()
    answers.append(api.event(event_id="order-1", team="repeats"))
    restarted = Api(api.runner, api.receiver, create_app(api.receiver, api.receiver.settings))
    answers.append(restarted.event(event_id="order-1", team="repeats"))
    api.drain()
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert [answer.json()["duplicate"] for answer in answers] == [False, True, True, True]
    usage = api.get("/v1/usage", params={"team": "repeats"}).json()
    assert usage["total"]["calls"] == 1


def test_events_without_an_id_push_no_other_out(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ecomind_query.routes.Once", lambda: Once(kept=1))
    again = Api(api.runner, api.receiver, create_app(api.receiver, api.receiver.settings))
    given = {"event_id": "order-2", "team": "kept"}
    answers = [again.event(**event) for event in (given, {}, {}, given)]
    assert [answer.json()["duplicate"] for answer in answers] == [False, False, False, True]


def test_every_question_goes_through_the_desk(api: Api) -> None:
    """While the organisation's line is full, all that reads is told to wait; the rest goes on."""
    desk, let, places = api.app.state.desk, threading.Event(), AT_ONCE + WAITING_MAX
    asked: list[asyncio.Task[bool]] = []

    async def fill() -> None:
        for _ in range(places):
            asking = desk.ask(lambda _: let.wait(30), Reach(LOCAL.org_id))
            asked.append(asyncio.create_task(asking))
        await asyncio.sleep(0)  # each asks

    api.runner.run(fill())
    call = f"calls/{'0' * 32}"
    try:
        for path in ("usage", "today", "aggregate/daily", "overview", "calls", call,
                     "diagnostics/spans"):  # fmt: skip
            answer = api.get(f"/v1/{path}")
            assert "16 wait" in problem(answer, 429), path
            assert answer.headers["retry-after"] == "5"
        assert problem(api("POST", "/v1/sql", json={"sql": "SELECT 1 AS one"}), 429)
        for path in ("", "fragments/overview", "calls", call):
            assert api.get(f"/{path}").status_code == 429, path
        assert problem(api.event(event_id="order-3"), 429)
        assert api.event().status_code == 202
        assert api.get("/ready").status_code == 200
    finally:
        let.set()
        api.runner.run(asyncio.wait(asked))
    assert api.event(event_id="order-3").status_code == 202


def test_spans_over_otlp_are_in_every_answer(api: Api) -> None:
    body = protobuf([CHAT | {"ecomind.team": "otlp"}] * 3, first_id=1000)
    api.runner.run(api.receiver.accept(LOCAL, body, PROTOBUF))
    api.drain()
    assert api.get("/v1/usage", params={"team": "otlp"}).json()["total"]["calls"] == 3
    calls = api.get("/v1/calls", params={"team": "otlp", "limit": 2}).json()
    assert len(calls["calls"]) == 2
    rest = api.get("/v1/calls", params={"team": "otlp", "cursor": calls["next_cursor"]}).json()
    assert (len(rest["calls"]), rest["next_cursor"]) == (1, None)
    assert api.get("/v1/today").json()["calls"] >= 3
    assert api.get("/v1/aggregate/daily").json()["rows"][-1]["totals"]["calls"] >= 3
    overview = api.get("/v1/overview", params={"trend_days": 7}).json()
    assert "otlp" in {row["group"]["team"] for row in overview["top_teams"]}
    spans = api.get("/v1/diagnostics/spans").json()
    assert spans["spans"][0]["outcome"] == "stored"
    assert spans["outcomes_24h"]["stored"] >= 3
    statement = {"sql": "SELECT sum(calls) FROM usage_hourly WHERE team = 'otlp'"}
    assert api("POST", "/v1/sql", json=statement).json()["rows"] == [[3]]


@pytest.mark.parametrize(
    ("given", "status", "sentence"),
    [
        ({"region": "nowhere"}, 422, "region: 'nowhere' is not known"),
        ({"tokens_in": -1}, 422, "body.tokens_in: Input should be greater than or equal to 0"),
        ({"tokens_in": "100"}, 422, "body.tokens_in"),
        ({"tokens_in": 10**9}, 422, "body.tokens_in"),
        ({"model": ""}, 422, "body.model"),
        ({"cache_read_tokens": 200}, 422, "tokens_in must include cache_read_tokens"),
        ({"reasoning_tokens": 51}, 422, "tokens_out must include reasoning_tokens"),
        ({"timestamp": "2026-11-18T00:00:00"}, 422, "body.timestamp"),
        ({"timestamp": "2020-01-01T00:00:00Z"}, 422, "timestamp: 2020-01-01"),
        ({"prompt": "secret"}, 422, "body.prompt: there is no such field"),
    ],
)
def test_bad_events(api: Api, given: dict[str, Any], status: int, sentence: str) -> None:
    response = api.event(**given)
    assert sentence in problem(response, status)
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/v1/usage?groupby=model", "query.groupby: there is no such field"),
        ("/v1/usage?group_by=colour", "group_by: 'colour' is not one of model, provider, team"),
        ("/v1/usage?from=2026-11-18T00:00:00", "from: '2026-11-18T00:00:00' has no time zone"),
        ("/v1/usage?from=2026-11-19&to=2026-11-18", "must be before to"),
        ("/v1/calls?limit=0", "query.limit"),
        ("/v1/calls?cursor=xyz", "cursor: is not a cursor of this list"),
        ("/v1/calls?counted=maybe", "counted: 'maybe' must be true or false"),
        ("/v1/calls/xyz", "path.id"),
        ("/v1/overview?trend_days=14", "trend_days: 14 must be 7 or 30"),
        ("/v1/aggregate/daily?from=2001-01-01", "at most 3660 days"),
    ],
)
def test_bad_questions(api: Api, path: str, sentence: str) -> None:
    assert sentence in problem(api.get(path), 422)


def test_bodies_that_are_not_events(api: Api) -> None:
    def send(body: bytes, media_type: str = "application/json") -> httpx.Response:
        return api("POST", "/v1/ingest", content=body, headers={"Content-Type": media_type})

    assert "must be application/json" in problem(send(b"{}", "text/plain"), 415)
    problem(send(b"{", "application/json"), 422)
    assert "larger than 65536 bytes" in problem(send(b" " * 70_000), 413)

    def chunks() -> Any:
        async def parts() -> Any:
            for _ in range(70):
                yield b" " * 1000

        return parts()

    chunked = api(
        "POST", "/v1/ingest", content=chunks(), headers={"Content-Type": "application/json"}
    )
    assert "larger than 65536 bytes" in problem(chunked, 413)


def test_unknown_paths_calls_and_methods(api: Api) -> None:
    assert "nothing at /v1/nope" in problem(api.get("/v1/nope"), 404)
    assert problem(api.get(f"/v1/calls/{'0' * 32}"), 404) == "No call with this id."
    assert "DELETE is not possible" in problem(api("DELETE", "/v1/usage"), 405)
    assert problem(api.get("/docs"), 404)
    page = api.get("/nope", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", ["/", "/calls", "/v1/today", "/openapi.json", "/v1/nope"])
def test_headers_of_every_answer(api: Api, path: str) -> None:
    headers = api.get(path).headers
    policy = dict(
        part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert headers["x-content-type-options"] == "nosniff"
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8080", 200),
        ("127.0.0.1:8080", 200),
        ("[::1]:8080", 200),
        ("LOCALHOST", 200),
        ("evil.example", 421),
        ("localhost.evil.example:8080", 421),
        ("127.0.0.1.evil.example", 421),
        ("", 421),
    ],
)
def test_only_own_names_in_the_host_header(api: Api, host: str, status: int) -> None:
    assert api.get("/health", headers={"Host": host}).status_code == status


def test_a_statement_that_changes_something_is_refused(api: Api) -> None:
    assert "must start with SELECT" in problem(
        api("POST", "/v1/sql", json={"sql": "DROP TABLE calls"}), 400
    )


def test_a_measured_call_is_explained(api: Api) -> None:
    asked: dict[str, Any] = {"model": "gpt-4o", "provider": "openai", "output_tokens": 300}
    answer = api.get("/v1/explain", params=asked | {"measured_energy_wh": 0.5}).json()
    assert (answer["tier_energy"], answer["method"]) == ("A", "measured")
    assert answer["energy_wh"]["mid"] == pytest.approx(0.6)
    refused = api.get("/v1/explain", params=asked | {"measured_energy_wh": -0.5})
    assert "measured_energy_wh" in problem(refused, 422)


def test_health_and_metrics(api: Api) -> None:
    assert api.get("/health").json() == {"status": "alive"}
    ready = api.get("/ready")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert set(ready.json()["parts"]) == {"spool", "store", "terms"}
    metrics = api.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "ecomind_receiver_spans_total" in metrics.text


def test_not_ready_while_no_write_would_be_durable(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.receiver.spool, "error", "the disk is full")
    ready = api.get("/ready")
    assert ready.status_code == 503
    assert ready.json()["parts"]["spool"] == {"ready": False, "detail": "the disk is full"}

    async def refuse(*_: object, **__: object) -> int:
        raise RequestRefused(Refusal.UNAVAILABLE, "Not accepted now: the disk is full.")

    monkeypatch.setattr(api.receiver, "accept", refuse)
    refused = api.event()
    assert problem(refused, 503) == "Not accepted now: the disk is full."
    assert int(refused.headers["retry-after"]) > 0


def test_terms_that_can_not_be_read_are_told_and_keep_nobody_out(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = {"ready": True, "detail": "what organisations approved is up to date"}
    assert api.get("/ready").json()["parts"]["terms"] == terms

    def away() -> None:
        raise ControlError("The control store is away.")

    monkeypatch.setattr(api.receiver.agreements, "refresh", away)
    deadline = time.monotonic() + 10
    while not api.receiver.agreements.error:  # it looks once a second
        assert time.monotonic() < deadline
        time.sleep(0.02)
    ready = api.get("/ready")
    assert (ready.status_code, ready.json()["ready"]) == (200, True)
    assert ready.json()["parts"]["terms"] == {
        "ready": False,
        "detail": "what organisations approved can't be read; the last known holds: The control"
        " store is away.",
    }


def test_an_error_of_ours_is_a_problem_and_one_log_line(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(api.receiver.store, "query", broken)
    with caplog.at_level(logging.INFO, "ecomind.api"):
        response = api.get("/v1/today")
    assert "Internal error" in problem(response, 500)
    assert "secret" not in response.text
    told = [record.message for record in caplog.records if record.name == "ecomind.api"]
    assert told == ["request failed", "request"]  # the reconcile job may fail meanwhile as well


def test_one_log_line_a_request_without_query_or_content(
    api: Api, caplog: pytest.LogCaptureFixture
) -> None:
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    traced = {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
    with caplog.at_level(logging.INFO, "ecomind.api"):
        answer = api.get(f"/v1/calls/{'0' * 32}?team=secret", headers=traced)
    (record,) = caplog.records
    line = {name: vars(record)[name] for name in ("method", "route", "status", "org", "trace_id")}
    assert line == {
        "method": "GET",
        "route": "/v1/calls/{id}",
        "status": answer.status_code,
        "org": "org_demo",
        "trace_id": trace_id,
    }
    assert vars(record)["request_id"] == answer.headers["x-request-id"]
    assert "secret" not in json.dumps(vars(record), default=str)


def test_every_route_is_described_with_an_example(api: Api) -> None:
    document = api.get("/openapi.json").json()
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert set(operations) == {
        "GET /health",
        "GET /ready",
        "GET /metrics",
        "GET /v1/usage",
        "GET /v1/today",
        "GET /v1/aggregate/daily",
        "GET /v1/explain",
        "GET /v1/closes",
        "GET /v1/restatements",
        "POST /v1/restatements",
        "POST /v1/backups",
        "GET /v1/whatif",
        "GET /v1/overrides",
        "GET /v1/overview",
        "GET /v1/calls",
        "GET /v1/calls/{id}",
        "POST /v1/ingest",
        "GET /v1/diagnostics/spans",
        "POST /v1/sql",
    }
    for name, operation in operations.items():
        assert operation["summary"] and operation["description"], name
        errors = {s: r for s, r in operation["responses"].items() if int(s) >= 400 and s != "503"}
        assert all("application/problem+json" in r["content"] for r in errors.values()), name
    assert document["components"]["schemas"]["Event"]["examples"] == [EVENT]

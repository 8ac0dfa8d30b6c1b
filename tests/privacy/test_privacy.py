"""Prompts are not kept: no word of them lies in any file, log, memory file, Redis key or answer.

A real server takes every capture with a word of its own in every place that could hold content,
over HTTP and gRPC, in JSON and protobuf, besides records that can't be loaded and requests that are
refused. It logs at the finest level. Then everything it leaves behind is searched, while it runs
and after it has stopped; a name that may be stored shows that the search finds what there is.
"""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from isolation.leaks import redis_keys
from privacy.planting import MORE, Planter
from privacy.searching import Words, in_folder, open_memory
from privacy.sending import WAYS, answers, as_protobuf, ask_api, send
from support.otlp import CHAT, json_request
from support.receiver import make_settings
from support.redis_server import redis_server

from ecomind_query.bench.process import Server
from ecomind_query.conformance.target import Target
from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.store import Store
from ecomind_semconv import dialects

CAPTURES = Path(__file__).parents[1] / "data" / "captures"
FILES = sorted(CAPTURES.rglob("*.json"))
_SECONDS = 60.0


class Run(NamedTuple):
    """What a server was sent and what was found, by where it was looked for."""

    words: Words
    labels: Words
    places: dict[str, set[str]]
    control: dict[str, set[str]]
    spans: dict[str, int]
    folder: Path


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    """A Redis for the server where there is one; the rest is searched without it as well."""
    if shutil.which("redis-server") is None:
        yield ""
        return
    with redis_server() as server:
        yield server.url


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Run:
    """Send everything to a server, then look everywhere."""
    folder = tmp_path_factory.mktemp("private")
    settings = {
        "ECOMIND_LOG_LEVEL": "debug",
        "ECOMIND_RETENTION_DAYS": "3650",
        "ECOMIND_NAMES_PER_DAY_MAX": "100000",
        "ECOMIND_QUOTA_SPANS_PER_SECOND": "10",  # Redis forgets a bucket once it is full again
        "ECOMIND_QUOTA_BURST_SECONDS": "100000",
    }
    server = Server(folder, settings | ({"ECOMIND_REDIS_URL": redis_url} if redis_url else {}))
    made = Run(Words(), Words(), {}, {}, {}, folder)
    server.start()
    try:
        _send_all(server, made)
        _look(made, "files, not loaded yet", lambda words: in_folder(words, folder))
        server.wait_drained(_SECONDS)
        spans = server.counters()
        made.spans.update(stored=spans.stored_spans, dropped=spans.dropped_spans)
        _look_at_a_running(server, made)
        if redis_url:
            text = repr(redis_keys(redis_url))
            assert "ecomind:{" in text  # the server does use it
            _look(made, "Redis", lambda words: words.in_text(text))
    finally:
        server.stop()
    _look_at_a_stopped(server, made)
    return made


def _look(run: Run, place: str, search: Callable[[Words], set[str]]) -> None:
    run.places[place] = search(run.words)
    run.control[place] = search(run.labels)


def _look_at_a_running(server: Server, run: Run) -> None:
    _look(run, "files of a running server", lambda words: in_folder(words, run.folder))
    for name, data in open_memory(server.pid).items():
        _look(run, f"memory file {name}", lambda words, data=data: words.found(data))  # type: ignore[misc]
    for name, text in answers(server):
        _look(run, name, lambda words, text=text: words.in_text(text))  # type: ignore[misc]


def _look_at_a_stopped(server: Server, run: Run) -> None:
    _look(run, "files of a stopped server", lambda words: in_folder(words, run.folder))
    log = (run.folder / "server.log").read_text("utf-8", "surrogateescape")
    assert '"level": "debug"' in log
    _look(run, "log", lambda words: words.in_text(log))
    store = Store(make_settings(run.folder, retention_days=3650))
    try:
        tables = store.query(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'View'"
        )
        assert len(tables) > 5
        for name in (table["name"] for table in tables):
            rows = store.query(f"SELECT toString(tuple(*)) AS row FROM {name}")
            text = "\n".join(row["row"] for row in rows)
            _look(run, f"stored table {name}", lambda words, text=text: words.in_text(text))  # type: ignore[misc]
    finally:
        store.close()


# What is sent


def _send_all(server: Server, run: Run) -> None:
    with Target.of(server).channel() as channel:
        for path in FILES:
            signal = path.name.split(".")[-2]
            for way in WAYS if signal in ("traces", "logs", "metrics") else ():
                planter = Planter(run.words, f"{path.parent.name}/{path.name}, {way}")
                send(server, channel, signal, way, planter.planted(json.loads(path.read_text())))
        for way in WAYS:
            planter = Planter(run.words, f"by hand, {way}")
            for signal, document in _by_hand(run, planter):
                send(server, channel, signal, way, document)
        _send_malformed(server, channel, run)


def _by_hand(run: Run, planter: Planter) -> Iterator[tuple[str, dict[str, Any]]]:
    """Spans of every blob key and way of quoting; none of ours; a name that may be stored."""
    blobs = [
        CHAT | {key: blob}
        for key in dialects.FIELDS["usage_blob"]
        for blob in planter.blobs({"input": 7})
    ]
    given: tuple[list[dict[str, Any]], ...] = (blobs, [{"db.system": "x"}], [{}])
    for attributes in given:
        document = json.loads(json_request(attributes, first_id=1_000_000 + len(attributes)))
        if attributes is not blobs:
            document = planter.planted(document)
        yield "traces", document
    label, rest = run.labels.word("service.name"), run.words.word("service.name beyond its limit")
    name = label.ljust(dialects.MAX_NAME_LENGTH, "-") + rest
    document = planter.planted(json.loads(json_request([CHAT] * 3, first_id=2_000_000)))
    resource = document["resourceSpans"][0]["resource"]["attributes"]
    resource.append({"key": "service.name", "value": {"stringValue": name}})
    yield "traces", document
    record = {"timeUnixNano": str(time.time_ns()), "attributes": []}
    yield (
        "logs",
        planter.planted({"resourceLogs": [{"scopeLogs": [{"logRecords": [record] * 2}]}]}),
    )


def _send_malformed(server: Server, channel: grpc.Channel, run: Run) -> None:
    """Records that are poison, and requests that are refused: neither answer nor log repeats it."""
    planter = Planter(run.words, "poison")
    document = planter.planted(json.loads(json_request([CHAT], first_id=3_000_000)))
    text = json.dumps(document)
    poison = text.replace('"300"', "1e400").encode()
    assert Target.of(server).post(poison, JSON).status == 200
    word = run.words.word("poisoned protobuf").encode()
    span = b"\x0a\x10" + b"t" * 16 + b"\x12\x08" + b"s" * 8 + b"\x2a\x14" + word + b"\xff"
    scope = b"\x12" + bytes([len(span)]) + span
    body = b"\x0a" + bytes([len(scope) + 2]) + b"\x12" + bytes([len(scope)]) + scope
    assert Target.of(server).post(body).status == 200
    for name, malformed, media_type in _malformed(run.words, text, document):
        for path in ("/v1/traces", "/v1/logs"):
            reply = Target.of(server).post(malformed, media_type, path=path)
            assert reply.status in range(400, 500), (name, reply)
            said = f"{reply.body!r} {reply.headers}"
            _look(run, f"answer to {name}", lambda words, said=said: words.in_text(said))  # type: ignore[misc]
        said = _said_over_grpc(channel, malformed)
        _look(run, f"gRPC: {name}", lambda words, said=said: words.in_text(said))  # type: ignore[misc]
    for encoding in ("gzip", "deflate", "zstd", run.words.word("content encoding")):
        reply = Target.of(server).post(text.encode(), JSON, encoding=encoding)
        assert reply.status in (400, 415)
        _look(run, f"answer to {encoding[:7]}", lambda words, r=reply: words.in_text(str(r)))  # type: ignore[misc]
    cut = gzip.compress(text.encode())[:-20]
    assert Target.of(server).post(cut, JSON, encoding="gzip").status == 400
    assert Target.of(server).post(b"", path=f"/v1/{run.words.word('path')}?q=x").status == 404
    assert Target.of(server).post(b"", path=f"/v1/traces?q={run.words.word('query')}").status == 200
    _send_events(server, run)


def _malformed(
    words: Words, text: str, document: dict[str, Any]
) -> Iterator[tuple[str, bytes, str]]:
    protobuf = as_protobuf("traces", {**document})
    word = words.word("malformed")
    yield "protobuf, cut", protobuf[:-7], PROTOBUF
    yield "JSON as protobuf", text.encode(), PROTOBUF
    yield "protobuf as JSON", protobuf, JSON
    yield "JSON, cut", text.encode()[:-7], JSON
    yield "a word", json.dumps(word).encode(), JSON
    yield "a bare word", word.encode(), JSON
    yield "not UTF-8", text.encode().replace(b"gpt-4o", b"gpt\xff" + word.encode()), JSON
    wrong: Any
    for wrong in (word, [word], {"scopeSpans": word}, {word: 1, "scopeSpans": [word]}):
        groups = [wrong] if isinstance(wrong, dict) else wrong
        made = {"resourceSpans": groups, "resourceLogs": word}
        yield f"wrong type {type(wrong).__name__}", json.dumps(made).encode(), JSON
    yield "another type", text.encode(), f"text/{word}"


def _said_over_grpc(channel: grpc.Channel, body: bytes) -> str:
    method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    try:
        channel.unary_unary(method)(body, timeout=30)
    except grpc.RpcError as error:
        return f"{error.code()} {error.details()} {error.trailing_metadata()}"
    return ""


def _send_events(server: Server, run: Run) -> None:
    """Events of POST /v1/ingest, which know no content: a field that might hold it is refused."""
    good = {"provider": "openai", "model": "gpt-4o", "tokens_in": 1, "tokens_out": 1}
    good |= {"region": "FR", "user_id": run.words.word("user_id of an event")}
    assert ask_api(server, "/v1/ingest", json.dumps(good).encode())[0] == 202
    word = run.words.word("event that is refused")
    for more in ({"prompt": word}, {"tokens_in": word}, {"timestamp": word}, {"user_id": [word]}):
        status, said = ask_api(server, "/v1/ingest", json.dumps(good | more).encode())
        assert status == 422
        _look(run, f"answer to {list(more)}", lambda words, said=said: words.in_text(said))  # type: ignore[misc]
    for body in (word.encode(), json.dumps({"sql": f"SELECT '{word}' FROM nowhere"}).encode()):
        assert ask_api(server, "/v1/sql", body)[0] in (400, 422)


# What is found


def test_no_word_of_content_is_found_anywhere(run: Run, report: Callable[[str], None]) -> None:
    found = {place: sorted(leaks)[:5] for place, leaks in run.places.items() if leaks}
    report(
        f"privacy: {len(run.words.planted):,} words in {run.spans}, looked for in"
        f" {len(run.places)} places, found in {len(found)}"
    )
    assert found == {}


def test_a_name_that_may_be_stored_is_found(run: Run) -> None:
    found = {place for place, labels in run.control.items() if labels}
    wanted = {"files of a running server", "files of a stopped server", "table calls", "calls"}
    wanted |= {"stored table calls", "stored table usage_hourly", "usage by service"}
    assert wanted <= found


def test_everything_was_taken(run: Run) -> None:
    """Captures, twins and poison: had they been refused, nothing would have been looked for."""
    assert len(FILES) == 85
    assert run.spans["stored"] > 300
    assert any((run.folder / "data" / "quarantine").glob("*.seg"))


def test_redis_was_searched(run: Run) -> None:
    if "Redis" not in run.places:
        pytest.skip("redis-server is not installed, so the server ran without it")
    assert run.places["Redis"] == set()


def test_every_key_of_the_conventions_for_content_is_planted() -> None:
    """Content that gen_ai conventions name by their own stems."""
    stems = ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions")
    assert {*stems, "input.value", "output.value", "traceloop.entity.input"} <= {*MORE}


FORMS: dict[str, Callable[[str], bytes]] = {
    "as it is": str.encode,
    "in capitals": lambda word: word.upper().encode(),
    "JSON": lambda word: json.dumps(f'é"{word}\n').encode(),
    "JSON in JSON": lambda word: json.dumps(json.dumps({"said": f'"{word}"'})).encode(),
    "hexadecimal": lambda word: b"f" + f"é{word}".encode().hex().encode(),
    "base64": lambda word: base64.b64encode(f"x{word}y".encode()),
    "base64, in other text": lambda word: b"ab" + base64.b64encode(f"xy{word}y".encode()) + b"c",
    "base64 for URLs": lambda word: base64.urlsafe_b64encode(b"\xfb\xff\xfe" + word.encode()),
    "UTF-16, little end first": lambda word: f"x{word}y".encode("utf-16-le"),
    "UTF-16, big end first": lambda word: f"x{word}y".encode("utf-16-be"),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_search_knows_the_form(form: str, tmp_path: Path) -> None:
    words = Words()
    word = words.word("prompt")
    noise = os.urandom(100_000)
    (tmp_path / "file").write_bytes(noise + FORMS[form](word) + noise)
    assert len(in_folder(words, tmp_path)) == 1


def test_the_search_finds_numbers_in_text_and_memory_files() -> None:
    words = Words()
    number, word = words.number("count"), words.word("prompt")
    assert words.in_text(f'{{"tokens":{number}}}') == {"count (number)"}
    descriptor = os.memfd_create("test-memory")
    os.write(descriptor, word.encode())
    held = [data for name, data in open_memory(os.getpid()).items() if "test-memory" in name]
    os.close(descriptor)
    assert [words.found(data) for data in held] == [{"prompt (plain)"}]

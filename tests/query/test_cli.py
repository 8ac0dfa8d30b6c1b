"""The command line as a person meets it: real processes, one `up` for the whole file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.otlp import CHAT, json_request, protobuf
from support.receiver import make_settings
from typer.testing import CliRunner

from ecomind_query import cli
from ecomind_query.commands import checks, running
from ecomind_query.shapes import SqlResult

START_SECONDS = 60


class Home(NamedTuple):
    """A data directory, and how to run `ecomind` on it."""

    path: Path

    @property
    def data(self) -> Path:
        return self.path / "data"

    def environment(self, **more: str) -> dict[str, str]:
        ours = {
            "ECOMIND_DATA_DIR": str(self.data),
            "ECOMIND_KEY_DIR": str(self.path / "keys"),
            "ECOMIND_API_PORT": "0",
            "ECOMIND_OTLP_HTTP_PORT": "0",
            "ECOMIND_OTLP_GRPC_PORT": "0",
            "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.05",
            "COLUMNS": "200",
        }
        return {**os.environ, **ours, **more}

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ecomind_query", *words]
        return subprocess.run(
            command, env=self.environment(**more), capture_output=True, text=True, timeout=120
        )

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


class Up(NamedTuple):
    """A running `ecomind up`."""

    home: Home
    process: subprocess.Popen[str]
    server: running.Server


def start(home: Home, *words: str) -> Up:
    with (home.path / "out").open("w") as out, (home.path / "err").open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "ecomind_query", "up", *words],
            env=home.environment(),
            stdout=out,
            stderr=err,
            text=True,
        )

    def answer() -> running.Server | None:
        assert process.poll() is None, (home.path / "err").read_text()
        return running.find(home.data)

    server = until(answer)
    return Up(home, process, server)


def until(answer: Callable[[], Any]) -> Any:
    """The first true answer; fails if none comes in time."""
    deadline = time.monotonic() + START_SECONDS
    while not (value := answer()):
        assert time.monotonic() < deadline, "nothing came in time"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    started = start(Home(tmp_path_factory.mktemp("up")))
    try:
        yield started
    finally:
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(30) == 0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def traces(folder: Path, first_id: int) -> list[Path]:
    """Seven spans in the three forms that files of traces have."""
    files = [folder / "lines.jsonl", folder / "one.json", folder / "raw.binpb"]
    lines = [json_request([CHAT] * 2, first_id=first_id + 10 * n) for n in range(2)]
    files[0].write_bytes(b"\n".join(lines) + b"\n\n")
    files[1].write_text(
        json.dumps(json.loads(json_request([CHAT], first_id=first_id + 50)), indent=1)
    )
    files[2].write_bytes(protobuf([CHAT] * 2, first_id=first_id + 60))
    return files


def test_up_says_where_it_is_and_what_an_app_needs(up: Up) -> None:
    told = (up.home.path / "err").read_text()
    assert up.server.api in told
    assert f"export OTEL_EXPORTER_OTLP_ENDPOINT={up.server.otlp_http}" in told
    assert "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf" in told
    assert up.server.get("/ready")["ready"] is True


def test_up_logs_one_json_object_a_line(up: Up) -> None:
    up.server.get("/health")
    lines = (up.home.path / "out").read_text().splitlines()
    requests = [line for line in map(json.loads, lines) if line["logger"] == "ecomind.api"]
    assert requests[-1]["route"] in ("/health", "/ready")


def test_files_go_over_otlp_to_the_running_server_and_are_read_through_it(
    up: Up, tmp_path: Path
) -> None:
    traces(tmp_path, first_id=1000)
    sent = up.home.json("ingest", str(tmp_path))
    assert sent == {"files": 3, "requests": 4, "spans": 7, "errors": {}}
    until(lambda: up.home.json("usage")["total"]["calls"] >= 7)
    usage = up.home.json("usage", "--group-by", "model,service", "--last", "1h")
    assert {row["group"]["model"] for row in usage["rows"]} == {"gpt-4o"}
    table = up.home.run("usage", "-g", "model").stdout
    assert "gpt-4o" in table and "judgement bands" in table
    (row,) = up.home.json("sql", "SELECT sum(sign) AS calls FROM calls WHERE counted")["rows"]
    assert row == [usage["total"]["calls"]]
    spans = up.home.json("doctor", "--telemetry")["spans"]
    assert spans[0]["outcome"] == "stored"
    assert "yes" in up.home.run("doctor", "--telemetry").stdout


def test_an_invoice_goes_to_the_running_server(up: Up, tmp_path: Path) -> None:
    file = tmp_path / "invoice.csv"
    today = time.strftime("%Y-%m-%d", time.gmtime())
    file.write_text(f"date,provider,amount_usd,team\n{today},openai,100,invoiced\n")
    sent = up.home.json("spend", "import", str(file))
    assert (sent["lines"], sent["sent"], sent["counted"]) == (1, True, None)

    def found() -> Any:
        rows = up.home.json("usage", "--group-by", "team", "--last", "2d")["rows"]
        return [row["totals"] for row in rows if row["group"]["team"] == "invoiced"]

    (totals,) = until(found)
    assert (totals["calls"], totals["cost_usd"]) == (1, 100.0)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sql", "DROP TABLE calls"], "must start with SELECT"),
        (["sql", "SELECT * FROM system.tables"], "can't be read from"),
        (["usage", "-g", "colour"], "'colour' is not one of model, provider"),
        (["usage", "--from", "yesterday"], "is not a time"),
        (["usage", "--last", "soon"], "is not a length"),
        (["usage", "--last", "7d", "--from", "2026-11-01"], "not both"),
    ],
)
def test_bad_questions_through_the_server(up: Up, words: Sequence[str], sentence: str) -> None:
    done = up.home.run(*words)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr


def test_a_second_process_on_the_data_directory_is_told(up: Up) -> None:
    done = up.home.run("up")
    assert done.returncode == 2
    assert f"Another Ecomind process (pid {up.process.pid}) already uses" in done.stderr


def test_doctor_beside_a_running_server(up: Up) -> None:
    findings = {finding["name"]: finding for finding in up.home.json("doctor")}
    assert str(up.process.pid) in findings["server"]["detail"]
    assert {"spool", "store", "engine", "clock", "data_dir", "chdb"} <= findings.keys()
    assert "port 0" not in findings


def test_stop_is_clean_and_what_was_acknowledged_is_stored(home: Home, tmp_path: Path) -> None:
    started = start(home, "--json")
    try:
        sent = home.json("ingest", str(traces(tmp_path, first_id=1)[0]))
    finally:
        started.process.send_signal(signal.SIGINT)
        assert started.process.wait(30) == 0
    lines = [json.loads(line) for line in (home.path / "out").read_text().splitlines()]
    (announced,) = [line for line in lines if "api" in line]
    assert announced == started.server._asdict() | {"data_dir": str(home.data)}
    assert not (home.data / "server.json").exists()
    assert home.json("usage")["total"]["calls"] == sent["spans"] == 4


def test_a_killed_server_is_recognised(home: Home) -> None:
    started = start(home)
    started.process.kill()
    started.process.wait()
    assert (home.data / "server.json").exists()
    assert running.find(home.data) is None
    assert home.json("usage")["total"]["calls"] == 0


def test_files_without_a_server_take_the_same_path(home: Home, tmp_path: Path) -> None:
    files = traces(tmp_path, first_id=1)
    (tmp_path / "bad.json").write_text('{"resourceSpans": [\n')
    (tmp_path / "worse.pb").write_bytes(b"\xff\xff\xff")
    (tmp_path / "other.json").write_text('{"hello": "world"}\n')
    files += [tmp_path / name for name in ("bad.json", "worse.pb", "none.json", "other.json")]
    done = home.run("ingest", *map(str, files), "--json")
    summary = json.loads(done.stdout)
    assert done.returncode == 1
    assert (summary["files"], summary["requests"], summary["spans"]) == (3, 5, 7)
    assert summary["errors"] == {
        str(
            tmp_path / "bad.json"
        ): "line 1: it is not JSON: Expecting value: line 2 column 1 (char 20)",
        str(tmp_path / "worse.pb"): "The body is not a protobuf ExportTraceServiceRequest.",
        str(tmp_path / "none.json"): "No such file or directory",
        str(tmp_path / "other.json"): "it holds no spans and no log records; is it OTLP?",
    }
    assert home.json("usage")["total"]["calls"] == 7
    assert home.json("sql", "SELECT sum(sign) FROM calls")["rows"] == [[7]]
    assert len(home.json("doctor", "--telemetry")["spans"]) == 7


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["usage"], 2, "There is no data in"),
        (["sql", "SELECT 1"], 2, "There is no data in"),
        (["up", "--host", "0.0.0.0"], 2, "only with API keys"),
        (["up", "--api-port", "99999"], 2, "The setting ECOMIND_API_PORT is not usable"),
        (["ingest", "--endpoint", "nowhere", "pyproject.toml"], 2, "must be a URL"),
        (["ingest", "--endpoint", "http://127.0.0.1:9", __file__], 1, "its ending must be one of"),
        (["no-such-word"], 2, "No such command"),
    ],
)
def test_refusals(home: Home, words: Sequence[str], code: int, sentence: str) -> None:
    done = home.run(*words)
    assert done.returncode == code
    assert sentence in done.stderr
    assert not home.data.exists() or words[0] == "up"


def test_an_endpoint_that_does_not_answer(home: Home, tmp_path: Path) -> None:
    file = traces(tmp_path, first_id=1)[1]
    done = home.run("ingest", "--endpoint", "http://127.0.0.1:9", str(file))
    assert done.returncode == 2
    assert "The receiver at http://127.0.0.1:9/v1/traces does not answer" in done.stderr


def test_doctor_says_who_may_see_hidden_details(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = {"parts": {"store": {"ready": True, "detail": "hidden"}}}
    found = running.Server(1, "http://192.0.2.7:8080", "", "")
    monkeypatch.setattr(running, "find", lambda _: found)
    monkeypatch.setattr(running.Client, "get", lambda *_: ready)
    store = list(checks.server(make_settings(tmp_path)))[-1]
    assert (store.name, store.ok) == ("store", True)
    assert "a key with the scope admin in ECOMIND_API_KEY" in store.detail


def test_doctor_finds_a_busy_port_and_a_bad_key_directory(up: Up, home: Home) -> None:
    port = up.server.api.rsplit(":", 1)[1]
    done = home.run(
        "doctor", "--json", ECOMIND_API_PORT=port, ECOMIND_KEY_DIR=str(home.data / "keys")
    )
    wrong = {each["name"]: each["fix"] for each in json.loads(done.stdout) if not each["ok"]}
    assert done.returncode == 1
    assert set(wrong) == {f"port {port}", "keys"}
    assert "ECOMIND_API_PORT" in wrong[f"port {port}"]


@pytest.mark.parametrize(
    ("columns", "rows", "said"),
    [(["a"], [], "no rows\n"), ([f"c{n}" for n in range(20)], [[7] * 20], "c19")],
)
def test_sql_prints_nothing_and_much(
    monkeypatch: pytest.MonkeyPatch, columns: list[str], rows: Any, said: str
) -> None:
    result = SqlResult(columns=columns, rows=rows, truncated=False)
    monkeypatch.setattr("ecomind_query.commands.sql._ask", lambda *_: result)
    printed = CliRunner().invoke(cli.app, ["sql", "SELECT 1"]).stdout
    assert said in printed
    assert len(printed.splitlines()) in (1, 24)


def test_an_empty_key_is_none(tmp_path: Path) -> None:
    assert make_settings(tmp_path, api_key="").api_key is None


def test_a_grid_table_that_is_not_there_stops_a_start_with_a_sentence(tmp_path: Path) -> None:
    trace = tmp_path / "trace.binpb"
    trace.write_bytes(protobuf([CHAT]))
    missing = {"ECOMIND_GRID_HOURLY": f"file:{tmp_path / 'none.csv'}"}
    for words in (["up"], ["ingest", str(trace)]):
        done = Home(tmp_path).run(*words, **missing)
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert "none.csv can't be read: No such file or directory." in done.stderr

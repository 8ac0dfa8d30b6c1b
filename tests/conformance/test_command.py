"""`ecomind conformance`: the same cases for people and scripts, against any receiver."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner, Result

from ecomind_query.cli import app
from ecomind_query.conformance.target import Target


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["conformance", *words])


class _Careless(BaseHTTPRequestHandler):
    """Says 200 to everything, in a word that is no response message."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", self.headers["Content-Type"])
        self.end_headers()
        self.wfile.write(b"fine")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def careless() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Careless)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_case_on_a_server_of_its_own() -> None:
    done = run("--case", "2", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (
        0,
        {
            "passed": 1,
            "failed": 0,
            "not run": 0,
            "cases": [
                {
                    "number": 2,
                    "title": "HTTP protobuf",
                    "expected": "200, application/x-protobuf, an empty message, stored.",
                    "transports": ["HTTP/protobuf"],
                    "outcome": "passed",
                    "reason": "",
                }
            ],
        },
    )


def test_another_receiver_is_seen_from_outside(target: Target) -> None:
    done = run(target.url, "--case", "1", "--case", "3", "--case", "35", "--header", "X-Team=a")
    assert done.exit_code == 0, done.output
    assert "1 not run: it is about gRPC; name --grpc HOST:PORT" in done.stdout
    assert "35 not run: it makes the store of the server fail" in done.stdout
    assert done.stdout.splitlines()[-1] == "1 of 3, 2 not run"


def test_all_that_can_be_seen_from_outside_passes(target: Target) -> None:
    done = run(target.url, "--grpc", target.rpc, "--json")
    found = json.loads(done.stdout)
    inside = [case["number"] for case in found["cases"] if case["outcome"] == "not run"]
    assert inside == [16, 17, 35, 36, 38, 39, 40, 41, 43, 44, 46, 47]
    assert (done.exit_code, found["passed"], found["failed"]) == (0, 35, 0)


def test_a_receiver_that_fails_is_named_and_ends_with_1(careless: str) -> None:
    done = run(careless, "--case", "2", "--case", "3", "--case", "14")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()[-4:]
    assert lines[0] == "2 failed: HTTP/protobuf: the answer is no Export response: b'fine'"
    assert lines[1].startswith("3 failed: HTTP/JSON: the answer can't be read: JSONDecodeError")
    assert lines[2] == "14 failed: HTTP/protobuf: the status should be 415 and is 200"
    assert lines[3] == "0 of 3"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--case", "48"), "There is no case 48; they are 1 to 47."),
        (("ftp://x",), "ftp://x is no OTLP/HTTP address"),
        (("http://x", "--header", "Authorization"), "--header must be NAME=VALUE"),
        (("--grpc", "x:1"), "--grpc and --header go with a URL."),
    ],
)
def test_what_can_t_be_done_is_said(words: tuple[str, ...], sentence: str) -> None:
    done = run(*words)
    assert done.exit_code == 1
    assert sentence in done.output

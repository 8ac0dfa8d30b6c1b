"""ClickHouse's HTTP interface over a chDB engine: a process of its own, for tests and benches only.

    python -m support.clickhouse_http DIRECTORY DATABASE PORT USER PASSWORD VERSION KIND

Any statement goes to the engine as it is, with its settings and parameters; what a server would do
and the engine can't, this does not do either (users, Keeper, clusters, the native TCP protocol).
Data of an INSERT is read by the engine in whatever format it comes. Of compression it knows that of
HTTP; the blocks that `compress=1` and `decompress=1` ask for are refused. `/-/fault` makes it fail
in ways that a real server does rarely.
"""

from __future__ import annotations

import base64
import email
import email.policy
import gzip
import json
import os
import re
import sys
import tempfile
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
import zstandard

from support.clickhouse_cluster import on_one_node
from support.clickhouse_native import CUSTOM_SERIALIZATION, UnknownColumn, with_version

os.environ.setdefault("TZ", "UTC")
time.tzset()

from chdb import connect  # noqa: E402  the engine reads the zone when it loads

_connect: Callable[[str], Any] = connect

TRANSPORT = frozenset({
    "query", "database", "user", "password", "session_id", "session_timeout", "session_check",
    "query_id", "quota_key", "role", "compress", "decompress", "wait_end_of_query", "buffer_size",
    "default_format", "client_protocol_version", "send_progress_in_http_headers",
    "http_headers_progress_interval_ms", "enable_http_compression", "stacktrace",
    "cancel_http_readonly_queries_on_client_close",
})  # fmt: skip
"""Parameters of a request that are no settings of the engine."""

INSERT = re.compile(
    rb"\s*INSERT\s+INTO\s+(?P<target>[^\s(]+\s*(?:\([^)]*\))?)\s*(?P<settings>SETTINGS\s.*?)?"
    rb"\s*FORMAT\s+(?P<format>\w+)[ \t]*;?\r?\n?",
    re.DOTALL | re.IGNORECASE,
)
"""An INSERT whose data follows in the same body."""

_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_STATUS = {"516": 403, "497": 403, "81": 404, "60": 404, "62": 400, "164": 403, "501": 501}
_DECODERS = {
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "lz4": lz4.frame.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
_ENCODERS = {
    "lz4": lz4.frame.compress,
    "zstd": zstandard.ZstdCompressor(level=1).compress,
    "gzip": lambda data: gzip.compress(data, 1),
}


class Refused(Exception):
    """An answer that is an error of ClickHouse's kind."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {text}")
        self.code = code


@dataclass
class Fault:
    """What goes wrong with the next statements that hold this text.

    `when`: before, during or after the engine runs it; `what`: kill the process, answer 500, or
    drop the connection.
    """

    match: str
    when: str
    what: str
    count: int


class Engine:
    """The engine, who may use it, and what is to go wrong."""

    def __init__(self, path: str, database: str, user: str, password: str, version: str) -> None:
        self.path, self.user, self.password, self.version = path, user, password, version
        self.is_cluster = False
        self.faults: list[Fault] = []
        self.sessions: dict[str, Any] = {}
        self.guard = threading.Lock()
        self.first = _connect(path)  # keeps the engine open between requests
        self.first.query(f"CREATE DATABASE IF NOT EXISTS `{database}`")

    @contextmanager
    def handle(self, session: str) -> Iterator[Any]:
        """A connection with settings of its own, for this request or for its session."""
        if not session:
            with closing(_connect(self.path)) as handle:
                yield handle
            return
        with self.guard:
            if session not in self.sessions:
                self.sessions[session] = _connect(self.path)
        yield self.sessions[session]

    def fault(self, statement: bytes, when: str) -> str:
        """What is to go wrong with this statement now."""
        with self.guard:
            for fault in self.faults:
                if fault.count and fault.when == when and fault.match.encode() in statement:
                    fault.count -= 1
                    return fault.what
        return ""


class Handler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    engine: Engine

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the tests look at answers."""

    def do_GET(self) -> None:
        if self.path.startswith("/ping"):
            self._answer(200, b"Ok.\n", {})
        else:
            self._serve()

    def do_POST(self) -> None:
        if self.path.startswith("/-/fault"):
            told = json.loads(self._body())
            self.engine.faults = [Fault(**told)] if told else []
            self._answer(200, b"", {})
        else:
            self._serve()

    def _serve(self) -> None:
        given = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        try:
            body = self._decoded(self._body(), given)
            self._check_user(given)
            self._run(given, body)
        except Refused as error:
            self._error(error.code, str(error))
        except Exception as error:  # the engine's, or a mistake of ours: a test should see either
            found = re.search(r"Code: (\d+)", str(error))
            self._error(found[1] if found else "1001", str(error) or repr(error))

    def _run(self, given: dict[str, str], body: bytes) -> None:
        head = given.get("query", "").encode()
        statement = head + b"\n" + body if head and body else head or body
        if not statement.strip():
            raise Refused("62", "Empty query. (SYNTAX_ERROR)")
        statement = re.sub(rb"\bversion\(\)", b"'%s'" % self.engine.version.encode(), statement) \
            if self.engine.version else statement  # fmt: skip
        if self.engine.is_cluster:
            statement = on_one_node(statement)
        params = {name[6:]: v for name, v in given.items() if name.startswith("param_")}
        self._fail(statement, "before")
        if self.engine.fault(statement, "during") == "kill":
            threading.Timer(0.002, os._exit, (9,)).start()
        with self.engine.handle(given.get("session_id", "")) as handle:
            self._prepare(handle, given)
            result, form = self._ask(handle, statement, params, given)
        self._fail(statement, "after")
        summary = {"written_rows": str(result.rows_written()), "read_rows": str(result.rows_read())}
        body = result.bytes()
        if (
            form == "Native"
            and int(given.get("client_protocol_version", 0)) >= CUSTOM_SERIALIZATION
        ):
            try:
                body = with_version(body)
            except UnknownColumn as error:
                raise Refused("501", f"No column of {error} for this client. (NOT_IMPLEMENTED)") \
                    from None  # fmt: skip
        self._answer(200, body, {
            "X-ClickHouse-Summary": json.dumps(summary),
            "X-ClickHouse-Query-Id": given.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Format": form,
            "X-ClickHouse-Timezone": os.environ["TZ"],
        }, given.get("enable_http_compression") == "1")  # fmt: skip

    def _prepare(self, handle: Any, given: dict[str, str]) -> None:
        """The database and the settings, as the request has them."""
        if database := given.get("database") or self.headers.get("X-ClickHouse-Database"):
            handle.query(f"USE `{database}`")
        settings = {
            name: value
            for name, value in given.items()
            if name not in TRANSPORT and not name.startswith("param_")
        }
        if self.command == "GET":
            settings.setdefault("readonly", "2")
        last = settings.pop("readonly", None)  # nothing can be set after it
        for name, value in (*settings.items(), *([("readonly", last)] if last else [])):
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            handle.query(f"SET {name} = '{quoted}'")

    def _ask(
        self, handle: Any, statement: bytes, params: dict[str, str], given: dict[str, str]
    ) -> tuple[Any, str]:
        found = INSERT.match(statement)
        if found is None:
            default = given.get("default_format") or self.headers.get("X-ClickHouse-Format")
            named = _FORMAT.search(statement)
            form = named[1].decode() if named else default or "TabSeparated"
            return handle.query(statement, form, params=params), form
        parts = {name: (text or b"").decode() for name, text in found.groupdict().items()}
        with tempfile.NamedTemporaryFile() as data:
            data.write(memoryview(statement)[found.end() :])
            data.flush()
            text = (
                f"INSERT INTO {parts['target']} FROM INFILE '{data.name}'"
                f" {parts['settings']} FORMAT {parts['format']}"
            )
            return handle.query(text, "TabSeparated", params=params), "TabSeparated"

    def _fail(self, statement: bytes, when: str) -> None:
        what = self.engine.fault(statement, when)
        if what == "kill":
            os._exit(9)
        if what == "error":
            raise Refused("999", "Coordination::Exception: session is gone. (KEEPER_EXCEPTION)")
        if what == "drop":
            self.close_connection = True
            self.connection.close()
            raise ConnectionAbortedError

    def _check_user(self, given: dict[str, str]) -> None:
        header = self.headers.get("Authorization", "")
        user = self.headers.get("X-ClickHouse-User") or given.get("user", "default")
        password = self.headers.get("X-ClickHouse-Key") or given.get("password", "")
        if header.startswith("Basic "):
            user, _, password = base64.b64decode(header[6:]).decode().partition(":")
        if (user, password) != (self.engine.user, self.engine.password):
            raise Refused(
                "516",
                f"{user}: Authentication failed: password is incorrect, or there is no user with"
                " such name. (AUTHENTICATION_FAILED)",
            )

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _decoded(self, body: bytes, given: dict[str, str]) -> bytes:
        """The body without what the transport put around it; fields of a form join `given`."""
        if given.get("compress") == "1" or given.get("decompress") == "1":
            raise Refused(
                "501", "Compressed blocks are not known here: set compress=none. (NOT_IMPLEMENTED)"
            )
        encoding = self.headers.get("Content-Encoding", "")
        if encoding:
            body = _DECODERS[encoding](body)
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return body
        message = email.message_from_bytes(
            f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=email.policy.HTTP
        )
        for part in message.iter_parts():
            name = part.get_param("name", header="content-disposition")
            value = part.get_payload(decode=True)
            assert isinstance(value, bytes)
            given[str(name)] = value.decode()
        return b""

    def _error(self, code: str, text: str) -> None:
        headers = {"X-ClickHouse-Exception-Code": code}
        self._answer(_STATUS.get(code, 500), text.encode() + b"\n", headers)

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], compress: bool = False
    ) -> None:
        accepted = self.headers.get("Accept-Encoding", "") if compress else ""
        encoding = next((name for name in _ENCODERS if name in accepted), "")
        if encoding:
            body = _ENCODERS[encoding](body)
            headers = {**headers, "Content-Encoding": encoding}
        self.send_response(status)
        for name, value in (headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main(
    directory: str, database: str, port: str, user: str, password: str, version: str, kind: str
) -> None:
    Path(directory).mkdir(parents=True, exist_ok=True)
    Handler.engine = Engine(directory, database, user, password, version)
    Handler.engine.is_cluster = kind == "cluster"
    server = Server(("127.0.0.1", int(port)), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

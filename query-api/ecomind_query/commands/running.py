"""Finding and asking an `ecomind up` that runs on the same data directory.

One process owns the engine, so another that wants an answer asks it over HTTP. `up` says where it
listens in `server.json`; the file of a process that was killed is recognised, because the store's
lock goes with its process. A command is known to it by the key in ECOMIND_API_KEY.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from ecomind_query.commands.access import Access, AccessError
from ecomind_query.commands.common import FAILED, NOT_STARTED, fail, worded
from ecomind_query.errors import QueryError
from ecomind_receiver.settings import Settings, is_loopback

TIMEOUT_SECONDS = 60
_FILE = "server.json"


class ServerError(Exception):
    """The server refused or did not answer; the message is a sentence."""

    code = FAILED


class KeyRefused(ServerError):
    """The server does not let the command in."""

    code = NOT_STARTED


@contextmanager
def refusals(**typed: str) -> Iterator[None]:
    """Ends the command with a sentence where the query or the server refuses what it asks.

    `typed` has what is typed for a field where that is not its name, as for `checked`.
    """
    try:
        yield
    except QueryError as error:
        fail(worded(str(error), **typed))
    except ServerError as error:
        fail(worded(str(error), **typed), error.code)


class Server(NamedTuple):
    """A running `up`: its process and its addresses."""

    pid: int
    api: str
    otlp_http: str
    otlp_grpc: str

    def get(self, path: str, params: Mapping[str, object] | None = None) -> Any:
        """The JSON answer of a GET that shows no key. Raises ServerError."""
        return Client(self).get(path, params)

    def post(self, path: str, body: object) -> Any:
        """The JSON answer of a POST that shows no key. Raises ServerError."""
        return Client(self).post(path, body)


class Client:
    """Asks a running `up` as its settings say: with a key, over TLS."""

    def __init__(
        self, server: Server, settings: Settings | None = None, *, own: bool = True
    ) -> None:
        """`own`: it runs on this machine. Raises ServerError if the settings can't reach it so."""
        self.server = server
        try:
            self._access = Access(server.api, settings, own=own)
        except AccessError as error:
            raise ServerError(str(error)) from error

    def get(self, path: str, params: Mapping[str, object] | None = None) -> Any:
        """The JSON answer of a GET. Raises ServerError."""
        given = {name: value for name, value in (params or {}).items() if value not in (None, [])}
        query = f"?{urlencode(given, doseq=True)}" if given else ""
        return self._ask(urllib.request.Request(f"{self.server.api}{path}{query}"))

    def post(self, path: str, body: object) -> Any:
        """The JSON answer of a POST. Raises ServerError."""
        return self._ask(self._post(path, body))

    def follow(self, path: str, body: object, scope: str) -> Iterator[Any]:
        """The lines of JSON that a POST is answered with, as they come. Raises ServerError."""
        with self._answer(self._post(path, body), scope) as response:
            for line in response:
                yield json.loads(line)

    def _post(self, path: str, body: object) -> urllib.request.Request:
        headers = {"Content-Type": "application/json"}
        data = json.dumps(body).encode()
        return urllib.request.Request(f"{self.server.api}{path}", data, headers)

    def _ask(self, request: urllib.request.Request) -> Any:
        with self._answer(request, "read") as response:
            return json.load(response)

    @contextmanager
    def _answer(self, request: urllib.request.Request, scope: str) -> Iterator[Any]:
        try:
            with self._access.open(request, TIMEOUT_SECONDS) as response:
                yield response
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 401:
                    raise KeyRefused(self._access.refused(scope)) from error
                refused = KeyRefused if error.code == 403 else ServerError
                raise refused(_detail(error)) from error
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise ServerError(
                f"The server at {self.server.api} did not answer: {self._access.explain(error)}."
            ) from error


def announce(data_dir: Path, server: Server) -> None:
    """Say in the data directory where this process listens."""
    path = data_dir / _FILE
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(server._asdict()) + "\n", "utf-8")
    os.replace(fresh, path)


def withdraw(data_dir: Path) -> None:
    """Take this process's announcement back."""
    (data_dir / _FILE).unlink(missing_ok=True)


def find(data_dir: Path) -> Server | None:
    """The `up` that runs on the data directory; None if there is none."""
    try:
        server = Server(**json.loads((data_dir / _FILE).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return server if owner_of(data_dir) == server.pid else None


def connect(settings: Settings) -> Client | None:
    """The server that the settings name, else the `up` on their data directory, to be asked.

    Raises ServerError.
    """
    if settings.server:
        return _named(settings)
    server = find(settings.data_dir)
    return Client(server, settings) if server else None


def _named(settings: Settings) -> Client:
    url = settings.server.rstrip("/")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ServerError(
            "--server (ECOMIND_SERVER) must be a URL such as https://ecomind.example:8080, not"
            f" {url[:80]!r}."
        )
    return Client(Server(0, url, "", ""), settings, own=is_loopback(parts.hostname))


def owner_of(data_dir: Path) -> int | None:
    """The process that owns the store now, by trying for its lock and letting go at once."""
    try:
        with open(data_dir / "lock", "rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(lock.read(32) or b"0")
    except (OSError, ValueError):
        pass
    return None


def _detail(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.load(error)["detail"])
    except (ValueError, KeyError, TypeError):
        return f"The server answered {error.code}."

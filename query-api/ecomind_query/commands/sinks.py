"""Where commands send requests that hold telemetry: to a listening receiver, or to one of its own.

Both take the very same path from the bytes on. A receiver that asks for patience gets it; any other
refusal is an error of the file.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from ecomind_query.commands import running, source
from ecomind_query.commands.access import Access, AccessError
from ecomind_query.commands.counted import Counted, Counting
from ecomind_query.commands.otlp_files import FileError, Request
from ecomind_query.queries import Queries
from ecomind_receiver.limits import UNLIMITED
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import LOCAL, Reach, Scope

if TYPE_CHECKING:
    from ecomind_receiver.authentication import Grant
    from ecomind_receiver.server import Receiver

ATTEMPTS = 30
TIMEOUT_SECONDS = 60
_SENTENCE_MAX_BYTES = 4096
_RETRYABLE = (429, 502, 503, 504)
_OWN = ("localhost", "127.0.0.1", "::1")


class Unreachable(Exception):
    """The receiver does not answer; the message is a sentence."""


class Busy(Exception):
    """Not now; try again after `seconds`."""

    def __init__(self, seconds: float, message: str) -> None:
        super().__init__(message)
        self.seconds = seconds


class Sink(Protocol):
    """Takes one request, durably. Raises FileError or Unreachable."""

    def send(self, request: Request) -> None:
        """Send one request, waiting while the receiver asks for it."""


def patiently(attempt: Callable[[], None]) -> None:
    """Try until it is not `Busy` any more; at last a FileError."""
    for left in range(ATTEMPTS - 1, -1, -1):
        try:
            return attempt()
        except Busy as busy:
            if not left:
                raise FileError(f"the receiver stayed busy: {busy}") from busy
            time.sleep(busy.seconds)


class HttpSink:
    """A receiver behind an OTLP/HTTP endpoint such as http://127.0.0.1:4318."""

    def __init__(
        self, endpoint: str, settings: Settings | None = None, *, own: bool = False
    ) -> None:
        """`own`: the server on our data directory. Raises Unreachable if it can't be reached so."""
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(
                f"--endpoint must be a URL such as http://127.0.0.1:4318, not {endpoint!r}."
            )
        self._url = endpoint.rstrip("/").removesuffix("/v1/traces")
        try:
            self._access = Access(self._url, settings, own=own or parts.hostname in _OWN)
        except AccessError as error:
            raise Unreachable(str(error)) from error

    def send(self, request: Request) -> None:
        """Post one request."""
        patiently(lambda: self._post(request))

    def _post(self, request: Request) -> None:
        headers = {"Content-Type": request.media_type}
        url = self._url + request.signal.path
        post = urllib.request.Request(url, request.body, headers)
        try:
            with self._access.open(post, TIMEOUT_SECONDS):
                return
        except urllib.error.HTTPError as error:
            with error:
                raise self._refused(error) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"The receiver at {url} does not answer: {self._access.explain(error)}."
            ) from error

    def _refused(self, error: urllib.error.HTTPError) -> Exception:
        detail = f"the receiver answered {error.code} {error.reason}{_said(error)}"
        if error.code == 401:
            return Unreachable(self._access.refused("ingest"))
        if error.code == 403:
            return Unreachable(f"The server refuses the key: {detail}")
        if error.code in _RETRYABLE:
            return Busy(float(error.headers.get("Retry-After", 1)), detail)
        return FileError(detail)


def _said(error: urllib.error.HTTPError) -> str:
    """The sentence in a refusal, behind a colon: of a receiver, JSON or google.rpc.Status."""
    body = error.read(_SENTENCE_MAX_BYTES)
    try:
        if error.headers.get_content_type() == "application/json":
            said = str(json.loads(body)["message"])
        else:
            said = str(status_pb2.Status.FromString(body).message)
    except (ValueError, KeyError, TypeError, DecodeError):
        return ""
    return f": {said}" if said else ""


class OwnSink:
    """A receiver of this process, without listeners."""

    def __init__(self, receiver: Receiver, runner: asyncio.Runner, grant: Grant | None) -> None:
        """`grant`: where it is stored and at whose cost; None: org_demo's, without limits."""
        self._receiver = receiver
        self._runner = runner
        self._tenant = grant.writes() if grant else LOCAL
        self._quotas = grant.quotas if grant else UNLIMITED
        reach = Reach(*self._tenant)
        self._counting = Counting(Queries(receiver.store, reach), datetime.now(UTC))

    def send(self, request: Request) -> None:
        """Hand one request over; durable on return."""
        patiently(lambda: self._accept(request))

    def counted(self, records: int) -> Counted:
        """What the records sent so far are worth: stored, and corrected for what came twice."""
        self._runner.run(self._receiver.drain())
        self._receiver.reconciler.settle()
        return self._counting.of(records)

    def _accept(self, request: Request) -> None:
        from ecomind_receiver.refusals import RequestRefused

        accepting = self._receiver.accept(
            self._tenant,
            request.body,
            request.media_type,
            signal=request.signal,
            quotas=self._quotas,
        )
        try:
            self._runner.run(accepting)
        except RequestRefused as error:
            if error.retry_after_seconds is not None:
                raise Busy(error.retry_after_seconds, error.message) from error
            raise FileError(error.message) from error


@contextmanager
def chosen(settings: Settings, endpoint: str | None) -> Iterator[Sink]:
    """What is at the endpoint, else the server on the data directory, else a receiver of ours."""
    server = None if endpoint else running.find(settings.data_dir)
    if endpoint or server:
        yield HttpSink(endpoint or (server.otlp_http if server else ""), settings, own=not endpoint)
        return
    with own(settings) as sink:
        yield sink


@contextmanager
def own(settings: Settings) -> Iterator[OwnSink]:
    """A receiver on the data directory; at the end all is stored.

    Ends with a sentence if it can't start, or if the key in ECOMIND_API_KEY may not send.
    """
    grant = source.admitted(settings, Scope.INGEST)
    with source.receiver(settings) as (receiver, runner):
        yield OwnSink(receiver, runner, grant)
        runner.run(receiver.drain())

"""A receiver under test, and plain clients for it: what a case sends is exactly what it says."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import grpc

from ecomind_query.bench.process import Server
from ecomind_query.direct import DIRECT
from ecomind_receiver.ingest import JSON, PROTOBUF
from ecomind_receiver.signals import TRACES, Signal

TIMEOUT_SECONDS = 30.0


class Transport(StrEnum):
    """The ways in which OTLP travels."""

    GRPC = "gRPC"
    PROTOBUF = "HTTP/protobuf"
    JSON = "HTTP/JSON"

    @property
    def media_type(self) -> str:
        """The Content-Type of its requests over HTTP."""
        return JSON if self is Transport.JSON else PROTOBUF


class Answer(NamedTuple):
    """A response: the HTTP status or the name of the gRPC code, its body, headers or trailers.

    Of a gRPC call that failed, `body` is the message.
    """

    status: int | str
    media_type: str
    body: bytes
    headers: Mapping[str, Any]


class Pair(NamedTuple):
    """A certificate with its key, as PEM files."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class Target:
    """Where a receiver listens, what is sent along, and the process if it is ours."""

    url: str
    rpc: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    server: Server | None = None
    ca: Path | None = None
    pair: Pair | None = None
    public_key: str = ""

    @staticmethod
    def of(server: Server, **more: Any) -> Target:
        """A server of our own."""
        at = server.addresses
        return Target(at["otlp_http"], urlsplit(at["otlp_grpc"]).netloc, server=server, **more)

    def own(self) -> Server:
        """The process, for cases that are run only on servers of our own."""
        assert self.server, "this case needs a server of its own"
        return self.server

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the OTLP/HTTP listener."""
        parts = urlsplit(self.url)
        return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)

    def connect(self) -> closing[http.client.HTTPConnection]:
        """A connection to the OTLP/HTTP listener."""
        if urlsplit(self.url).scheme == "https":
            context = ssl.create_default_context(cafile=self.ca)
            if self.pair:
                context.load_cert_chain(*self.pair)
            secure = http.client.HTTPSConnection(
                *self.address, timeout=TIMEOUT_SECONDS, context=context
            )
            return closing(secure)
        return closing(http.client.HTTPConnection(*self.address, timeout=TIMEOUT_SECONDS))

    def raw(self) -> socket.socket:
        """A bare connection to the OTLP/HTTP port."""
        return socket.create_connection(self.address, timeout=TIMEOUT_SECONDS)

    def post(
        self,
        body: bytes | Iterable[bytes],
        media_type: str | None = PROTOBUF,
        *,
        connection: http.client.HTTPConnection | None = None,
        method: str = "POST",
        path: str = "/v1/traces",
        encoding: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One HTTP request; a body that is no bytes is sent in chunks without a length."""
        if connection is None:
            with self.connect() as fresh:
                return self.post(
                    body, media_type, connection=fresh, method=method, path=path,
                    encoding=encoding, headers=headers,
                )  # fmt: skip
        wanted = {"Content-Type": media_type, "Content-Encoding": encoding}
        given = {name: value for name, value in wanted.items() if value is not None}
        given |= {**self.headers, **(headers or {})}
        where = urlsplit(self.url).path.rstrip("/") + path
        connection.request(method, where, body, given, encode_chunked=not isinstance(body, bytes))
        response = connection.getresponse()
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lower.get("content-type", ""), response.read(), lower)

    @contextmanager
    def channel(self, *options: tuple[str, int]) -> Iterator[grpc.Channel]:
        """A channel to the OTLP/gRPC listener."""
        options = (("grpc.enable_http_proxy", 0), *options)
        if self.ca or (self.rpc and self.url.startswith("https")):
            root = self.ca.read_bytes() if self.ca else None
            chain, key = (
                (self.pair.cert.read_bytes(), self.pair.key.read_bytes())
                if self.pair
                else (None, None)
            )
            credentials = grpc.ssl_channel_credentials(root, key, chain)
            channel = grpc.secure_channel(self.rpc, credentials, options)
        else:
            channel = grpc.insecure_channel(self.rpc, options)
        with channel:
            yield channel

    def call(
        self,
        body: bytes,
        signal: Signal = TRACES,
        *,
        channel: grpc.Channel | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "",
        gzip: bool = False,
    ) -> Answer:
        """One Export over gRPC."""
        if channel is None:
            with self.channel(("grpc.max_send_message_length", -1)) as fresh:
                return self.call(
                    body, signal, channel=fresh, headers=headers, method=method, gzip=gzip
                )
        export = channel.unary_unary(method or f"/{signal.grpc_service}/Export")
        metadata = tuple({**self.headers, **(headers or {})}.items())
        metadata = tuple((name.lower(), value) for name, value in metadata)
        packed = grpc.Compression.Gzip if gzip else None
        try:
            answer = export(body, timeout=TIMEOUT_SECONDS, metadata=metadata, compression=packed)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata() or ())
            return Answer(error.code().name, "", (error.details() or "").encode(), trailers)
        return Answer("OK", "", answer, {})

    def send(
        self,
        transport: Transport,
        body: bytes,
        signal: Signal = TRACES,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One Export, whichever way; the body is in the transport's encoding."""
        if transport is Transport.GRPC:
            return self.call(body, signal, headers=headers)
        return self.post(body, transport.media_type, path=signal.path, headers=headers)

    def rows(self, service: str, columns: str) -> list[list[Any]]:
        """Those columns of the service's calls in order of span id, once all is stored."""
        self.own().wait_drained(TIMEOUT_SECONDS)
        where = f"FROM calls WHERE service = '{service}' ORDER BY span_id"
        return self.select(f"SELECT {columns} {where}")

    def select(self, statement: str) -> list[list[Any]]:
        """The rows of a SELECT over the API."""
        request = urllib.request.Request(
            f"{self.own().addresses['api']}/v1/sql",
            json.dumps({"sql": statement}).encode(),
            {"Content-Type": "application/json"},
        )
        with DIRECT.open(request, timeout=TIMEOUT_SECONDS) as response:
            found: list[list[Any]] = json.load(response)["rows"]
        return found

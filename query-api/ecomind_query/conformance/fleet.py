"""Servers of our own for a run: one of each configuration that cases need, started when needed.

Each is an `ecomind up` on loopback with folders of its own. The plain one stays; of the others at
most one runs at a time, so that a small machine can run all cases.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from ecomind_query.bench.process import Server, ServerError
from ecomind_query.conformance.certificates import Authority
from ecomind_query.conformance.target import Target

TINY_BYTES = 256 * 1024
FULL_BYTES = 1024 * 1024
ORIGIN = "https://app.example.com"

_QUICK = {
    "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "0.05",  # what was sent can be read at once
    "ECOMIND_NAMES_PER_DAY_MAX": "100000",  # a service for each case
}
CONFIGURATIONS: Mapping[str, Mapping[str, str]] = {
    "plain": {},
    "tiny": {"ECOMIND_REQUEST_MAX_BYTES": str(TINY_BYTES)},
    "full": {
        "ECOMIND_SPOOL_MAX_BYTES": str(FULL_BYTES),
        "ECOMIND_SPOOL_SEGMENT_MAX_SECONDS": "3600",  # nothing leaves it
    },
    "restarting": {},
    "breaking": {},
    "reconciling": {"ECOMIND_RECONCILE_WINDOW_SECONDS": "5"},
    "tls": {},
    "mtls": {},
    "keys": {"ECOMIND_AUTH": "keys"},
}


class Fleet:
    """The running servers of one run."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: dict[str, Target] = {}

    def target(self, configuration: str) -> Target:
        """A running server of this configuration. Raises ServerError."""
        target = self._running.get(configuration)
        if target and target.server and target.server.process:
            if target.server.process.poll() is None:
                return target
            self._stop(configuration)
        for other in [name for name in self._running if name not in ("plain", configuration)]:
            self._stop(other)
        target = self._start(configuration)
        self._running[configuration] = target
        return target

    def close(self) -> None:
        """Stop them all."""
        for name in list(self._running):
            self._stop(name)

    def _stop(self, name: str) -> None:
        server = self._running.pop(name).server
        if server:
            server.stop()

    def _start(self, configuration: str) -> Target:
        settings = {**_QUICK, **CONFIGURATIONS[configuration]}
        server = Server(self._folder / configuration, settings)
        finish = _PREPARE.get(configuration, _nothing)(server)
        server.start()
        return finish(Target.of(server))


Finish = Callable[[Target], Target]


def _nothing(server: Server) -> Finish:
    return lambda target: target


def _fix_ports(server: Server) -> Finish:
    """Ports that are the same after a restart."""
    server.settings |= {
        "ECOMIND_OTLP_HTTP_PORT": str(_free_port()),
        "ECOMIND_OTLP_GRPC_PORT": str(_free_port()),
    }
    return _nothing(server)


def _with_certificates(server: Server) -> Finish:
    authority = Authority(server.folder / "authority")
    pair = authority.issue("server")
    server.settings |= {
        "ECOMIND_TLS_CERT_FILE": str(pair.cert),
        "ECOMIND_TLS_KEY_FILE": str(pair.key),
    }
    return lambda target: replace(target, ca=authority.file)


def _with_client_certificates(server: Server) -> Finish:
    _with_certificates(server)
    authority = Authority(server.folder / "clients")
    server.settings["ECOMIND_TLS_CLIENT_CA_FILE"] = str(authority.file)
    trusted, pair = server.folder / "authority" / "ca.pem", authority.issue("client")
    return lambda target: replace(target, ca=trusted, pair=pair)


def _with_keys(server: Server) -> Finish:
    key = _ecomind(server, "seed")
    public = _ecomind(
        server, "keys", "create", "page", "--project", "default", "--public",
        "--origin", ORIGIN, "--rate", "1000",
    )  # fmt: skip
    headers = {"Authorization": f"Bearer {key}"}
    return lambda target: replace(target, headers=headers, public_key=public)


_PREPARE: Mapping[str, Callable[[Server], Finish]] = {
    "restarting": _fix_ports,
    "tls": _with_certificates,
    "mtls": _with_client_certificates,
    "keys": _with_keys,
}


def _ecomind(server: Server, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ecomind_query", *words],
        env={**os.environ, **server.environment},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ServerError(f"ecomind {' '.join(words)} failed:\n{done.stderr}")
    return done.stdout.strip()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])

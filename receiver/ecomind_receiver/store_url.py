"""ECOMIND_STORE_URL: which ClickHouse server or cluster holds the telemetry, and how to reach it.

The options are those of clickhouse_connect under its own names, and three of ours: `secure`,
`cluster` and `insert_quorum`. Anything else is refused, so that a slip of the pen is no default.
What is said about an address never holds its password.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

SCHEMES = {"clickhouse": False, "clickhouses": True}
"""Scheme → whether it asks for TLS."""

TRANSPORT = (
    "verify", "ca_cert", "client_cert", "client_cert_key", "server_host_name", "compress",
    "connect_timeout", "send_receive_timeout",
)  # fmt: skip
"""Options that go to clickhouse_connect as they are."""

_OWN = ("secure", "cluster", "insert_quorum")
_FORM = "clickhouse://user:password@host:8123/database"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CLUSTER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_QUORUM = re.compile(r"auto|\d{1,3}")
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True)
class StoreUrl:
    """Where the store is, read from its address."""

    host: str
    port: int
    database: str
    username: str
    password: str = field(repr=False)
    secure: bool
    cluster: str
    """Its name in the servers' configuration; empty: one server."""
    insert_quorum: str
    """`auto`, a number, or empty: `auto` where a shard has several replicas."""
    options: tuple[tuple[str, str], ...]

    @property
    def where(self) -> str:
        """The address as people may read it."""
        scheme = "clickhouses" if self.secure else "clickhouse"
        cluster = f" (cluster {self.cluster})" if self.cluster else ""
        return f"{scheme}://{self.host}:{self.port}/{self.database}{cluster}"

    def arguments(self, host: str = "") -> dict[str, Any]:
        """What clickhouse_connect.get_client takes, for this host or another of the cluster."""
        return {
            "host": host or self.host,
            "port": self.port,
            "username": self.username,
            "password": self.password,
            "database": self.database,
            "secure": self.secure,
            **dict(self.options),
        }


def parse_store_url(text: str) -> StoreUrl:
    """The address taken apart. Raises ValueError with a sentence that quotes no password."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"its host or port can't be read; it must look like {_FORM}") from error
    if parts.scheme not in SCHEMES:
        known = " or ".join(f"{scheme}://" for scheme in SCHEMES)
        raise ValueError(
            f"it must begin with {known}; leave it out for the store in the data directory"
        )
    if not parts.hostname:
        raise ValueError(f"it names no host; it must look like {_FORM}")
    options = _options(parts.query)
    if "insert_quorum" in options and "cluster" not in options:
        raise ValueError("its option insert_quorum is for a cluster only; add cluster= or leave it")
    secure = SCHEMES[parts.scheme] or _truth("secure", options.pop("secure", "false"))
    return StoreUrl(
        host=parts.hostname,
        port=port or (8443 if secure else 8123),
        database=_database(parts),
        username=unquote(parts.username or "default"),
        password=unquote(parts.password or ""),
        secure=secure,
        cluster=_held("cluster", options.pop("cluster", ""), _CLUSTER, "a cluster's name"),
        insert_quorum=_held(
            "insert_quorum", options.pop("insert_quorum", ""), _QUORUM, "auto or a number"
        ),
        options=tuple(sorted(options.items())),
    )


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in (*TRANSPORT, *_OWN):
            known = ", ".join((*_OWN, *TRANSPORT))
            raise ValueError(f"it has the option {name[:40]!r}, which is none of {known}")
        if name in options:
            raise ValueError(f"it has the option {name} twice; give it once")
        options[name] = value
    return options


def _database(parts: SplitResult) -> str:
    name = unquote(parts.path.strip("/"))
    if not _NAME.fullmatch(name):
        raise ValueError(
            "it must name the database after the host, in letters, digits and underscores, such"
            f" as {_FORM}"
        )
    return name


def _held(option: str, value: str, pattern: re.Pattern[str], what: str) -> str:
    if value and not pattern.fullmatch(value):
        raise ValueError(f"its option {option} must be {what}")
    return value


def _truth(option: str, value: str) -> bool:
    if value.lower() not in (*_YES, *_NO):
        raise ValueError(f"its option {option} must be true or false")
    return value.lower() in _YES

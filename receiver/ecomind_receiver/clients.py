"""Clients of the engine in this process and of the server that ECOMIND_STORE_URL names.

The only module that knows the library. Whatever keeps a server from being used is said in a
sentence at the start. There is no session with a server: each statement stands alone, so that one
whose answer was lost blocks no other.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from ecomind_receiver.store_url import StoreUrl

# Filters on DateTime columns match nothing when the engine sees another zone: set before it loads.
os.environ["TZ"] = "UTC"
time.tzset()

MIN_VERSION = (24, 8)
"""Since 24.7 a table and the rollups that depend on it each drop a block by its token; before, a
rollup was fed or not with the table, and a retry after a crash between them lost or doubled rows.
Since 24.3 names in our nested SELECTs are resolved as the embedded engine does. 24.8 is the first
long-term release with both."""

_SETTINGS: dict[str, object] = {
    "async_insert": 0,
    "session_timezone": "UTC",  # what is written without a zone means UTC, wherever the server is
}
_CLUSTER_SETTINGS: dict[str, object] = {
    # What a statement compares or joins with is read once, where it runs, and sent to the shards.
    "prefer_global_in_and_join": 1,
    "distributed_product_mode": "global",
    # A shard is read from the replica that is written to, so that what was stored is seen.
    "prefer_localhost_replica": 0,
    "load_balancing": "in_order",
    "distributed_ddl_task_timeout": 300,
}
_ANSWERS = {
    516: "refuses the user name or password. Correct them in ECOMIND_STORE_URL.",
    193: "refuses the user name or password. Correct them in ECOMIND_STORE_URL.",
    192: "does not know the user. Correct it in ECOMIND_STORE_URL.",
    81: "has no such database. Make it with CREATE DATABASE, or name another in ECOMIND_STORE_URL.",
    497: "does not let the user do this: {text}. Grant it; docs/server-mode.md lists the grants.",
}  # fmt: skip
"""Error code of the server → what it says."""


class StoreError(Exception):
    """The store can't be opened or used; the message says what to do."""


def embedded_client(path: Path, configuration: object) -> Any:
    """A client of the engine on a directory. Raises StoreError."""
    import clickhouse_connect  # 0.4 s, so only when an engine is wanted

    try:
        return clickhouse_connect.get_client(
            interface="chdb", path=f"{path}?config-file={configuration}"
        )
    except Exception as error:
        raise StoreError(f"The store at {path} can't be opened: {error}") from error


def memory_engine() -> Any:
    """A client of an engine without a directory, which reads files.

    Its process can have no embedded store. Blocking, for seconds.
    """
    import clickhouse_connect

    return clickhouse_connect.get_client(interface="chdb")


def client_of(url: StoreUrl, hosts: tuple[str, ...] = ()) -> Any:
    """A client of the first of these hosts that answers; of the URL's without any.

    Raises StoreError.
    """
    import clickhouse_connect

    trouble: list[StoreError] = []
    for host in hosts or (url.host,):
        try:
            client = clickhouse_connect.get_client(
                **url.arguments(host),
                settings=_SETTINGS | (_CLUSTER_SETTINGS if url.cluster else {}),
                autogenerate_session_id=False,
                client_name="ecomind",
            )
        except Exception as error:
            trouble.append(_trouble(url, error))
        else:
            _check_version(url, client)
            return client
    raise trouble[0]


def is_transport(error: Exception) -> bool:
    """Whether a server could not be asked, or its answer did not come."""
    from clickhouse_connect.driver.exceptions import OperationalError

    return isinstance(error, OperationalError)


def _check_version(url: StoreUrl, client: Any) -> None:
    found = str(client.server_version)
    numbers = tuple(int(part) for part in found.split(".")[:2])
    if numbers < MIN_VERSION:
        client.close()
        needed = ".".join(str(number) for number in MIN_VERSION)
        raise StoreError(
            f"The ClickHouse server at {url.where} is version {found}, and Ecomind needs {needed}"
            " or newer: older ones can't tell a block that was stored already in a rollup."
            " Upgrade the server."
        )


def _trouble(url: StoreUrl, error: Exception) -> StoreError:
    code = getattr(error, "code", None)
    said = _ANSWERS.get(code) if code is not None else None
    if said is not None:
        text = str(error).partition("DB::Exception: ")[2].partition(" (for url")[0]
        return StoreError(f"The ClickHouse server at {url.where} {said.format(text=text)}")
    if code is not None:
        return StoreError(f"The ClickHouse server at {url.where} refuses: {error}")
    return StoreError(
        f"The ClickHouse server at {url.where} can't be reached: {_cause(error)}. Start it, or"
        " correct ECOMIND_STORE_URL."
    )


def _cause(error: Exception) -> str:
    """The innermost reason, in the words of the network."""
    inner: BaseException = error
    while inner.__cause__ is not None or inner.__context__ is not None:
        inner = inner.__cause__ or inner.__context__ or inner
    return str(getattr(inner, "strerror", None) or inner)

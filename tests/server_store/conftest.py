"""A ClickHouse server of its own for each test, and receivers on it with own data directories."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.clickhouse_server import ClickHouseServer, clickhouse_server
from support.receiver import make_settings

from ecomind_receiver import loader
from ecomind_receiver.server import Receiver

Joining = Callable[..., AbstractAsyncContextManager[Receiver]]


@pytest.fixture
def server() -> Iterator[ClickHouseServer]:
    with clickhouse_server() as started:
        yield started


@pytest.fixture
def joining(server: ClickHouseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Joining:
    """`async with joining("a", setting=value) as receiver`: on the server, with its own spool."""
    monkeypatch.setattr(loader, "_MAX_BACKOFF_SECONDS", 0.5)

    @asynccontextmanager
    async def run(name: str, *, listeners: bool = False, **values: Any) -> AsyncIterator[Receiver]:
        settings = make_settings(tmp_path / name, store_url=server.url, **values)
        receiver = Receiver(settings, listeners=listeners)
        await receiver.start()
        try:
            yield receiver
        finally:
            await receiver.stop()

    return run

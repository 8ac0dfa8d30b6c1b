"""A receiver on a data directory of its own, without listeners unless a test wants them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.receiver import Running, make_settings

from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return make_settings(tmp_path)


@pytest.fixture
def running(tmp_path: Path) -> Running:
    """`async with running(setting=value) as receiver`: started, and stopped at the end."""

    @asynccontextmanager
    async def run(*, listeners: bool = False, **values: Any) -> AsyncIterator[Receiver]:
        receiver = Receiver(make_settings(tmp_path, **values), listeners=listeners)
        await receiver.start()
        try:
            yield receiver
        finally:
            await receiver.stop()

    return run

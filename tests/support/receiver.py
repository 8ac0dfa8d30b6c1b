"""Settings of a receiver for one test, and what most of its tests do with it."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from ecomind_receiver.ingest import PROTOBUF
from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import LOCAL

Running = Callable[..., AbstractAsyncContextManager[Receiver]]


def make_settings(directory: Path, **values: Any) -> Settings:
    """Everything below `directory`, free ports, and segments that are sealed at once."""
    return Settings(
        data_dir=directory / "data",
        key_dir=directory / "keys",
        otlp_http_port=0,
        otlp_grpc_port=0,
        api_port=0,
        **{"spool_segment_max_seconds": 0.05, **values},
    )


async def load(receiver: Receiver, *bodies: bytes) -> None:
    """Each body in a segment of its own."""
    for body in bodies:
        await receiver.accept(LOCAL, body, PROTOBUF)
        await receiver.drain()


def calls(receiver: Receiver, columns: str = "*") -> list[dict[str, Any]]:
    return receiver.store.query(f"SELECT {columns} FROM calls ORDER BY trace_hash, sign")

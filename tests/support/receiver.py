"""Settings of a receiver for one test."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from ecomind_receiver.server import Receiver
from ecomind_receiver.settings import Settings

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

"""A provider without pauses, a sink for OTLP requests, and a port that nobody serves."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from demo import otlp_sink as sink_module

from ecomind_query.demo import fake_provider


@pytest.fixture
def provider_url() -> Iterator[str]:
    with fake_provider.serve(seconds_per_token=0) as url:
        yield url


@pytest.fixture
def otlp_sink() -> Iterator[sink_module.OtlpSink]:
    with sink_module.serve() as sink:
        yield sink


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound, so that nobody else takes it, and not listened on."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]

"""The programs of the comparison: each started as its own documentation recommends, on one sink.

What would make it unequal is set the same for all: no compression towards the sink, which costs
processor time, and a load over OTLP/HTTP. Where a program can be told to wait for a sink that is
slower than the load, instead of refusing spans or sending a batch again, it is told so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from bench.arrivals import CALLS, OTEL_TRACES, Table
from support.clickhouse_cluster import HOST
from support.clickhouse_server import DATABASE, PASSWORD, USER, ClickHouseServer
from support.programs import OTELCOL, ROTEL, free_port, listening

from ecomind_query.bench.organisations import OPEN
from ecomind_query.bench.process import Server

RECONCILE_SECONDS = 10
"""Length of Ecomind's windows here: by default they end after 15 minutes, and then a short run
would leave the work of reconciling out."""


class Running(NamedTuple):
    """A started program: where it takes OTLP/HTTP, and its process."""

    url: str
    pid: int


Starting = Callable[[Path, ClickHouseServer], AbstractContextManager[Running]]


class Program(NamedTuple):
    """One program of the comparison; a folder and a sink are all it needs."""

    name: str
    started: Starting
    table: Table


@contextmanager
def ecomind(folder: Path, sink: ClickHouseServer) -> Iterator[Running]:
    """Ecomind in server mode, without keys, with default settings but for the windows."""
    settings = {
        "ECOMIND_STORE_URL": sink.url,
        "ECOMIND_RECONCILE_WINDOW_SECONDS": str(RECONCILE_SECONDS),
    }
    server = Server(folder, OPEN | settings)
    server.start()
    try:
        yield Running(server.addresses["otlp_http"], server.pid)
    finally:
        server.stop()


@contextmanager
def collector(folder: Path, sink: ClickHouseServer) -> Iterator[Running]:
    """The Collector with its ClickHouse exporter, which makes its tables.

    It batches in the sending queue, as the exporter's README recommends, at the exporter's own
    size of 8,192, which was no dearer than 5,000 or 50,000. Asynchronous inserts stay on, its
    default: the stand-in inserts at once either way.
    """
    port = free_port()
    exporter = {
        "endpoint": f"http://{HOST}:{sink.port}",
        "username": USER,
        "password": PASSWORD,
        "database": DATABASE,
        "compress": "none",
        "timeout": "60s",
        "sending_queue": {
            "num_consumers": 10,
            "block_on_overflow": True,
            "batch": {"min_size": 8192, "flush_timeout": "5s"},
        },
    }
    configuration: dict[str, Any] = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{port}"}}}},
        "exporters": {"clickhouse": exporter},
        "service": {
            "pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["clickhouse"]}},
            "telemetry": {"metrics": {"level": "none"}},
        },
    }
    file = folder / "otelcol.yaml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    with listening([OTELCOL, f"--config={file}"], port, folder / "otelcol.log") as process:
        yield Running(f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def rotel(folder: Path, sink: ClickHouseServer) -> Iterator[Running]:
    """Rotel with its ClickHouse exporter and its own batches, into the Collector's tables.

    It makes none itself and documents that its columns are those of the Collector's exporter.
    """
    with collector(folder, sink):
        pass
    http, rpc = free_port(), free_port()
    options = {
        "--otlp-http-endpoint": f"127.0.0.1:{http}",
        "--otlp-grpc-endpoint": f"127.0.0.1:{rpc}",
        "--exporter": "clickhouse",
        "--clickhouse-exporter-endpoint": f"http://{HOST}:{sink.port}",
        "--clickhouse-exporter-database": DATABASE,
        "--clickhouse-exporter-user": USER,
        "--clickhouse-exporter-password": PASSWORD,
        "--clickhouse-exporter-compression": "none",
    }
    words = [word for option in options.items() for word in option]
    with listening([ROTEL, "start", *words], http, folder / "rotel.log") as process:
        yield Running(f"http://127.0.0.1:{http}", process.pid)


ECOMIND = Program("ecomind", ecomind, CALLS)
PEERS = (
    Program("collector", collector, OTEL_TRACES),
    Program("rotel", rotel, OTEL_TRACES),
)


def missing() -> str:
    """Why the peers can't be run; empty if they can."""
    names = {OTELCOL: "the Collector", ROTEL: "Rotel"}
    absent = [name for path, name in names.items() if not path.exists()]
    return f"not built: {', '.join(absent)}; run `make peers`" if absent else ""

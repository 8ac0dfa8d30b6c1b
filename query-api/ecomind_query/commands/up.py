"""`ecomind up`: receiver, API and page in one process, on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ecomind_query.commands import running
from ecomind_query.commands.common import (
    NO_KEYS,
    NOT_STARTED,
    AsJson,
    DataDir,
    fail,
    load_settings,
)
from ecomind_receiver.settings import MIB, Settings, own_address

if TYPE_CHECKING:
    from ecomind_query.desk import Desk
    from ecomind_receiver.http_server import HttpServer
    from ecomind_receiver.server import Receiver


def up(
    host: Annotated[
        str | None,
        typer.Option(help="Address to bind (ECOMIND_HOST); beyond loopback only with API keys."),
    ] = None,
    api_port: Annotated[
        int | None, typer.Option(help="Port of API and page (ECOMIND_API_PORT).")
    ] = None,
    otlp_http_port: Annotated[
        int | None, typer.Option(help="Port of OTLP/HTTP (ECOMIND_OTLP_HTTP_PORT).")
    ] = None,
    otlp_grpc_port: Annotated[
        int | None, typer.Option(help="Port of OTLP/gRPC (ECOMIND_OTLP_GRPC_PORT).")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Start Ecomind on this machine: OTLP receiver, API and page. Ctrl-C stops it cleanly."""
    settings = load_settings(
        data_dir=data_dir,
        host=host,
        api_port=api_port,
        otlp_http_port=otlp_http_port,
        otlp_grpc_port=otlp_grpc_port,
    )
    import uvloop

    from ecomind_receiver.control.store import ControlError
    from ecomind_receiver.secrets import SecretError
    from ecomind_receiver.server import StartError
    from ecomind_receiver.store import StoreError
    from ecomind_receiver.telemetry import configure_logging

    configure_logging(settings.log_level)
    try:
        stuck = uvloop.run(serve(settings, as_json))
    except (StartError, StoreError, SecretError, ControlError, OSError, ValueError) as error:
        fail(str(error), NOT_STARTED)
    if stuck:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)  # everything else has ended, and an orderly exit would wait for the engine


async def serve(settings: Settings, as_json: bool) -> bool:
    """Run until SIGINT or SIGTERM; whether the engine hung at the end.

    Raises what `Receiver.start` raises.
    """
    from ecomind_receiver.server import Receiver

    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    receiver = Receiver(settings)
    await receiver.start()
    try:
        api = await _start_api(receiver, settings)
        try:
            _collect_seldom()
            _keep_memory()
            _announce(receiver, settings, api[1], as_json)
            await stopping.wait()
        finally:
            running.withdraw(settings.data_dir)
            await api[0].stop()
            await asyncio.to_thread(api[2].close)
    finally:
        await receiver.stop()
    return receiver.store.stuck


def _collect_seldom() -> None:
    """Have Python look for cycles every 50,000 new objects, not 700, and only among new ones.

    Requests make none, so that all it found was time: 0.25 µs a span, 13 µs a request of one span.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _keep_memory() -> None:
    """Have glibc keep what is freed, and from 32 MiB on only give it back to the system.

    Else every body and every chunk of the spool is written to pages that the kernel has to make and
    clear: 0.9 of 8.1 µs a span. Another C library has no such call, and needs none.
    """
    trim_threshold, mmap_threshold, arenas = -1, -3, -8  # of malloc.h
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(mmap_threshold, 32 * MIB)
        mallopt(trim_threshold, 256 * MIB)
        mallopt(arenas, 2)


async def _start_api(receiver: Receiver, settings: Settings) -> tuple[HttpServer, int, Desk]:
    from ecomind_query.app import create_app
    from ecomind_receiver.http_server import HttpServer

    app = create_app(receiver, settings)
    server = HttpServer(app, settings.host, settings.api_port, receiver.tls)
    return server, await server.start(), app.state.desk


def _announce(receiver: Receiver, settings: Settings, api_port: int, as_json: bool) -> None:
    from ecomind_receiver.authentication import OpenDoor
    from ecomind_receiver.http_server import join_address

    scheme = "http" if receiver.tls is None else "https"
    host = own_address(settings.host)
    server = running.Server(
        pid=os.getpid(),
        api=f"{scheme}://{join_address(host, api_port)}",
        otlp_http=f"{scheme}://{join_address(host, receiver.http_port)}",
        otlp_grpc=f"{scheme}://{join_address(host, receiver.grpc_port)}",
    )
    if as_json:
        line = server._asdict() | {"data_dir": str(settings.data_dir)}
        print(json.dumps(line), flush=True)  # one line, as every other on stdout
    else:
        _greet(server, settings, keys=not isinstance(receiver.door, OpenDoor))
    running.announce(settings.data_dir, server)  # last: who finds the file finds everything said


def _greet(server: running.Server, settings: Settings, *, keys: bool) -> None:
    """What a person needs, on stderr: stdout is for log lines."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"\n[bold green]Ecomind is up.[/]  Page and API  [bold]{server.api}[/]")
    console.print("\nPoint an application at it with these variables:\n")
    console.print(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={server.otlp_http}", markup=False)
    console.print("  export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", markup=False)
    console.print("\nor, where its exporter speaks gRPC:\n")
    console.print(f"  export OTEL_EXPORTER_OTLP_ENDPOINT={server.otlp_grpc}", markup=False)
    console.print("  export OTEL_EXPORTER_OTLP_PROTOCOL=grpc", markup=False)
    if keys:
        console.print("\nwith a key that `ecomind keys create` gives:\n", markup=False)
        header = "OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer%20eco_live_…'"
        console.print(f"  export {header}", markup=False)
    else:
        console.print(f"\n{NO_KEYS}", markup=False)
    if own_address(settings.host) != settings.host:
        console.print(
            "\nOn other machines, write the name of this one in place of 127.0.0.1.", markup=False
        )
    console.print(f"\nData in {settings.data_dir}. Ctrl-C stops; nothing is lost.\n", markup=False)

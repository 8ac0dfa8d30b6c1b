"""`ecomind demo`: a server, a month of history, a real instrumented app, and their footprint.

It owns the order of the steps and what is said about them. Without `--data-dir` everything lives in
a temporary directory and is gone afterwards, so every demo starts clean; and the summary waits
until the server has stored as many calls as were made, because the demo of a meter must add up.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import signal
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.progress import Progress

from ecomind_query.commands.common import fail, load_settings
from ecomind_query.commands.running import Server, ServerError
from ecomind_query.demo import api, fake_provider, history, processes, summary, workloads
from ecomind_query.demo.deliver import DeliveryError, deliver
from ecomind_query.demo.errors import DemoError
from ecomind_query.demo.processes import RunningServer
from ecomind_query.periods import Period

EXTRA_MODULES = ("openai", "opentelemetry.instrumentation.genai")
PORTS = {"api_port": "the page", "otlp_http_port": "OTLP/HTTP", "otlp_grpc_port": "OTLP/gRPC"}
"""Setting of a port → what listens there."""
STORED_SECONDS = 120
POLL_SECONDS = 0.2


class Options(NamedTuple):
    """How this demo was asked for, where it speaks, and its directory for a while."""

    console: Console
    scratch: Path
    data_dir: Path | None
    exit_after: bool
    as_json: bool


def demo(
    exit_after: Annotated[
        bool, typer.Option("--exit", help="Stop after the summary instead of staying up.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the summary as one JSON object.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the data here; otherwise it is gone afterwards.")
    ] = None,
) -> None:
    """Show Ecomind at work: a real instrumented app and 30 days of history, no keys, no network."""
    console = Console(stderr=as_json, highlight=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="ecomind-demo-") as scratch:
            _run(Options(console, Path(scratch), data_dir, exit_after, as_json))
    except KeyboardInterrupt:
        console.print("The demo has ended.")
    except (DemoError, DeliveryError, ServerError) as error:
        for line in getattr(error, "log_lines", ()):
            console.print(line, style="dim", markup=False)
        fail(str(error))


def _run(options: Options) -> None:
    """Everything from the first check to the last child's end, which Ctrl-C no longer disturbs."""
    require_extra()
    with contextlib.ExitStack() as stack:
        try:
            server = _play(options, stack)
            if not options.exit_after:
                _stay(options, server)
        except KeyboardInterrupt:
            options.console.print("\nStopping …")
            raise
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)


def _play(options: Options, stack: contextlib.ExitStack) -> RunningServer:
    """The steps up to the summary; what they start ends with the stack."""
    console, scratch, began = options.console, options.scratch, time.monotonic()
    settings = server_settings(options)
    data_dir = options.data_dir or scratch / "data"
    with _step(console, "Server up"):
        up = stack.enter_context(processes.server(data_dir, scratch / "server.log", settings))
    period = _period(datetime.now(UTC))
    calls_before = api.usage(up.server, period).total.calls
    with _step(console, f"{history.DAYS} days of history sent over OTLP", spinner=False):
        sent = _send_history(console, up.server.otlp_http)
    with _step(console, "Real app run: OpenAI SDK, OpenTelemetry GenAI instrumentation"):
        url = stack.enter_context(fake_provider.serve())
        once, log = options.exit_after, scratch / "app.log"
        app = stack.enter_context(processes.app(url, up.server.otlp_http, log, once))
    expected = calls_before + sent["calls"] + sum(ledger["calls"] for ledger in app)
    with _step(console, "Everything stored"):
        _wait_until_stored(up, period, expected)
    seconds = round(time.monotonic() - began, 1)
    told = {"seconds": seconds, "expected_calls": expected, "history": sent, "app": app}
    _tell(options, up.server, period, told)
    return up


def require_extra() -> None:
    """Raises `DemoError` when the packages of the extra `demo` are not installed."""
    for module in EXTRA_MODULES:
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:  # one of its parents
            found = None
        if found is None:
            raise DemoError(
                f"The demo needs {module}; install it with: pip install 'ecomind[demo]'"
            )


def server_settings(options: Options) -> dict[str, str]:
    """Variables for the server: free ports instead of busy ones, and keys that go with the data."""
    wanted = load_settings()
    variables = {} if options.data_dir else {"ECOMIND_KEY_DIR": str(options.scratch / "keys")}
    for setting, listener in PORTS.items():
        port = getattr(wanted, setting)
        if port and not _is_free(wanted.host, port):
            options.console.print(f"[yellow]![/] Port {port} is in use; {listener} takes another.")
            variables[f"ECOMIND_{setting.upper()}"] = "0"
    return variables


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def _period(now: datetime) -> Period:
    """What the summary is about: whole hours, which the rollup answers by itself."""
    hour = now.replace(minute=0, second=0, microsecond=0)
    return Period(hour - timedelta(days=history.DAYS), hour + timedelta(hours=2))


@contextlib.contextmanager
def _step(console: Console, name: str, spinner: bool = True) -> Iterator[None]:
    """Says that a step is done and how long it took; no spinner if it has a display of its own."""
    began = time.monotonic()
    with console.status(f"{name} …") if spinner else contextlib.nullcontext():
        yield
    console.print(f"[green]✓[/] {name} [dim]{time.monotonic() - began:.1f} s[/]")


def _send_history(console: Console, otlp_http: str) -> Mapping[str, int]:
    """Sends the month, showing how far it has come; what it holds, as a ledger."""
    total: Counter[str] = Counter()
    requests = history.DAYS * sum(workload.requests_per_day for workload in workloads.load())
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("Sending 30 days of history", total=requests)
        for ledger in deliver(otlp_http, history.batches(time.time_ns())):
            total.update(ledger)
            progress.update(task, completed=total["requests"])
    return total


def _wait_until_stored(up: RunningServer, period: Period, calls: int) -> None:
    deadline = time.monotonic() + STORED_SECONDS
    while (stored := api.usage(up.server, period).total.calls) < calls:
        up.child.require_alive()
        if time.monotonic() > deadline:
            message = f"Only {stored:,} of {calls:,} calls were stored in {STORED_SECONDS} seconds."
            raise DemoError(message, up.child.last_lines())
        time.sleep(POLL_SECONDS)


def _tell(options: Options, server: Server, period: Period, told: Mapping[str, Any]) -> None:
    """The summary, as tables or as one line of JSON."""
    total, models = api.usage(server, period, "model")
    teams = api.usage(server, period, "team").groups
    if not options.as_json:
        summary.print_totals(options.console, total, history.DAYS)
        summary.print_groups(options.console, "model", models)
        summary.print_groups(options.console, "team", teams)
        return
    answer = {
        "page": server.api,
        "otlp_http": server.otlp_http,
        "otlp_grpc": server.otlp_grpc,
        **told,
        "total": total.model_dump(),
        "by_model": [row.model_dump() for row in models],
        "by_team": [row.model_dump() for row in teams],
    }
    print(json.dumps(answer), flush=True)


def _stay(options: Options, up: RunningServer) -> None:
    """Until Ctrl-C, or until the server ends by itself."""
    fate = "keeps" if options.data_dir else "deletes"
    options.console.print(
        f"\nPage      [bold]{up.server.api}[/]"
        f"\nYour app  [bold]OTEL_EXPORTER_OTLP_ENDPOINT={up.server.otlp_http}[/]"
        "\n          [bold]OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf[/]"
        f"\n\nThe demo app goes on calling. Ctrl-C ends the demo and {fate} its data."
    )
    up.child.process.wait()
    up.child.require_alive()

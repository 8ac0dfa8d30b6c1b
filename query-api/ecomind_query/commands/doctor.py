"""`ecomind doctor`: what is wrong with this installation, and the fix.

It owns the printing; what is looked at is in `checks.py`, one function a check.
"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from ecomind_query.commands import running, source
from ecomind_query.commands.checks import CHECKS, REMOTE_CHECKS
from ecomind_query.commands.common import (
    FAILED,
    AsJson,
    DataDir,
    ServerUrl,
    load_settings,
    print_json,
    print_table,
)
from ecomind_query.commands.findings import Finding
from ecomind_query.shapes import Received
from ecomind_receiver.settings import Settings

SPANS = 100


def doctor(
    telemetry: Annotated[
        bool,
        typer.Option(
            "--telemetry", help="List the last 100 spans received and why each counted or not."
        ),
    ] = False,
    server: ServerUrl = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Check server, keys, TLS, ports, directories, engine and clock: what is wrong, and the fix."""
    settings = load_settings(data_dir=data_dir, server=server)
    if telemetry:
        _show_spans(settings, as_json)
        return
    checks = REMOTE_CHECKS if settings.server else CHECKS
    findings = [finding for check in checks for finding in check(settings)]
    if as_json:
        print_json([finding._asdict() for finding in findings])
    else:
        _show(findings)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(FAILED)


def _show(findings: list[Finding]) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        mark = "[green]ok[/]   " if finding.ok else "[bold red]wrong[/]"
        console.print(f"{mark} {escape(finding.name):<18} {escape(finding.detail)}")
        if finding.fix:
            console.print(f"      {'':<18} [bold]{escape(finding.fix)}[/]")


def _show_spans(settings: Settings, as_json: bool) -> None:
    with running.refusals():
        received = _received(settings)
    if as_json:
        print_json(received)
        return
    outcomes = ", ".join(f"{name} {spans:,}" for name, spans in received.outcomes_24h.items())
    print_table(
        ("received", "service", "scope", "model", "outcome", "counted", "trace id"),
        [
            (
                f"{span.received_at:%H:%M:%S}",
                span.service,
                span.scope,
                span.model,
                span.outcome,
                counted(span.outcome, span.reason),
                span.trace_id[:16],
            )
            for span in received.spans
        ],
        caption=f"Spans of the last 24 hours: {outcomes or 'none'}.",
    )


def counted(outcome: str, reason: str) -> str:
    """Whether a span counts, in a word or with its reason."""
    if outcome != "stored":
        return f"no: {outcome}"
    return f"no: {reason}" if reason else "yes"


def _received(settings: Settings) -> Received:
    server = running.connect(settings)
    if server is None:
        with source.reader(settings) as reader:
            return reader.received(source.reach(settings), SPANS)
    return Received(**server.get("/v1/diagnostics/spans", {"limit": SPANS}))

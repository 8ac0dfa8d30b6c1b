"""The demo's app: several services that call a model, each a process of its own.

One process each, because who is calling is an OpenTelemetry resource, and a resource belongs to a
process. This module is the command line and the launcher; a service itself is `instrumented.py`.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys

from ecomind_query.demo.services import SERVICES


def run_all(arguments: list[str]) -> int:
    """Run every service as a child process with the same arguments; returns the worst status."""
    command = [sys.executable, "-m", "ecomind_query.demo.demo_app", *arguments]
    children = [subprocess.Popen([*command, "--service", service.name]) for service in SERVICES]

    def stop(*_: object) -> None:
        for child in children:
            child.terminate()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
    return max(abs(child.wait()) for child in children)


def main(arguments: list[str]) -> int:
    """Command line of `python -m ecomind_query.demo.demo_app`; returns the exit status."""
    parser = argparse.ArgumentParser(description="Services that call a model, for the demo.")
    parser.add_argument("--provider-url", required=True, help="OpenAI-compatible base URL")
    parser.add_argument("--otlp-endpoint", required=True, help="such as http://127.0.0.1:4318")
    parser.add_argument("--service", choices=[s.name for s in SERVICES], help="run only this one")
    parser.add_argument("--once", action="store_true", help="stop after the scenes")
    options = parser.parse_args(arguments)
    if options.service is None:
        return run_all(arguments)
    from ecomind_query.demo.instrumented import run_service  # the launcher has no use for an SDK

    service = next(s for s in SERVICES if s.name == options.service)
    run_service(service, options.provider_url, options.otlp_endpoint, options.once)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

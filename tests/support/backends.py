"""Which servers stand behind the control store and the limits in a test run.

`make test BACKEND=postgres,redis` names them and sets ECOMIND_TEST_BACKEND. Without it everything
is in the process: SQLite and local limits. Whoever names a server wants it tested, so that one that
is not installed is a failure here and not a skipped test.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from support.redis_server import redis_server
from support.servers import missing_postgres, postgres_url

VARIABLE = "ECOMIND_TEST_BACKEND"
WORDS = ("postgres", "redis")


@dataclass(frozen=True)
class Backend:
    """What runs behind, in words, and the settings that lead there."""

    name: str
    settings: dict[str, Any]
    redis_url: str | None


def wanted(environment: Mapping[str, str] = os.environ) -> frozenset[str]:
    """The servers that are named. Raises pytest.UsageError for a word that names none."""
    words = {word.strip() for word in environment.get(VARIABLE, "").split(",")} - {""}
    unknown = sorted(words.difference(WORDS))
    if unknown:
        raise pytest.UsageError(
            f"BACKEND names {', '.join(unknown)}, which is none. Name {' or '.join(WORDS)}, or both"
            " with a comma between; without it, tests run on SQLite and limits in the process."
        )
    return frozenset(words)


@contextmanager
def backend(words: frozenset[str]) -> Iterator[Backend]:
    """Start the servers, stop them afterwards."""
    with ExitStack() as running:
        settings: dict[str, Any] = {}
        redis_url = None
        if "postgres" in words:
            _need(missing_postgres())
            settings["control_url"] = running.enter_context(postgres_url())
            # Processes that share a control store are given their secrets.
            for secret in ("spool_key", "pseudonym_key", "key_pepper"):
                settings[secret] = secrets.token_hex(32)
        if "redis" in words:
            _need("" if shutil.which("redis-server") else "redis-server is not installed")
            redis_url = settings["redis_url"] = running.enter_context(redis_server()).url
        yield Backend(_name(words), settings, redis_url)


def _need(missing: str) -> None:
    if missing:
        pytest.fail(f"{VARIABLE} asks for it, but {missing}.", pytrace=False)


def _name(words: frozenset[str]) -> str:
    control = "PostgreSQL" if "postgres" in words else "SQLite"
    limits = "Redis" if "redis" in words else "limits in the process"
    return f"{control} and {limits}"

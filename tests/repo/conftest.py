"""What every check of the repository starts from: its root and the files that belong to it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def files() -> dict[str, str]:
    """Path → text of every file that is tracked or would be, without pictures and other bytes."""
    # A clone may belong to another user, as in a container; reading its list of files is harmless.
    command = ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"]
    command += ["--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return dict(_texts(sorted(filter(None, listed.stdout.split("\0")))))


@pytest.fixture(scope="session")
def targets() -> dict[str, str]:
    """Target → help text of every word that the Makefile offers."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    return dict(re.findall(r"^([a-z]+):.*?## (.+)$", makefile, re.MULTILINE))


@pytest.fixture(scope="session")
def nav() -> list[str]:
    """The pages that the documentation's navigation names."""
    return list(_leaves(yaml.safe_load((ROOT / "mkdocs.yml").read_text("utf-8"))["nav"]))


def _texts(paths: list[str]) -> Iterator[tuple[str, str]]:
    for path in paths:
        file = ROOT / path
        if not file.is_file():
            continue  # deleted, and not committed yet
        try:
            yield path, file.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def _leaves(node: object) -> Iterator[str]:
    if isinstance(node, str):
        yield node
    elif isinstance(node, list):
        for item in node:
            yield from _leaves(item)
    elif isinstance(node, dict):
        for item in node.values():
            yield from _leaves(item)

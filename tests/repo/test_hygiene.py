"""Nothing here belongs to one machine: no private paths, no addresses of package mirrors."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

MACHINE_PATH = re.compile(r"(?<![\w.:/-])/(?:root|work|opt/wheels|Users/\w+|home/\w+)/[\w.]")
PACKAGE_SOURCE = re.compile(
    r"--(?:extra-)?index-url|--find-links|^\s*index-url\s*=|\[\[tool\.uv\.index|"
    r"\"resolved\": \"|^\s*registry\s*=\s*\"?https|https?://(?:\d+\.){3}\d+(?::\d+)?/(?:simple|npm)",
    re.MULTILINE,
)
PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def found(pattern: re.Pattern[str], files: dict[str, str], but: Iterable[str] = ()) -> list[str]:
    return [
        f"{path}: {match[0]}"
        for path, text in files.items()
        if path not in but
        for match in pattern.finditer(text)
    ]


THIS = "tests/repo/test_hygiene.py"  # holds the patterns and examples of what they find


def test_no_paths_of_a_machine(files: dict[str, str]) -> None:
    assert found(MACHINE_PATH, files, but=[THIS]) == []


def test_packages_come_from_wherever_the_machine_says(files: dict[str, str]) -> None:
    assert found(PACKAGE_SOURCE, files, but=[THIS]) == []


def test_no_private_keys(files: dict[str, str]) -> None:
    assert found(PRIVATE_KEY, files, but=[THIS]) == []


def test_the_repository_is_read_at_all(files: dict[str, str]) -> None:
    assert {"README.md", "Makefile", ".ci/run", "pyproject.toml"} <= files.keys()


@pytest.mark.parametrize(
    ("pattern", "text", "hit"),
    [
        (MACHINE_PATH, "see /home/ada/project", True),
        (MACHINE_PATH, "cd /Users/ada/x", True),
        (MACHINE_PATH, "docs/home/index", False),
        (MACHINE_PATH, "https://example.org/home/ada/", False),
        (PACKAGE_SOURCE, "pip install --index-url https://example.org/simple x", True),
        (PACKAGE_SOURCE, '"resolved": "https://example.org/x.tgz"', True),
        (PACKAGE_SOURCE, "omit-lockfile-registry-resolved=true", False),
    ],
)
def test_the_patterns_notice(pattern: re.Pattern[str], text: str, hit: bool) -> None:
    assert bool(pattern.search(text)) is hit

"""Every command that the documentation shows exists: words of make, commands of `ecomind`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from ecomind_query.cli import app
from ecomind_receiver.settings import Settings

BLOCK = re.compile(r"^```(?:bash|sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", "CONTRIBUTING.md", "docs/**/*.md")


def commands(root: Path, program: str) -> Iterator[list[str]]:
    for pattern in PAGES:
        for page in sorted(root.glob(pattern)):
            for block in BLOCK.findall(page.read_text("utf-8")):
                for line in block.replace("\\\n", " ").splitlines():
                    words = shlex.split(line.removeprefix("$ "), comments=True)
                    while words and "=" in words[0]:
                        words = words[1:]  # variables set for this command
                    if words and words[0].split("/")[-1] == program:
                        yield words[1:]


def test_make_words_exist(root: Path, targets: dict[str, str]) -> None:
    shown = [word for words in commands(root, "make") for word in words if "=" not in word]
    assert {"demo", "test"} <= set(shown)
    assert sorted(set(shown) - targets.keys()) == []


def test_ecomind_commands_and_options_exist(root: Path) -> None:
    shown = list(commands(root, "ecomind"))
    assert shown
    assert [unknown for words in shown if (unknown := _first_unknown(words))] == []


def test_settings_that_pages_name_exist(files: dict[str, str]) -> None:
    known = {f"ECOMIND_{name.upper()}" for name in Settings.model_fields}
    known |= {"ECOMIND_RELEASE"}  # of the build hook
    pages = {path: text for path, text in files.items() if path.endswith((".md", "Dockerfile"))}
    for path, text in pages.items():
        assert set(re.findall(r"\bECOMIND_[A-Z_]*[A-Z]\b", text)) <= known, path


@pytest.mark.parametrize(
    ("words", "unknown"),
    [
        (["no-such-command"], "no-such-command"),
        (["up", "--no-such-option"], "up --no-such-option"),
        (["bench", "ingest", "--json"], ""),
    ],
)
def test_the_check_notices(words: list[str], unknown: str) -> None:
    assert _first_unknown(words) == unknown


def _first_unknown(words: list[str]) -> str:
    """The command up to its first unknown word; empty if all is known. Values are not judged."""
    command: Any = typer.main.get_command(app)
    options = _options(command)
    for position, word in enumerate(words):
        if word.startswith("-") and word.split("=")[0] not in options:
            return " ".join(words[: position + 1])
        if word.startswith("-") or not hasattr(command, "commands"):
            continue
        if word not in command.commands:
            return " ".join(words[: position + 1])
        command = command.commands[word]
        options |= _options(command)
    return ""


def _options(command: Any) -> set[str]:
    names = {"--help", "--install-completion", "--show-completion"}
    return names.union(*(parameter.opts + parameter.secondary_opts for parameter in command.params))

"""The words of the command line and the page of settings are documented, all of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from ecomind_query import cli
from ecomind_query.commands.settings import page

DATALESS = {
    "conformance", "explain", "factors list", "factors show", "factors diff", "factors validate",
    "factors compile", "factors document", "factors explain", "grid import",
}  # fmt: skip
ROOT = Path(__file__).resolve().parents[2]
WITHOUT_DATA = ("factors compile", "grid import", "explain", "conformance")


def words() -> list[tuple[str, Any]]:
    return list(_words())


def _words() -> Iterator[tuple[str, Any]]:
    group: Any = typer.main.get_command(cli.app)
    for name in cli.COMMANDS:
        command = group.commands[name]
        yield name, command
        for inner in getattr(command, "commands", {}):
            yield f"{name} {inner}", command.commands[inner]


@pytest.mark.parametrize(("name", "command"), words(), ids=lambda value: str(value)[:20])
def test_every_word_and_option_has_help(name: str, command: Any) -> None:
    assert command.help, name
    silent = [p.opts for p in command.params if not getattr(p, "help", None)]
    assert silent == [], name


def test_json_and_data_dir_are_everywhere() -> None:
    """Except where a word has no data: groups, the words about factor sets, conformance."""
    for name, command in words():
        if name in cli.GROUPS or name in DATALESS:
            continue
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--json", "--data-dir"} <= options, name


def test_the_page_of_settings_is_fresh() -> None:
    """If this fails: ecomind settings --markdown > docs/settings.md"""
    assert (ROOT / "docs" / "settings.md").read_text("utf-8") == page()


@pytest.mark.parametrize("name", [name for name, _ in words()])
def test_the_page_of_commands_names_every_word(name: str) -> None:
    assert f"## ecomind {name}\n" in (ROOT / "docs" / "cli.md").read_text("utf-8") or (
        name in cli.GROUPS
    )


def test_a_word_whose_extra_is_missing_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "demo", cli.Word("no_such_module", "demo", "Show it."))
    result = CliRunner().invoke(cli.app, ["demo"])
    assert result.exit_code == 1
    assert "needs the Python module no_such_module" in result.output


def test_version() -> None:
    result = CliRunner().invoke(cli.app, ["--version"])
    assert (result.exit_code, result.output.split()[0]) == (0, "ecomind")

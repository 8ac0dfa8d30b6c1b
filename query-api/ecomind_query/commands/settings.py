"""`ecomind settings`: every setting, its variable, value and default.

The same rows make docs/settings.md; a test holds the page to them.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from ecomind_query.commands.common import AsJson, DataDir, load_settings, print_json, print_table
from ecomind_receiver.settings import Settings

COLUMNS = ("variable", "value", "default", "what it does")
_PREFIX = "ECOMIND_"
_DEFAULTS = {
    "data_dir": "$XDG_DATA_HOME/ecomind, else ~/.local/share/ecomind",
    "key_dir": "$XDG_CONFIG_HOME/ecomind, else ~/.config/ecomind",
}
"""Defaults that depend on the machine, in words."""


def settings(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the page docs/settings.md.")
    ] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """List every setting with its variable, its value now and its default."""
    if markdown:
        typer.echo(page(), nl=False)
        return
    now = load_settings(data_dir=data_dir)
    rows = [
        (variable(name), _value(getattr(now, name), info), default(name, info), info.description)
        for name, info in Settings.model_fields.items()
    ]
    if as_json:
        print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    else:
        print_table(COLUMNS, rows)


def page() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Every setting is an environment variable; `ecomind settings` shows the values in use. A",
        "value that can't be used stops the process with a sentence that names the variable.",
        "Options of a command, such as `--data-dir`, go before variables.",
        "",
        "| variable | default | what it does |",
        "|---|---|---|",
    ]
    for name, info in Settings.model_fields.items():
        lines.append(f"| `{variable(name)}` | {_code(default(name, info))} | {info.description} |")
    lines += ["", "This page is made by `ecomind settings --markdown`.", ""]
    return "\n".join(lines)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return _PREFIX + name.upper()


def default(name: str, info: FieldInfo) -> str:
    """The default as people write it."""
    return _DEFAULTS.get(name) or _shown(info.default)


def _value(value: Any, info: FieldInfo) -> str:
    """A setting's value; of a secret only whether there is one."""
    if SecretStr in (info.annotation, *get_args(info.annotation)):
        return "not set" if value is None else "set"
    return _shown(value)


def _shown(value: Any) -> str:
    return "" if value is None else str(value)


def _code(text: str) -> str:
    return f"`{text}`" if text else "none"

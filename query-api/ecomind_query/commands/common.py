"""What the commands share: their options, settings, ways to print and to fail.

A command ends with 0 when it did what it was asked, 1 when something in its input or result is
wrong, and 2 when it could not start at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ecomind_processor.factors import FactorSetError, choose
from ecomind_receiver.settings import Settings

FAILED, NOT_STARTED = 1, 2

M = TypeVar("M", bound=BaseModel)

NO_KEYS = (
    "A server on loopback asks for no key unless ECOMIND_AUTH=keys; who shows none is org_demo, and"
    " a key that is shown is checked and used."
)

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="Directory of the spool and the store (ECOMIND_DATA_DIR)."),
]
ServerUrl = Annotated[
    str | None,
    typer.Option("--server", help="Server to ask (ECOMIND_SERVER); the one here if left out."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text for people.")]


def load_settings(**given: object) -> Settings:
    """Settings from the environment and the given options; ends with a sentence if one is bad."""
    try:
        settings = Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
        choose(settings.factor_set, settings.factor_dir)
        return settings
    except FactorSetError as error:
        fail(f"ECOMIND_FACTOR_SET and ECOMIND_FACTOR_DIR: {error}", NOT_STARTED)
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        fail(f"The setting ECOMIND_{name} is not usable: {plain(first['msg'])}.", NOT_STARTED)


def checked(model: type[M], given: Mapping[str, object], /, **typed: str) -> M:
    """The options as a query; ends with a sentence that names the first one that isn't usable.

    `typed` has what is typed for a field where that is not its name: `factor_set="--set"`.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        field, says = "_".join(str(part) for part in first["loc"]), plain(first["msg"])
        fail(f"{option(field, **typed)}: {says}." if field else f"{says}.")


def option(field: str, /, **typed: str) -> str:
    """What is typed for a field of a query."""
    return typed.get(field, f"--{field.replace('_', '-')}")


def worded(sentence: str, /, **typed: str) -> str:
    """A refusal that names a field of the query, with what is typed for it instead."""
    field, colon, says = sentence.partition(": ")
    named = bool(colon) and field.isidentifier() and field.islower()
    return f"{option(field, **typed)}: {says}" if named else sentence


def plain(message: str) -> str:
    """What a library says of a value, in words for a person."""
    text = message.replace("Value error, ", "", 1).split(", unable to parse")[0].rstrip(".")
    return text.replace("Input should be", "it must be", 1).replace("; it", ": it", 1)


def fail(sentence: str, code: int = FAILED) -> NoReturn:
    """Print a sentence to stderr and end."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]Error:[/] {escape(sentence)}")
    raise typer.Exit(code)


def print_json(value: BaseModel | Any) -> None:
    """Print a value as one JSON document on stdout."""
    if isinstance(value, BaseModel):
        typer.echo(value.model_dump_json(by_alias=True, indent=2))
    else:
        typer.echo(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    right: Iterable[str] = (),
    title: str | None = None,
    caption: str | None = None,
) -> None:
    """Print rows on stdout; the columns in `right` are aligned to the right."""
    table = Table(title=title, caption=caption, title_justify="left", caption_justify="left")
    rights = set(right)
    for name in columns:
        table.add_column(name, justify="right" if name in rights else "left", overflow="fold")
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row))
    Console(highlight=False, markup=False).print(table)

"""The `ecomind` command: a table of its words, each loaded when it is called for.

A word's module may bring the column engine or a model provider's SDK; none of that is loaded to
print help, and a word whose extra is not installed says so without harming the others.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from ecomind_query.commands.common import fail, plain
from ecomind_query.commands.version import show_version


class Word(NamedTuple):
    """Where a command is: its module, its function there, what it does."""

    module: str
    function: str
    summary: str


COMMANDS: dict[str, Word | dict[str, Word]] = {
    "up": Word("ecomind_query.commands.up", "up", "Start Ecomind on this machine."),
    "demo": Word("ecomind_query.demo.command", "demo", "Show Ecomind at work with a real app."),
    "usage": Word("ecomind_query.commands.usage", "usage", "Totals of energy, CO2e and water."),
    "explain": Word("ecomind_query.commands.explain", "explain", "Derive one call's footprint."),
    "whatif": Word("ecomind_query.commands.whatif", "whatif", "The same calls elsewhere."),
    "ingest": Word("ecomind_query.commands.ingest", "ingest", "Send files of OTLP traces."),
    "spend": {
        "import": Word("ecomind_query.commands.spend", "import_", "Import an invoice."),
    },
    "sql": Word("ecomind_query.commands.sql", "sql", "Run one SELECT over your calls."),
    "backup": Word("ecomind_query.commands.backup", "backup", "Back all data up."),
    "restore": Word("ecomind_query.commands.restore", "restore", "Bring a backup back."),
    "doctor": Word("ecomind_query.commands.doctor", "doctor", "Say what is wrong and the fix."),
    "settings": Word("ecomind_query.commands.settings", "settings", "List every setting."),
    "seed": Word("ecomind_query.commands.seed", "seed", "Make a first organisation and key."),
    "orgs": {
        "create": Word("ecomind_query.commands.orgs", "create", "Make an organisation."),
        "list": Word("ecomind_query.commands.orgs", "list_", "List organisations."),
        "quota": Word("ecomind_query.commands.orgs", "quota", "Limit an organisation."),
    },
    "projects": {
        "create": Word("ecomind_query.commands.projects", "create", "Make a project."),
        "list": Word("ecomind_query.commands.projects", "list_", "List projects."),
    },
    "users": {
        "create": Word("ecomind_query.commands.users", "create", "Make a user a member."),
        "list": Word("ecomind_query.commands.users", "list_", "List members."),
    },
    "keys": {
        "create": Word("ecomind_query.commands.keys", "create", "Make an API key."),
        "list": Word("ecomind_query.commands.keys", "list_", "List API keys."),
        "revoke": Word("ecomind_query.commands.keys", "revoke", "End an API key."),
        "rotate": Word("ecomind_query.commands.keys", "rotate", "Replace an API key."),
    },
    "closes": Word("ecomind_query.commands.restate", "closes", "List closed days."),
    "overrides": {
        "propose": Word("ecomind_query.commands.overrides", "propose", "State a factor."),
        "list": Word("ecomind_query.commands.overrides", "list_", "List what is stated."),
        "show": Word("ecomind_query.commands.overrides", "show", "Show one statement."),
        "approve": Word("ecomind_query.commands.overrides", "approve", "Let a proposal hold."),
        "reject": Word("ecomind_query.commands.overrides", "reject", "Refuse a proposal."),
        "withdraw": Word("ecomind_query.commands.overrides", "withdraw", "Take one's own back."),
    },
    "conformance": Word(
        "ecomind_query.conformance.command", "conformance", "Check an OTLP receiver."
    ),
    "bench": {
        "ingest": Word("ecomind_query.bench.command", "ingest", "Measure the ingest path."),
        "keys": Word("ecomind_query.bench.keys", "keys", "Measure what keys and limits cost."),
        "all": Word("ecomind_query.bench.everything", "everything", "Measure all of it."),
        "growth": Word("ecomind_query.bench.growth", "growth", "Measure a store as it grows."),
        "restate": Word("ecomind_query.bench.restate", "restate", "Measure a restatement."),
        "fairness": Word(
            "ecomind_query.bench.fairness", "fairness", "Measure a tenant beside a noisy one."
        ),
    },
    "grid": {
        "import": Word("ecomind_query.commands.grid_import", "import_", "Make a table of hours."),
        "show": Word("ecomind_query.commands.grid", "show", "Show hourly intensities."),
    },
    "factors": {
        "list": Word("ecomind_query.factors.show", "list_", "List factor sets."),
        "show": Word("ecomind_query.factors.show", "show", "Show a set's numbers."),
        "diff": Word("ecomind_query.factors.show", "diff", "Compare two sets."),
        "validate": Word("ecomind_query.factors.compile", "validate", "Check a set's sources."),
        "compile": Word("ecomind_query.factors.compile", "compile_command", "Compile factors."),
        "document": Word("ecomind_query.factors.document", "document", "Write the method page."),
        "explain": Word("ecomind_query.commands.explain", "explain", "Derive one footprint."),
        "restate": Word("ecomind_query.commands.restate", "restate", "Restate closed days."),
        "restatements": Word(
            "ecomind_query.commands.restate", "restatements", "List restatements."
        ),
    },
}
GROUPS = {
    "orgs": "Organisations and their quotas.",
    "projects": "Projects of an organisation.",
    "users": "Members of an organisation.",
    "keys": "API keys of an organisation.",
    "overrides": "Factors that an organisation states itself.",
    "bench": "Measure what this machine can do.",
    "spend": "AI that has no telemetry, from invoices.",
    "grid": "Hourly carbon intensities.",
    "factors": "Work on emission factor sets.",
}


class _Commands(dict[str, Any]):
    """Commands by name, each built from its module when it is asked for."""

    def __init__(self) -> None:
        super().__init__(dict.fromkeys(COMMANDS))

    def __getitem__(self, name: str) -> Any:
        if super().__getitem__(name) is None:
            self[name] = _group(name) if name in GROUPS else _command(name, COMMANDS[name])
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        """The command, or `default` if there is none of that name."""
        try:
            return self[name]
        except KeyError:
            return default


class LazyGroup(TyperGroup):
    """A group over `COMMANDS`."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.commands = _Commands()

    def invoke(self, ctx: Any) -> Any:
        """Run the word; a value that can't be used ends it with a sentence."""
        try:
            return super().invoke(ctx)
        except TyperException as error:
            if type(error).__name__ == "NoArgsIsHelpError":  # its message is the help
                raise
            context = getattr(error, "ctx", None)
            more = f" See `{context.command_path} --help`." if context else ""
            fail(f"{plain(error.format_message())}.{more}", error.exit_code)


def _group(name: str) -> Any:
    words = COMMANDS[name]
    assert isinstance(words, dict)
    group = typer.Typer(name=name, help=GROUPS[name], no_args_is_help=True, add_completion=False)
    group.callback()(lambda: None)
    for word, target in words.items():
        group.command(word)(_function(f"{name} {word}", target))
    return _named_arguments(typer.main.get_command(group))


def _command(name: str, word: Any) -> Any:
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name)(_function(name, word))
    return _named_arguments(typer.main.get_command(single))


def _named_arguments(command: Any) -> Any:
    """The command with its arguments in capitals in the line of usage, as the pages write them."""
    for each in (command, *getattr(command, "commands", {}).values()):
        for parameter in each.params:
            if parameter.param_type_name == "argument":
                text = parameter.name.upper() + ("..." if parameter.nargs == -1 else "")
                parameter.metavar = text
                parameter.get_usage_pieces = lambda ctx, text=text: [text]
    return command


def _function(name: str, word: Word) -> Callable[..., None]:
    try:
        function: Callable[..., None] = getattr(importlib.import_module(word.module), word.function)
    except ModuleNotFoundError as error:
        return _missing(name, word.summary, error.name or "")
    return function


def _missing(name: str, summary: str, module: str) -> Callable[..., None]:
    def missing() -> None:
        typer.echo(
            f"ecomind {name} needs the Python module {module}."
            " Install the extra that has it: pip install 'ecomind[demo]'",
            err=True,
        )
        raise typer.Exit(1)

    missing.__doc__ = summary
    return missing


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def root(
    version: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=show_version),
    ] = False,
) -> None:
    """Ecomind, the environmental meter for AI calls."""


def main() -> None:
    """Run the command line."""
    app()

r"""What may stand in the text of a statement, on its way in and on its way to the engine.

Parser and engine read text with two lexers, and where they differ a harmless name becomes a
statement. So the text that goes to the engine is written in the few characters on which no two
lexers differ: every name in quotes, every other byte of a string as `\xHH`, and bare words from
one closed list. What does not come out like that is refused.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import resources

import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.generators.clickhouse import ClickHouseGenerator

from ecomind_query.errors import QueryError

DIALECT = "clickhouse"
_NAME = re.compile(r"[A-Za-z0-9_ ()%/+:*-]{1,100}")
_NUMBER = re.compile(r"(0x[0-9A-Fa-f]+|(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?)", re.ASCII)
_KEYWORDS = re.compile(r"[A-Za-z][A-Za-z_ ]{0,30}")
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"[^\"\\]*\"|`[^`\\]*`", re.DOTALL)
_BARE = re.compile(r"[\t\n\r !%&()*+,\-./0-9:;<=>A-Z\[\]^_a-z{|}~]*")
_COMMENTS = ("--", "//", "/*")
_TYPOGRAPHIC = re.compile("[\u2018-\u201f]")
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_TOKEN = re.compile(
    r"\"[A-Za-z0-9_ ()%/+:*-]+\"|'(?:[A-Za-z0-9_]|\\x[0-9a-f]{2})*'"
    r"|\{(?:org|own_project): String\}"
    r"|(?P<word>[A-Za-z_][A-Za-z0-9_]*)(?P<call>\()?"
    r"|0x[0-9A-Fa-f]+|[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?"
    r"|(?!--|//|/\*)(?:\|\||[-+*/%=<>!(),.\[\]: ])"
)


@cache
def allowed(what: str) -> frozenset[str]:
    """One list of `sql_allowed.yaml`; all but the parser's own names in small letters."""
    text = resources.files("ecomind_query").joinpath("sql_allowed.yaml").read_text("utf-8")
    names = {name for group in yaml.safe_load(text)[what] for name in group}
    keep_case = what in ("nodes", "clauses", "types", "unnamed")
    return frozenset(names if keep_case else (name.lower() for name in names))


def check_incoming(statement: str) -> None:
    """Refuse what the lexers may read in two ways. Raises QueryError."""
    if _TYPOGRAPHIC.search(statement):
        raise QueryError("The statement holds typographic quotes; write straight ones: ' or \".")
    for text in _QUOTED.findall(statement):
        if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\t\n" for char in text):
            raise QueryError("A text holds a control character; write it as \\0, \\r or \\xHH.")
    bare = _QUOTED.sub(" ", statement)
    if any(sign in bare for sign in _COMMENTS):
        raise QueryError("Comments are not available here; leave them out.")
    if not _BARE.fullmatch(bare):
        odd = _BARE.sub("", bare)[0]
        raise QueryError(f"The character {odd!a} is not available outside of quotes.")


def parsed(text: str) -> exp.Expr:
    """The only statement in the text. Raises QueryError."""
    try:
        trees = [tree for tree in sqlglot.parse(text, dialect=DIALECT) if tree is not None]
    except SqlglotError as error:
        raise QueryError(f"The statement can't be read: {first_line(error)}") from error
    except RecursionError:
        raise
    except Exception as error:  # the parser's own mistakes: it fails on odd text with any error
        raise QueryError("The statement can't be read; look at its names and quotes.") from error
    if len(trees) != 1:
        raise QueryError("Send one statement at a time, without a semicolon between.")
    return trees[0]


def printed(tree: exp.Expr) -> str:
    """The tree in characters that every lexer reads alike. Raises QueryError."""
    printer = _Printer(
        dialect=DIALECT, identify=True, comments=False, unsupported_level=ErrorLevel.RAISE
    )
    try:
        text = printer.generate(tree)
    except SqlglotError as error:
        raise QueryError(f"The statement can't be run: {first_line(error)}") from error
    except (QueryError, RecursionError):
        raise
    except Exception as error:
        raise QueryError("The statement can't be run; write it in a simpler form.") from error
    _check_outgoing(text)
    return text


def check_leaves(node: exp.Expr) -> None:
    """Hold every piece of text in the node to a pattern. Raises QueryError."""
    for value in node.args.values():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str):
                _check_leaf(node, each)
    if isinstance(node, exp.DataType):
        name = getattr(node.this, "name", "")
        _demand(name in allowed("types") and not node.args.get("kind"), f"the type {name}")


def first_line(error: Exception) -> str:
    """What an error of the parser says, in one line."""
    text = re.sub(r"\x1b\[\d*m", "", str(error)).strip().splitlines()
    return text[0][:300] if text else type(error).__name__


class _Printer(ClickHouseGenerator):
    """Writes what holds a user's words in its own way, or refuses."""

    def literal_sql(self, expression: exp.Literal) -> str:
        text = str(expression.this)
        if expression.is_string:
            signs = text.encode("utf-8", "replace")
            return f"'{''.join(chr(b) if b in _PLAIN else f'{chr(92)}x{b:02x}' for b in signs)}'"
        _demand(_NUMBER.fullmatch(text), f"the number {text[:60]!r}")
        return text

    def identifier_sql(self, expression: exp.Identifier) -> str:
        text = str(expression.this)
        _demand(_NAME.fullmatch(text), f"the name {text[:60]!r}")
        return f'"{text}"'

    def var_sql(self, expression: exp.Var) -> str:
        text = str(expression.this)
        _demand(text.lower() in allowed("units"), f"{text[:60]!r} where a unit of time belongs")
        return text


def _check_leaf(node: exp.Expr, text: str) -> None:
    if isinstance(node, exp.Literal):
        _demand(node.is_string or _NUMBER.fullmatch(text), f"the number {text[:60]!r}")
    elif isinstance(node, exp.Identifier):
        _demand(_NAME.fullmatch(text), f"the name {text[:60]!r}")
    elif isinstance(node, exp.Var):
        _demand(text.lower() in allowed("units"), f"{text[:60]!r} where a unit of time belongs")
    elif type(node).__name__ in allowed("unnamed"):
        _demand(text.lower() in allowed("functions"), f"the function {text[:60]!r}")
    else:
        _demand(_KEYWORDS.fullmatch(text), f"{text[:60]!r}")


def _check_outgoing(text: str) -> None:
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            raise QueryError(f"{text[place : place + 20]!r} is not available here.")
        word = token["word"]
        if word and not token["call"]:
            _demand(word.lower() in allowed("words"), word[:60])
        place = token.end()


def _demand(holds: object, what: str) -> None:
    if not holds:
        raise QueryError(f"{what[0].upper()}{what[1:]} is not available here.")

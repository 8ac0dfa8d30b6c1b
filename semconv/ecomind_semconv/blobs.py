"""How a count is read out of a blob of usage, and nothing else of it.

A blob may hold what people wrote, and a text may look like a count: only a number under a name of
`BLOB_COUNTS` outside every text is one. In valid JSON a quote in a text is escaped, so a name
between bare quotes is a key. The repr of a Python dict escapes one kind of quote only; it, and JSON
that was cut, are read text by text from the start, which costs more, and so not beyond a length.
`decode.sql` and `ecomind_processor/dialect.py` are both built from these patterns.
"""

from __future__ import annotations

from ecomind_semconv import dialects

MAX_REPR_LENGTH = 4096
"""Characters: what is longer and no valid JSON is not looked at."""

_COUNT = r"[ \t\n\f\r]*:[ \t\n\f\r]*([0-9]{1,8})\b"  # eight digits stay below MAX_TOKENS
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""


def _in_json(names: tuple[str, ...]) -> str:
    return f'"(?:{"|".join(names)})"{_COUNT}'


def _in_repr(names: tuple[str, ...]) -> str:
    name = f"""['"](?:{"|".join(names)})['"]"""
    return rf"""(?s)^\s*\{{[^"']*(?:{_TEXT}[^"']*)*?{name}{_COUNT}"""


IN_JSON: dict[str, str] = {f: _in_json(names) for f, names in dialects.BLOB_COUNTS.items()}
"""Field → pattern whose group is its count, in a blob that is valid JSON."""

IN_REPR: dict[str, str] = {f: _in_repr(names) for f, names in dialects.BLOB_COUNTS.items()}
"""Field → pattern whose group is its count, in any other blob."""

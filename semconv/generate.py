"""Writes what repeats the registry: `names.py` for code and docs/semconv.md for people.

`python semconv/generate.py` writes both; a test compares them with a fresh rendering, so the model
and its copies cannot drift. This is the only place that needs yaml and jinja2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from decimal import Decimal
from pathlib import Path

import jinja2

from weaver_registry import Attribute, Reference, Registry, load

SEMCONV = Path(__file__).resolve().parent
OUTPUTS = {
    "names.py.j2": SEMCONV / "ecomind_semconv" / "names.py",
    "semconv.md.j2": SEMCONV.parent / "docs" / "semconv.md",
}
TITLES = {
    "attributes.ecomind.context": "Attributes read",
    "attributes.ecomind.footprint": "Attributes written",
}


def render(template: str, registry: Registry) -> str:
    """Return the text of one output; `template` is a key of `OUTPUTS`."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(SEMCONV / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(_filters(registry))
    return environment.get_template(template).render(registry=registry)


def _filters(registry: Registry) -> dict[str, Callable[..., str]]:
    defined = {attribute.key: attribute for attribute in registry.attributes}
    return {
        "constant": _constant,
        "class_name": lambda key: "".join(word.title() for word in _words(key)),
        "group_name": lambda group: _constant(group.removeprefix("attributes.")) + "_ATTRIBUTES",
        "string_literal": lambda text: json.dumps(text, ensure_ascii=False),
        "key_tuple": _key_tuple,
        "title": TITLES.__getitem__,
        "level": _level,
        "type_of": lambda key: defined[key].type if key in defined else "string",
        "example_of": lambda key: _example(defined.get(key)),
        "meaning": lambda use: _meaning(use, defined.get(use.key)),
        "cell": lambda text: " ".join(text.split()).replace("|", "\\|"),
        "metric_attributes": _metric_attributes,
    }


def _level(level: str) -> str:
    return {"opt_in": "opt-in", "required": "yes"}.get(level, level)


def _words(key: str) -> list[str]:
    return key.replace(".", "_").split("_")


def _constant(key: str) -> str:
    return "_".join(_words(key)).upper()


def _key_tuple(uses: Iterable[Reference]) -> str:
    constants = [_constant(use.key) for use in uses]
    if len(constants) < 2:
        return f"({''.join(f'{name},' for name in constants)})"
    lines = "".join(f"        {name},\n" for name in constants)
    return f"(\n{lines}    )"


def _example(attribute: Attribute | None) -> str:
    if attribute is None:
        return ""
    shown = attribute.examples or tuple(member.value for member in attribute.members)
    if attribute.type == "double":
        shown = tuple(f"{Decimal(example):f}" for example in shown)
    return ", ".join(f"`{example}`" for example in shown)


def _meaning(use: Reference, attribute: Attribute | None) -> str:
    if attribute is None:
        return f"Defined by OpenTelemetry. {use.note}"
    return " ".join(part for part in (attribute.brief, attribute.note, use.note) if part)


def _metric_attributes(uses: Iterable[Reference]) -> str:
    return ", ".join(f"`{use.key}`" + (f" ({use.note})" if use.note else "") for use in uses)


def main() -> None:
    """Write every output."""
    registry = load(SEMCONV / "model")
    for template, path in OUTPUTS.items():
        path.write_text(render(template, registry), encoding="utf-8")
        print(f"wrote {path.relative_to(SEMCONV.parent)}")


if __name__ == "__main__":
    main()

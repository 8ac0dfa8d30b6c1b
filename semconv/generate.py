"""Writes what repeats the registry and the tables: `names.py` for code, two pages for people.

`python semconv/generate.py` writes them; a test compares them with a fresh rendering, so that the
model and its copies cannot drift. This is the only place that needs yaml and jinja2.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path

import jinja2

from ecomind_semconv import dialects, usage
from weaver_registry import Attribute, Reference, Registry, load

SEMCONV = Path(__file__).resolve().parent
OUTPUTS = {
    "names.py.j2": SEMCONV / "ecomind_semconv" / "names.py",
    "semconv.md.j2": SEMCONV.parent / "docs" / "semconv.md",
    "dialects.md.j2": SEMCONV.parent / "docs" / "dialects.md",
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
    environment.filters.update(_filters(registry) | _DIALECT_FILTERS)
    page = environment.get_template(template)
    return page.render(registry=registry, dialects=dialects, usage=usage)


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


def _grouped(aliases: Mapping[str, str]) -> list[tuple[str, list[str]]]:
    """Name → all that is emitted for it, in the table's order; what means no name comes last."""
    groups: dict[str, list[str]] = {}
    for emitted, name in aliases.items():
        groups.setdefault(name, []).append(emitted)
    return sorted(groups.items(), key=lambda group: not group[0])


def _only_for(fact: usage.ScopeFact | usage.Unreported) -> str:
    if isinstance(fact, usage.ScopeFact):
        return f"`{fact.provider}`" if fact.provider else ""
    return "streams" if fact.stream else ""


def _unreported(fact: usage.Unreported) -> str:
    counts = " and ".join(count.replace("_", " ") for count in fact.counts)
    if fact.unless:
        return f"{counts} are guesses, where {fact.unless.replace('_', ' ')} is not reported"
    return f"zero {counts} are no report" if fact.made_up else f"does not report {counts}"


_DIALECT_FILTERS: dict[str, Callable[..., object]] = {
    "words": lambda field: field.replace("_", " "),
    "codes": lambda keys: ", ".join(f"`{key}`" for key in keys),
    "grouped": _grouped,
    "only_for": _only_for,
    "unreported": _unreported,
}


def main() -> None:
    """Write every output."""
    registry = load(SEMCONV / "model")
    for template, path in OUTPUTS.items():
        path.write_text(render(template, registry), encoding="utf-8")
        print(f"wrote {path.relative_to(SEMCONV.parent)}")


if __name__ == "__main__":
    main()

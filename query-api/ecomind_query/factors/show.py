"""`ecomind factors list | show | diff`: what a set holds and what two sets differ in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from ecomind_processor.factors import FactorSet, FactorSetError, available, read_document
from ecomind_query.commands.common import AsJson, fail, load_settings, print_json, print_table

_SetName = Annotated[str, typer.Argument(help="A factor set's name.")]
_SetInUse = Annotated[
    str, typer.Argument(help="A factor set's name; the one in use if left out.", show_default=False)
]
_PARTS = (
    "constants", "bands", "benchmarks", "architectures", "classes", "models", "lines", "zones",
    "facilities", "providers", "mixes", "regions", "hosts",
)  # fmt: skip


class Change(NamedTuple):
    """A number or text that two sets have differently; None where one has none."""

    part: str
    row: str
    field: str
    before: Any
    after: Any


def list_(as_json: AsJson = False) -> None:
    """List the factor sets of this installation."""
    load_settings()
    in_use = FactorSet.load().id
    sets: list[dict[str, Any]] = [
        {
            "id": s.id,
            "default": s.id == in_use,
            "published": s.published.isoformat(),
            "method": s.method,
            "models": len(s.models),
            "names_of_ecologits": sum(bool(a.provider) for a in s.architectures.values()),
            "zones": len(s.zones),
            "sha256": s.sha256,
        }
        for s in _usable()
    ]
    if as_json:
        print_json(sets)
        return
    columns = ("set", "published", "method", "models", "zones", "default", "SHA-256")
    kept = ("id", "published", "method", "models", "zones")
    rows = [
        (*(s[name] for name in kept), "yes" if s["default"] else "", s["sha256"][:12]) for s in sets
    ]
    print_table(columns, rows, right=("models", "zones"))


def _usable() -> Iterator[FactorSet]:
    """The sets that can be read; of the others a sentence on stderr."""
    for name in available():
        try:
            yield FactorSet.load(name)
        except FactorSetError as error:
            typer.echo(f"{name}.json: {error}", err=True)


def show(
    name: _SetInUse = "",
    part: Annotated[
        str, typer.Option(help=f"One part only: {', '.join(_PARTS)} or measures.")
    ] = "",
    match: Annotated[str, typer.Option(help="Rows whose name holds this text.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the numbers of a set, each with its measure, and the measures with their sources."""
    load_settings()
    document = _document(name)
    parts = (*_PARTS, "measures")
    if part and part not in parts:
        fail(f"--part {part!r} is not one of {', '.join(parts)}.")
    chosen = {
        key: {row: body for row, body in _rows(document[key]) if match.lower() in row.lower()}
        for key in ((part,) if part else parts)
        if key in document
    }
    if as_json:
        print_json({"id": document["id"], "sha256": document["sha256"], **chosen})
        return
    for key, rows in chosen.items():
        if rows:
            text = [(row, json.dumps(body, ensure_ascii=False)) for row, body in rows.items()]
            print_table((key, "numbers"), text)


def diff(before: _SetName, after: _SetInUse = "", as_json: AsJson = False) -> None:
    """List what two sets have differently: rows that came, went or changed."""
    load_settings()
    old, new = _document(before), _document(after)
    changes = list(compare(old, new))
    if as_json:
        print_json([change._asdict() for change in changes])
        return
    print_table(
        ("part", "row", "what", old["id"], new["id"]),
        [(c.part, c.row, c.field, _short(c.before), _short(c.after)) for c in changes],
        caption=f"{len(changes):,} differences.",
    )


def compare(before: dict[str, Any], after: dict[str, Any]) -> Iterator[Change]:
    """Every difference of two compiled documents, part by part and row by row."""
    for part in _PARTS:
        old, new = (dict(_rows(document.get(part, {}))) for document in (before, after))
        for row in sorted(old.keys() | new.keys()):
            if row not in old or row not in new:
                yield Change(part, row, "", old.get(row), new.get(row))
                continue
            was, now = (_fields(part, body) for body in (old[row], new[row]))
            for field in sorted(was.keys() | now.keys()):
                if was.get(field) != now.get(field):
                    yield Change(part, row, field, was.get(field), now.get(field))


def _fields(part: str, body: Any) -> dict[str, Any]:
    """The fields of a row; a number by year as fields of their own, in either layout of a set."""
    if not isinstance(body, dict):
        return {"": body}
    fields: dict[str, Any] = {}
    for name, value in body.items():
        rows = value if isinstance(value, list) and value and isinstance(value[0], list) else None
        if rows is None:
            fields[name] = value
        else:
            fields |= {f"{name} {year}": rest for year, *rest in rows}
    return fields


def _rows(part: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(part, dict):
        yield from part.items()
    else:
        for row in part:
            yield str(row.get("id", row.get("match", ""))), row


def _short(value: Any) -> str:
    text = "" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:59] + "…"


def _document(name: str) -> dict[str, Any]:
    """The compiled set of that name; without one, of the set in use."""
    try:
        return read_document(name or FactorSet.load().id)
    except FactorSetError as error:
        fail(str(error))

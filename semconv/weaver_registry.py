"""Reads the registry under `model/` and refuses what weaver, or the naming rules, would refuse.

A subset of weaver's `definition/2` format: what our model uses and nothing more, so a key outside
`SHAPES` is an error even where weaver would take it. Every complaint is a `RegistryError` whose
sentence names the file and the entry. Not part of any wheel: the product uses the generated names.

Format: https://github.com/open-telemetry/weaver/blob/main/schemas/semconv.schema.v2.json; naming:
https://opentelemetry.io/docs/specs/semconv/general/naming/
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Mapping = dict[str, Any]
NAMESPACE = "ecomind."
NAME = re.compile(r"[a-z][a-z0-9]*([._][a-z0-9]+)+")
UNIT_WORDS = frozenset(
    [
        "j",
        "wh",
        "kwh",
        "joules",
        "g",
        "kg",
        "grams",
        "l",
        "ml",
        "litres",
        "s",
        "ms",
        "seconds",
        "bytes",
        "tokens",
    ]
)
TYPES = frozenset(("string", "int", "double", "boolean", "string[]", "int[]", "double[]"))
INSTRUMENTS = frozenset(("counter", "updowncounter", "gauge", "histogram"))
STABILITIES = frozenset(("development", "alpha", "beta", "release_candidate", "stable"))
LEVELS = frozenset(("required", "recommended", "opt_in"))
VALUE_TYPES = frozenset(("int", "double"))


@dataclass(frozen=True)
class Shape:
    """The keys that an entry must have and may have."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


def _shape(required: str, optional: str = "") -> Shape:
    return Shape(frozenset(required.split()), frozenset(optional.split()))


SHAPES: dict[str, Shape] = {
    "manifest": _shape("schema_url description stability dependencies"),
    "dependency": _shape("schema_url registry_path"),
    "file": _shape(
        "file_format", "attributes attribute_groups metrics spans span_refinements imports"
    ),
    "attribute": _shape("key type brief stability", "note examples"),
    "member": _shape("id value brief stability"),
    "internal group": _shape("id visibility attributes"),
    "public group": _shape("id visibility brief stability attributes", "note"),
    "reference": _shape("ref", "requirement_level note brief"),
    "group reference": _shape("ref_group"),
    "span refinement": _shape("id ref brief stability attributes", "note"),
    "metric": _shape("name instrument unit brief stability annotations", "note attributes"),
}


class RegistryError(Exception):
    """The model is not valid; the message names the entry and what to change."""


@dataclass(frozen=True)
class Member:
    """One value of an enumerated attribute."""

    id: str
    value: str
    brief: str


@dataclass(frozen=True)
class Attribute:
    """One attribute that we define. `type` is "string" for an enumeration; examples are printed."""

    key: str
    type: str
    brief: str
    note: str
    members: tuple[Member, ...]
    examples: tuple[str, ...]


@dataclass(frozen=True)
class Reference:
    """An attribute as used by a group or metric; `level` as weaver spells it."""

    key: str
    level: str
    note: str


@dataclass(frozen=True)
class Group:
    """A named list of attributes."""

    id: str
    public: bool
    brief: str
    attributes: tuple[Reference, ...]


@dataclass(frozen=True)
class Metric:
    """One instrument; `value_type` is int or double, `unit` is UCUM."""

    name: str
    instrument: str
    unit: str
    value_type: str
    brief: str
    note: str
    attributes: tuple[Reference, ...]


@dataclass(frozen=True)
class Registry:
    """The whole model, in the order of its files."""

    schema_url: str
    attributes: tuple[Attribute, ...]
    groups: tuple[Group, ...]
    metrics: tuple[Metric, ...]

    def foreign_keys(self) -> tuple[str, ...]:
        """Attributes of other registries that ours refer to, sorted."""
        keys = {use.key for use in self.references()}
        return tuple(sorted(key for key in keys if not key.startswith(NAMESPACE)))

    def references(self) -> tuple[Reference, ...]:
        """Every use of an attribute by a group or a metric."""
        by_group = [use for group in self.groups for use in group.attributes]
        return (*by_group, *(use for metric in self.metrics for use in metric.attributes))


def load(model: Path) -> Registry:
    """Read the registry in the folder `model`; RegistryError names the first thing wrong."""
    manifest = _read(model / "manifest.yaml")
    _check_shape(manifest, "manifest", "manifest.yaml")
    for dependency in manifest["dependencies"]:
        _check_shape(dependency, "dependency", "manifest.yaml")
    sections = _sections(model)
    groups = {raw["id"]: raw for raw in sections["attribute_groups"]}
    registry = Registry(
        manifest["schema_url"],
        tuple(_attribute(raw) for raw in sections["attributes"]),
        tuple(_group(raw) for raw in sections["attribute_groups"]),
        tuple(_metric(raw, groups) for raw in sections["metrics"]),
    )
    for raw in sections["span_refinements"]:
        _check_shape(raw, "span refinement", raw.get("id", "a span refinement"))
        _references(raw["attributes"], groups, raw["id"])
    _check_names(registry)
    return registry


def _read(path: Path) -> Mapping:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise RegistryError(f"{path.name}: expected a mapping at the top")
    return content


def _sections(model: Path) -> dict[str, list[Mapping]]:
    keys = SHAPES["file"].optional
    sections: dict[str, list[Mapping]] = {key: [] for key in keys}
    for path in sorted(model.glob("*.yaml"), key=lambda path: path.name != "registry.yaml"):
        if path.name == "manifest.yaml":
            continue
        content = _read(path)
        _check_shape(content, "file", path.name)
        _check_value(content["file_format"], frozenset(("definition/2",)), "file_format", path.name)
        for key in keys - {"imports"}:
            sections[key].extend(content.get(key, []))
    return sections


def _check_shape(raw: Mapping, shape: str, where: str) -> None:
    expected = SHAPES[shape]
    if missing := expected.required - raw.keys():
        raise RegistryError(f"{where}: {shape} needs {', '.join(sorted(missing))}")
    if unknown := raw.keys() - expected.required - expected.optional:
        raise RegistryError(f"{where}: {shape} has no {', '.join(sorted(unknown))}")
    if "stability" in raw:
        _check_value(raw["stability"], STABILITIES, "stability", where)


def _check_value(value: object, allowed: frozenset[str], what: str, where: str) -> None:
    if value not in allowed:
        raise RegistryError(f"{where}: {what} {value!r} is not one of {', '.join(sorted(allowed))}")


def _attribute(raw: Mapping) -> Attribute:
    where = raw.get("key", "an attribute without key")
    _check_shape(raw, "attribute", where)
    members = _members(raw["type"], where) if isinstance(raw["type"], dict) else ()
    if not members:
        _check_value(raw["type"], TYPES, "type", where)
        if not raw.get("examples"):
            raise RegistryError(f"{where}: give at least one example")
    return Attribute(
        key=where,
        type="string" if members else raw["type"],
        brief=raw["brief"].strip(),
        note=raw.get("note", "").strip(),
        members=members,
        examples=tuple(str(example) for example in raw.get("examples", ())),
    )


def _members(raw: Mapping, where: str) -> tuple[Member, ...]:
    entries = raw.get("members", [])
    for entry in entries:
        _check_shape(entry, "member", where)
    for field in ("id", "value"):
        if len({entry[field] for entry in entries}) != len(entries):
            raise RegistryError(f"{where}: two members share one {field}")
    return tuple(Member(entry["id"], entry["value"], entry["brief"]) for entry in entries)


def _group(raw: Mapping) -> Group:
    where = raw.get("id", "a group without id")
    _check_value(raw.get("visibility"), frozenset(("internal", "public")), "visibility", where)
    _check_shape(raw, f"{raw['visibility']} group", where)
    public = raw["visibility"] == "public"
    return Group(where, public, raw.get("brief", ""), _references(raw["attributes"], {}, where))


def _metric(raw: Mapping, groups: dict[str, Mapping]) -> Metric:
    where = raw.get("name", "a metric without name")
    _check_shape(raw, "metric", where)
    _check_value(raw["instrument"], INSTRUMENTS, "instrument", where)
    value_type = raw["annotations"].get("code_generation", {}).get("metric_value_type")
    _check_value(value_type, VALUE_TYPES, "annotations.code_generation.metric_value_type", where)
    return Metric(
        name=where,
        instrument=raw["instrument"],
        unit=raw["unit"],
        value_type=value_type,
        brief=raw["brief"].strip(),
        note=raw.get("note", "").strip(),
        attributes=_references(raw.get("attributes", []), groups, where),
    )


def _references(
    raws: list[Mapping], groups: dict[str, Mapping], where: str
) -> tuple[Reference, ...]:
    found: list[Reference] = []
    for raw in raws:
        if "ref_group" in raw:
            _check_shape(raw, "group reference", where)
            _check_value(raw["ref_group"], frozenset(groups), "ref_group", where)
            found.extend(_references(groups[raw["ref_group"]]["attributes"], {}, where))
        else:
            found.append(_reference(raw, where))
    keys = [reference.key for reference in found]
    if repeated := {key for key in keys if keys.count(key) > 1}:
        raise RegistryError(f"{where}: refers twice to {', '.join(sorted(repeated))}")
    return tuple(found)


def _reference(raw: Mapping, where: str) -> Reference:
    _check_shape(raw, "reference", where)
    level = raw.get("requirement_level", "recommended")
    if isinstance(level, dict):
        condition = level.get("conditionally_required")
        if len(level) != 1 or not condition:
            raise RegistryError(f"{where}: requirement_level needs conditionally_required: <when>")
        level = f"required {condition}"
    else:
        _check_value(level, LEVELS, "requirement_level", where)
    return Reference(raw["ref"], level, raw.get("note", "").strip())


def _check_names(registry: Registry) -> None:
    keys = [attribute.key for attribute in registry.attributes]
    for names in (keys, [metric.name for metric in registry.metrics]):
        for name in names:
            _check_name(name)
        _check_collisions(names)
    for use in registry.references():
        if use.key.startswith(NAMESPACE):
            _check_value(use.key, frozenset(keys), "reference", "attributes")


def _check_name(name: str) -> None:
    if not (name.startswith(NAMESPACE) and NAME.fullmatch(name)):
        raise RegistryError(f"{name}: write it as ecomind.<lower_case>, words joined by . or _")
    if units := UNIT_WORDS.intersection(re.split(r"[._]", name)):
        raise RegistryError(f"{name}: leave the unit {', '.join(sorted(units))} out of the name")


def _check_collisions(names: list[str]) -> None:
    constants = [name.replace(".", "_") for name in names]
    for name, constant in zip(names, constants, strict=True):
        if constants.count(constant) > 1:
            raise RegistryError(f"{name}: another name has the same constant, {constant.upper()}")
        if any(other.startswith(f"{name}.") for other in names):
            raise RegistryError(f"{name}: is a name and a namespace at once")

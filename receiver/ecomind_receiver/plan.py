"""What was decided for a segment, made durable before anything of it is stored.

A replay after a crash reads it and so enriches identically, whatever has changed since. Terms are
in it because keys are made with them: with others, the coefficients here would not be found.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ecomind_processor.footprint import Coefficients
from ecomind_processor.terms import Terms, parse
from ecomind_receiver.cardinality import Cap
from ecomind_receiver.durable import replace_text


@dataclass
class Plan:
    """The records kept out, the names to cap, terms, and the coefficients of each distinct key.

    Of terms, those of the organisations that have any and calls in the segment. `by_hour`: whether
    the keys of calls tell the hours of a day apart.
    """

    poison: list[int] = field(default_factory=list)
    caps: list[Cap] | None = None  # not decided yet
    coefficients: dict[int, Coefficients] = field(default_factory=dict)
    terms: dict[str, Terms] | None = None  # not decided yet
    by_hour: bool = False


def path_beside(segment_path: Path) -> Path:
    """Where the plan of a segment is kept."""
    return segment_path.with_suffix(".plan")


def read(segment_path: Path) -> Plan:
    """The plan of a segment that was loaded before; an empty one otherwise."""
    try:
        return loads(path_beside(segment_path).read_text())
    except FileNotFoundError:
        return Plan()


def write(segment_path: Path, plan: Plan) -> None:
    """Make the plan durable: all of it or none."""
    path = path_beside(segment_path)
    replace_text(path, path.with_suffix(".draft"), dumps(plan))


def loads(text: str) -> Plan:
    """The plan that `dumps` made a text of."""
    raw = json.loads(text)
    found = {int(key): Coefficients(**values) for key, values in raw["coefficients"].items()}
    terms = {org_id: parse(each) for org_id, each in raw.get("terms", {}).items()}
    caps = [Cap(*cap) for cap in raw["caps"]]
    return Plan(raw["poison"], caps, found, terms, raw.get("by_hour", False))


def dumps(plan: Plan) -> str:
    """All of a plan as JSON."""
    return json.dumps(
        {
            "poison": plan.poison,
            "caps": plan.caps or [],
            "coefficients": {key: asdict(c) for key, c in plan.coefficients.items()},
            "terms": {org_id: each.document() for org_id, each in (plan.terms or {}).items()},
            "by_hour": plan.by_hour,
        }
    )

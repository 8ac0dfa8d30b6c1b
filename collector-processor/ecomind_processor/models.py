"""Which model a name means, on what day, and how sure that is.

Owns the reading of model names. A name is spelt in a few ways (with and without its provider's
wrapping), and each rule tries every spelling before the next rule gets a turn; the first hit wins.
What the rules know (names, aliases, lines, prefixes) is data of the factor set.

Tiers: docs/methodology.md, section "Resolution". A looser match loses at least one.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from typing import NamedTuple

from ecomind_processor import energy
from ecomind_processor.factor_rows import Architecture, Line, Model
from ecomind_processor.factors import FactorSet, fold

TIERS = "ABCDEF"

EVIDENCE_TIERS = {"benchmark": "C", "architecture": "D", "like": "E", "class": "F"}
"""Tier of an exact match, by the kind of evidence the model carries."""


EMBEDDING = "class:embedding"
"""The default class of embedding models."""


class Match(NamedTuple):
    """A model and how it was found. Energy is IT energy without the idle share, in Wh."""

    model: str
    how: str
    tier: str
    wh_per_output_token: float


class Name(NamedTuple):
    """A model's name: its spellings in folded form, most literal first, and its wrapping."""

    text: str
    spellings: tuple[str, ...]
    tuned: bool
    zone_hint: str


_FINE_TUNED = re.compile(r"^ft:([^:]+)(?::.*)?$")
_BEDROCK_VERSION = re.compile(r"-v?\d+:\d+(?::\w+)?$")
_DECIMAL_P = re.compile(r"(?<=\d)p(?=\d)")
_DATE = re.compile(
    r"(?:-(?:preview|exp))?-(?:20\d{2}-?\d{2}-?\d{2}|\d{2}-20\d{2}|\d{2}-\d{2}|\d{3,4})(?:-preview)?$"
)
_SIZE = re.compile(
    r"(?<![0-9.])(?<!\d[a-z])(?:(?P<experts>\d{1,3})x)?"
    r"(?:(?P<t>\d{1,2}(?:\.\d{1,2})?)t|(?P<b>\d{1,4}(?:\.\d{1,2})?)b|(?P<m>\d{2,4})m)"
    r"(?:-?a(?P<active>\d{1,3}(?:\.\d{1,2})?)b)?(?![a-z0-9])"
)
_BILLIONS = {"t": 1000.0, "b": 1.0, "m": 0.001}


def read(text: str, factors: FactorSet) -> Name:
    """The spellings of a name: provider wrapping off, then version, tag and suffix."""
    name = text.strip().lower().rstrip("/").rsplit("/", 1)[-1]
    tuned = _FINE_TUNED.match(name)
    if tuned:
        name = tuned.group(1)
    region, _, rest = name.partition(".")
    hint = factors.spelling.region_prefixes.get(region)
    if hint is not None:
        name = rest
    vendor, _, rest = name.partition(".")
    bases = (name, rest) if vendor in factors.spelling.vendor_prefixes and rest else (name,)
    forms = (form for base in bases for form in _forms(base, factors))
    return Name(name, tuple(dict.fromkeys(forms)), bool(tuned), hint or "")


def _forms(base: str, factors: FactorSet) -> list[str]:
    forms = [base, _BEDROCK_VERSION.sub("", base), _without_tag(base, factors)]
    forms.append(_DECIMAL_P.sub(".", forms[-1]))
    for suffix in factors.spelling.suffixes:
        forms.append(forms[-1].removesuffix(suffix))
    return [fold(form).replace("@", "-").replace(":", "-").replace(" ", "-") for form in forms]


def _without_tag(name: str, factors: FactorSet) -> str:
    head, colon, tag = name.rpartition(":")
    return head if colon and tag in factors.spelling.tags else name


def drop(tier: str) -> str:
    """The next tier down; F stays F."""
    return TIERS[min(TIERS.index(tier) + 1, len(TIERS) - 1)]


def _found(model: Model, how: str, tier: str, factors: FactorSet) -> Match:
    return Match(model.id, how, tier, energy.of_model(model, factors))


def without_date(spelling: str) -> str:
    """A spelling without the date of a snapshot at its end."""
    return _DATE.sub("", spelling)


def _exact(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    for spelling in name.spellings:
        if spelling in factors.names:
            model = factors.models[factors.names[spelling]]
            return _found(model, "exact name", EVIDENCE_TIERS[model.kind], factors)
    return None


def _registered(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    for spelling in name.spellings:
        key = factors.registered.get(spelling)
        if key:
            slope = energy.of_architecture(factors.architectures[key], factors)
            return Match(key, "exact name in EcoLogits", EVIDENCE_TIERS["architecture"], slope)
    return None


def _dated(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    for spelling in name.spellings:
        base = without_date(spelling)
        if base != spelling and base in factors.names:
            model = factors.models[factors.names[base]]
            tier = EVIDENCE_TIERS[model.kind]
            # a snapshot of a closed model is that model; a measurement was of one build only
            measured = model.kind == "benchmark"
            return _found(model, "dated alias", drop(tier) if measured else tier, factors)
    return None


def _alias(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    for spelling in name.spellings:
        known = factors.aliases.get(spelling) or factors.names.get(spelling.removesuffix("-latest"))
        if known:
            model = factors.models[known]
            return _found(model, "alias", drop(EVIDENCE_TIERS[model.kind]), factors)
    return None


def _pointer(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    for line in factors.lines:
        if any(pointer in name.spellings for pointer in line.pointers):
            model = newest(line, day, factors)
            return _found(model, "latest on the day", drop(EVIDENCE_TIERS[model.kind]), factors)
    return None


def newest(line: Line, day: datetime.date, factors: FactorSet) -> Model:
    """The line's newest model released by `day`; before all of them, its first."""
    models = [factors.models[key] for key in line.models]
    return next((m for m in reversed(models) if m.released and m.released <= day), models[0])


def _prefix(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    for spelling in name.spellings:
        for end in (m.start() for m in reversed(list(re.finditer("-", spelling)))):
            known = factors.names.get(spelling[:end])
            # what follows may name another model: deepseek-r1-distill-qwen-32b is no deepseek-r1
            if known and not size_in(spelling[end:]):
                model = factors.models[known]
                return _found(
                    model, "prefix of the name", drop(EVIDENCE_TIERS[model.kind]), factors
                )
    return None


def _sized(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    size = size_in(
        name.text.replace(":", "-").replace("_", "-"), factors.constant("routed_experts")
    )
    if size is None:
        return None
    total, active = size
    label = f"size:{total:g}b" if total == active else f"size:{total:g}b-a{active:g}b"
    architecture = Architecture((total, total), (active, active), None, "")
    return Match(label, "size in the name", "E", energy.of_architecture(architecture, factors))


def size_in(text: str, routed_experts: float = 2.0) -> tuple[float, float] | None:
    """(total, active) billions of parameters that a name states: "70b", "8x7b", "235b-a22b"."""
    found = _SIZE.search(text)
    if not found:
        return None
    unit = next(unit for unit in _BILLIONS if found[unit])
    each = float(found[unit]) * _BILLIONS[unit]
    experts = int(found["experts"] or 1)
    total = each * experts
    active = float(found["active"]) if found["active"] else each * min(experts, routed_experts)
    return total, min(active, total)


def _embedding(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    if any(marker in name.text for marker in factors.classes["embedding"].markers):
        return _class("embedding", factors)
    return None


def _family(name: Name, day: datetime.date, factors: FactorSet) -> Match | None:
    for line in factors.lines:
        if any(line.match.search(spelling) for spelling in name.spellings):
            model = newest(line, day, factors)
            tier = max("E", drop(EVIDENCE_TIERS[model.kind]))
            return _found(model, "family", tier, factors)
    return None


Rule = Callable[[Name, datetime.date, FactorSet], Match | None]
RULES: tuple[Rule, ...] = (
    _exact,
    _dated,
    _alias,
    _pointer,
    _registered,
    _prefix,
    _sized,
    _embedding,
    _family,
)


def identify(text: str, day: datetime.date, factors: FactorSet) -> Match | None:
    """The model that `text` means on `day`, or None when only the default class is left."""
    name = read(text, factors)
    hits = (rule(name, day, factors) for rule in RULES)
    hit = next((hit for hit in hits if hit), None)
    if hit and name.tuned:
        return hit._replace(how="fine-tuned model", tier=drop(hit.tier))
    return hit


def default_class(factors: FactorSet) -> Match:
    """What a name that nobody knows costs."""
    return _class("text", factors)


def _class(key: str, factors: FactorSet) -> Match:
    return Match(f"class:{key}", "default class", "F", energy.of_class(key, factors))


def zone_hint(text: str, factors: FactorSet) -> str:
    """The zone that a cross-region profile's prefix hints at (`eu.anthropic.…`), or ""."""
    return read(text, factors).zone_hint

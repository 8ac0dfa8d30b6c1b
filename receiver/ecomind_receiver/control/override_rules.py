"""What may be stated: which fields each kind of override has, and the bounds of their numbers.

A statement is checked once, when it is proposed; what is in the store is trusted from then on. The
bounds keep out slips of the unit (kWh given as Wh, kilograms as grams), not unusual claims: those
are for the person who approves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from ecomind_processor.factors import FactorSet
from ecomind_processor.resolution import METHODS
from ecomind_processor.terms import BASES, INSTRUMENTS, OVERRIDE
from ecomind_receiver.control.errors import Invalid

EARLIEST, LATEST = date(2000, 1, 1), date(2100, 1, 1)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it must be one line without control characters")
    return text


def _known(kind: str, text: str) -> str:
    """The text, if the factor set in use knows it."""
    factors = FactorSet.load()
    known = {"zone": factors.zones, "provider": factors.facility_names, "method": METHODS}[kind]
    if text and text not in known:
        hint = (
            f"use one of {', '.join(known)}" if kind != "zone" else "such as USA, FRA or US-CAISO"
        )
        raise ValueError(f"there is no {kind} {text[:40]!r}; {hint}")
    return text


Text = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(_printable),
]
Lower = Annotated[Text, StringConstraints(to_lower=True)]
Zone = Annotated[Text, AfterValidator(partial(_known, "zone"))]
Provider = Annotated[Lower, AfterValidator(partial(_known, "provider"))]
Method = Annotated[Text, AfterValidator(partial(_known, "method"))]
Wh = Annotated[float, Field(ge=1e-9, le=0.1, allow_inf_nan=False)]
Grams = Annotated[float, Field(ge=0, le=2000, allow_inf_nan=False)]
Basis = Literal["override", "disclosed"]
Instrument = Literal["ppa", "certificate", "tariff", "residual_mix"]
assert set(BASES) == {"override", "disclosed"} and len(INSTRUMENTS) == 4, (
    "the words above are theirs"
)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class DocumentBody(_Body):
    """Where a statement can be read."""

    title: Text
    reference: Text
    year: Annotated[int, Field(ge=1990, le=2100)]


class EnergyBody(_Body):
    """`terms.EnergyOverride` without its days."""

    model: Annotated[Text, StringConstraints(max_length=128)]
    provider: Provider = ""
    basis: Basis = OVERRIDE  # type: ignore[assignment]
    wh_per_output_token: Wh
    wh_per_input_token: Wh | None = None
    wh_per_cache_read_token: Wh | None = None
    wh_per_cache_write_token: Wh | None = None
    document: DocumentBody


class ContractBody(_Body):
    """`terms.Contract` without its days."""

    provider: Provider
    zone: Zone = ""
    co2e_g_per_kwh: Grams
    instrument: Instrument
    document: DocumentBody


class RegionBody(_Body):
    """`terms.RegionMap` without its days."""

    place: Lower = ""
    provider: Provider = ""
    zone: Zone

    @model_validator(mode="after")
    def _one_key(self) -> RegionBody:
        if bool(self.place) == bool(self.provider):
            raise ValueError("name a place or a provider, one of the two")
        return self


class MethodBody(_Body):
    """`terms.OwnMethod` without its days."""

    method: Method


BODIES: dict[str, type[_Body]] = {
    "energy": EnergyBody,
    "contract": ContractBody,
    "region": RegionBody,
    "method": MethodBody,
}


def checked_body(kind: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a statement as it is stored. Raises Invalid."""
    if kind not in BODIES:
        raise Invalid(f"There is no override of the kind {kind[:40]!r}: use {', '.join(BODIES)}.")
    try:
        body = BODIES[kind](**given).model_dump()
    except ValidationError as error:
        raise Invalid(_sentence(kind, error)) from None
    if "document" in body:
        body["document"] = list(body["document"].values())
    return body


def checked_days(valid_from: date, valid_to: date | None) -> None:
    """Raises Invalid unless the days lie in this century and end after they begin."""
    if valid_to is not None and valid_to <= valid_from:
        raise Invalid("The first day without it must lie after the first day with it.")
    if not all(EARLIEST <= day <= LATEST for day in (valid_from, valid_to or valid_from)):
        raise Invalid(f"Days lie between {EARLIEST} and {LATEST}.")


def _sentence(kind: str, error: ValidationError) -> str:
    """The first thing wrong, in words."""
    first = error.errors(include_url=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"An override of the kind {kind} needs {name}."
    if first["type"] == "extra_forbidden":
        return f"An override of the kind {kind} has no {name}."
    said = re.sub(r"^(Input|String) should", "it should", first["msg"])
    said = said.removeprefix("Value error, ")
    return f"{name}: {said}." if name else f"For the kind {kind}, {said}."

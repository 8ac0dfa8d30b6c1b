"""What an organisation states of factors, as people read it: one shape and one line for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ecomind_processor.derivation import number
from ecomind_processor.terms import BASES, INSTRUMENTS, Document
from ecomind_query.models import Override, Overrides
from ecomind_receiver.control.overrides import ENDS
from ecomind_receiver.control.records import OverrideRecord


def listed(records: Iterable[OverrideRecord]) -> Overrides:
    """Statements in the API's shape."""
    return Overrides(overrides=[shown(record) for record in records])


def shown(record: OverrideRecord) -> Override:
    """One statement in the API's shape."""
    document = record.body.get("document")
    stated = {name: value for name, value in record.body.items() if name != "document"}
    return Override(
        id=record.id,
        kind=record.kind,
        status=record.status.value,
        says=says(record.kind, record.body),
        document=str(Document(*document)) if document else "",
        stated={name: value for name, value in stated.items() if value not in (None, "")},
        valid_from=record.valid_from,
        valid_to=record.valid_to,
        proposed_by=record.proposed_by,
        proposed_at=record.proposed_at,
        decided_by=record.decided_by,
        decided_at=record.decided_at,
        note=record.note,
    )


def says(kind: str, body: Mapping[str, Any]) -> str:
    """A statement in one line."""
    return f"ends {body[ENDS]}" if ENDS in body else _LINES[kind](body)


def _energy(body: Mapping[str, Any]) -> str:
    where = f" at {body['provider']}" if body["provider"] else ""
    wh = number(body["wh_per_output_token"])
    return f"{body['model']}{where}: {wh} Wh per output token, {BASES[body['basis']]}"


def _contract(body: Mapping[str, Any]) -> str:
    where = f" in {body['zone']}" if body["zone"] else ""
    grams = number(body["co2e_g_per_kwh"])
    return f"{body['provider']}{where}: {grams} g CO2e/kWh, {INSTRUMENTS[body['instrument']]}"


_LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "energy": _energy,
    "contract": _contract,
    "region": lambda body: f"{body['place'] or body['provider']} runs in {body['zone']}",
    "method": lambda body: f"counts by {body['method']}",
}

"""Reads one billable call from a note, by the same tables as the receiver.

Of the keys that a field may have, the most trusted one that is present wins. What the conventions
call a container, and a span that lacks provider, model or usage, is no call.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from ecomind.note import Note
from ecomind_processor.footprint import Quantities
from ecomind_processor.resolution import CallKey
from ecomind_semconv import dialects, usage
from ecomind_semconv.units import NS_PER_SECOND, SECONDS_PER_DAY, joules_to_millijoules

TRUST = {
    key: (field, trust) for field, keys in dialects.FIELDS.items() for trust, key in enumerate(keys)
}
"""Attribute key → (field, order of trust; lower is better)."""

MEASURED_MAX_JOULES = 1e12
"""A measurement above this is none: it is treated as absent."""

DECIMAL = re.compile(r"[0-9]{1,9}")
EPOCH = datetime.date(1970, 1, 1)


class Call(NamedTuple):
    """One billable call: what decides its coefficients, and what it consumed."""

    key: CallKey
    response_id: str
    quantities: Quantities


def read_call(note: Note) -> Call | None:
    """Return the billable call that a note describes, or None if it describes none."""
    values = _fields(note.values)
    measured_mj = _measured_mj(values.get("measured_energy"))
    key = _key(
        _text(values, "operation"),
        _text(values, "provider"),
        _text(values, "request_model"),
        _text(values, "response_model"),
        _text(values, "region"),
        _text(values, "host"),
        _text(values, "service_tier"),
        note.start_time_ns // (NS_PER_SECOND * SECONDS_PER_DAY),
        measured_mj is not None,
    )
    if key is None:
        return None
    quantities = _quantities(values, measured_mj, _is_exclusive(note.scope, key.provider))
    return quantities and Call(key, _text(values, "response_id"), quantities)


def _fields(attributes: Mapping[str, object]) -> dict[str, object]:
    trusted: dict[str, tuple[int, object]] = {}
    for key, value in attributes.items():
        field, trust = TRUST[key]
        if field not in trusted or trust < trusted[field][0]:
            trusted[field] = trust, value
    return {field: value for field, (_, value) in trusted.items()}


def _text(values: Mapping[str, object], field: str) -> str:
    value = values.get(field)
    return value[: dialects.MAX_NAME_LENGTH] if isinstance(value, str) else ""


@lru_cache(maxsize=4096)
def _key(
    operation: str,
    provider: str,
    request_model: str,
    response_model: str,
    region: str,
    address: str,
    service_tier: str,
    day: int,
    measured: bool,
) -> CallKey | None:
    host = _host(address)
    name = _provider(provider, host)
    named = bool(name and (request_model or response_model))
    if not named or operation.lower() in dialects.CONTAINERS:
        return None
    return CallKey(
        provider=name,
        request_model=request_model,
        response_model=response_model,
        place=region or host,
        service_tier=service_tier,
        day=EPOCH + datetime.timedelta(days=day),
        measured=measured,
    )


def _host(address: str) -> str:
    lower = address.lower()
    return (urlsplit(lower).hostname or "") if "://" in lower else lower


def _provider(emitted: str, host: str) -> str:
    folded = dialects.PROVIDERS.get(emitted.lower(), emitted.lower())
    ends = (name for end, name in dialects.HOST_PROVIDERS.items() if host.endswith(end))
    return folded or next(ends, "")


def _quantities(
    values: Mapping[str, object], measured_mj: int | None, exclusive: bool
) -> Quantities | None:
    given, output = _count(values.get("input_tokens")), _count(values.get("output_tokens"))
    if given is None and output is None and measured_mj is None:
        return None
    read = _count(values.get("cache_read_tokens")) or 0
    write = _count(values.get("cache_write_tokens")) or 0
    inclusive = given or 0
    if exclusive or read + write > inclusive:
        inclusive += read + write
    reasoning = min(_count(values.get("reasoning_tokens")) or 0, output or 0)
    return Quantities(inclusive, read, write, output or 0, reasoning, measured_mj or 0)


def _count(value: object) -> int | None:
    if isinstance(value, str) and DECIMAL.fullmatch(value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value) if 0 <= value <= dialects.MAX_TOKENS else None


def _measured_mj(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return joules_to_millijoules(value) if 0 <= value <= MEASURED_MAX_JOULES else None


@lru_cache(maxsize=1024)
def _is_exclusive(scope: str, provider: str) -> bool:
    return any(
        scope.startswith(rule.scope) and rule.provider in ("", provider)
        for rule in usage.EXCLUSIVE_INPUT
    )

"""Invoices as CSV → OTLP log records: AI that has no telemetry, one `ecomind.spend` a line.

A line's record has an id made of what the line says, so a file that is sent again is the same
records again, which the receiver counts once. Lines that say the same are told apart by their place
among each other. Either the whole file can be used, or nothing of it is sent.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

from ecomind_query.commands.otlp_files import Request
from ecomind_receiver.ingest import JSON
from ecomind_receiver.signals import LOGS
from ecomind_semconv import names
from ecomind_semconv.dialects import MAX_SPEND_USD
from ecomind_semconv.units import MICROUSD_PER_USD, NS_PER_SECOND

EVENT, OPERATION, SCOPE = "ecomind.spend", "invoice", "ecomind.spend"
NEEDED = ("date", "provider", "amount_usd")
OPTIONAL = ("model", "team", "service", "environment", "place", "document", "currency")
COLUMNS = NEEDED + OPTIONAL

_AMOUNT = re.compile(r"[0-9]+(\.[0-9]+)?")
_RECORDS_PER_REQUEST = 1000
_MOST_FAULTS = 20


class InvoiceError(Exception):
    """A file that can't be used; a sentence for each line at fault."""


class Line(NamedTuple):
    """What was paid a provider for a UTC day; empty where the file says nothing."""

    day: date
    provider: str
    amount_microusd: int
    model: str = ""
    team: str = ""
    service: str = ""
    environment: str = ""
    place: str = ""
    document: str = ""


def read(path: Path, today: date, retention_days: int) -> list[Line]:
    """The lines of a file. Raises InvoiceError, or OSError.

    `today` is the UTC day; one that lies `retention_days` or more before it is no longer kept.
    """
    lines, faults = [], []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, restkey="", restval="", strict=True)
            _check_columns(rows.fieldnames or [], path)
            for row in rows:
                try:
                    lines.append(_line(row, today, retention_days))
                except ValueError as error:
                    faults.append(f"{path.name}, line {rows.line_num}: {error}")
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvoiceError(f"{path.name} is not CSV in UTF-8: {error}.") from error
    if not lines and not faults:
        raise InvoiceError(f"{path.name} holds no line below its columns.")
    if faults:
        more = len(faults) - _MOST_FAULTS
        told = [*faults[:_MOST_FAULTS], *([f"… and {more} lines more."] if more > 0 else [])]
        raise InvoiceError("\n".join(told))
    return lines


def requests(lines: Sequence[Line]) -> Iterator[Request]:
    """The lines as requests of log records, in an order that only the lines decide."""
    seen: Counter[Line] = Counter()
    by_resource: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for line in lines:
        seen[line] += 1
        by_resource[line.service, line.environment].append(_record(line, seen[line]))
    for (service, environment), records in by_resource.items():
        resource = {"service.name": service, "deployment.environment.name": environment}
        for first in range(0, len(records), _RECORDS_PER_REQUEST):
            some = records[first : first + _RECORDS_PER_REQUEST]
            scope = {"scope": {"name": SCOPE}, "logRecords": some}
            body = {"resource": {"attributes": _attributes(resource)}, "scopeLogs": [scope]}
            yield Request(json.dumps({"resourceLogs": [body]}).encode(), JSON, len(some), LOGS)


def _check_columns(found: Sequence[str], path: Path) -> None:
    unknown = [name for name in found if name not in COLUMNS]
    if unknown:
        raise InvoiceError(
            f"{path.name}, line 1: there is no column {unknown[0][:40]!r}; name them"
            f" {', '.join(COLUMNS)}, with commas between."
        )
    missing = [name for name in NEEDED if name not in found]
    if missing:
        raise InvoiceError(f"{path.name}, line 1: the column {missing[0]!r} is missing; add it.")
    if len(set(found)) != len(found):
        raise InvoiceError(f"{path.name}, line 1: a column is there twice; remove one.")


def _line(row: dict[str, str], today: date, retention_days: int) -> Line:
    """One line. Raises ValueError with what is wrong and the fix."""
    if "" in row:
        raise ValueError("it has more values than columns; put texts with commas in quotes.")
    told = {name: text.strip() for name, text in row.items()}
    if told.pop("currency", "USD") not in ("USD", ""):
        raise ValueError("its currency is not USD; convert the amount to US dollars.")
    if not told["provider"]:
        raise ValueError("it names no provider; give one, such as openai.")
    day = _day(told.pop("date"), today, retention_days)
    return Line(day=day, amount_microusd=_amount(told.pop("amount_usd")), **told)


def _day(text: str, today: date, retention_days: int) -> date:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise ValueError(f"the date {text[:40]!r} is no day; write it as 2026-11-28.")
    if day > today:
        raise ValueError(f"{day} lies in the future; give the UTC day that was paid for.")
    if (today - day).days >= retention_days:
        raise ValueError(
            f"{day} is older than the {retention_days} days that calls are kept"
            " (ECOMIND_RETENTION_DAYS); leave it out."
        )
    return day


def _amount(text: str) -> int:
    """Millionths of a US dollar."""
    amount_usd = float(text) if _AMOUNT.fullmatch(text) else 0.0
    microusd = round(amount_usd * MICROUSD_PER_USD) if 0 < amount_usd <= MAX_SPEND_USD else 0
    if not microusd:
        raise ValueError(
            f"the amount {text[:40]!r} can't be used; write US dollars above 0 and at most"
            f" {MAX_SPEND_USD:,} as 1234.50, without sign or currency."
        )
    return microusd


def _record(line: Line, occurrence: int) -> dict[str, Any]:
    said = json.dumps([line.day.isoformat(), *line[1:], occurrence], ensure_ascii=False)
    midnight = datetime(line.day.year, line.day.month, line.day.day, tzinfo=UTC)
    given = {
        "event.name": EVENT,
        "gen_ai.operation.name": OPERATION,
        "gen_ai.provider.name": line.provider,
        "gen_ai.request.model": line.model,
        names.ECOMIND_TEAM: line.team,
        names.ECOMIND_INFERENCE_REGION: line.place,
    }
    amount = {"doubleValue": line.amount_microusd / MICROUSD_PER_USD}
    return {
        "timeUnixNano": str(int(midnight.timestamp()) * int(NS_PER_SECOND)),
        "eventName": EVENT,
        "traceId": hashlib.sha256(said.encode()).hexdigest()[:32],
        "attributes": [
            *_attributes(given),
            {"key": names.ECOMIND_SPEND_AMOUNT, "value": amount},
        ],
    }


def _attributes(given: dict[str, str]) -> list[dict[str, Any]]:
    return [{"key": key, "value": {"stringValue": text}} for key, text in given.items() if text]

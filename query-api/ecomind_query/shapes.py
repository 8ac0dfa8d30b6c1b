"""What the API takes and gives beyond `models.py`: events, SQL, health, problems."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated

from pydantic import AwareDatetime, ConfigDict, Field, StringConstraints, model_validator

from ecomind_query.models import Model

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=128)]
Required = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=128)]
Tokens = Annotated[int, Field(ge=0, le=100_000_000, strict=True)]


class Event(Model):
    """One AI call that no instrumentation reports. Counts are inclusive, as in OpenTelemetry."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "org_id": "org_demo",
                    "user_id": "user_alice",
                    "provider": "openai",
                    "model": "gpt-4o",
                    "tokens_in": 100,
                    "tokens_out": 50,
                    "region": "US-CAISO",
                }
            ]
        }
    )

    org_id: Name | None = Field(
        None, description="The organisation; the key decides, another name here is ignored."
    )
    user_id: Required = Field(description="Who called; stored as a keyed hash only.")
    provider: Required = Field(description="Who serves the model, such as `openai`.")
    model: Required = Field(description="The model that was asked for.")
    tokens_in: Tokens = Field(description="Input tokens, cached ones included.")
    tokens_out: Tokens = Field(description="Output tokens, reasoning included.")
    region: Required = Field(
        description="Where the model ran: a grid zone (`US-CAISO`), a cloud region (`eu-west-1`)"
        " or an ISO country (`FR`)."
    )
    event_id: Required | None = Field(
        None, description="The sender's id of the event; repeated, the event is stored once."
    )
    timestamp: AwareDatetime | None = Field(
        None, description="When the call started, with a time zone; now if left out."
    )
    project: Name | None = Field(
        None, description="The project; the key decides, another name here is ignored."
    )
    team: Name | None = None
    service: Name | None = None
    environment: Name | None = None
    cache_read_tokens: Tokens = Field(0, description="Input tokens read from a cache.")
    cache_write_tokens: Tokens = Field(0, description="Input tokens written to a cache.")
    reasoning_tokens: Tokens = Field(0, description="Output tokens spent on reasoning.")
    duration_ms: float = Field(0, ge=0, le=86_400_000, description="Duration of the call.")

    @model_validator(mode="after")
    def _parts_fit(self) -> Event:
        if self.cache_read_tokens + self.cache_write_tokens > self.tokens_in:
            raise ValueError("tokens_in must include cache_read_tokens and cache_write_tokens")
        if self.reasoning_tokens > self.tokens_out:
            raise ValueError("tokens_out must include reasoning_tokens")
        return self


class Accepted(Model):
    """An event is durable; it is stored and in the totals within about a second."""

    id: str = Field(description="The id of the call in `/v1/calls/{id}`.")
    duplicate: bool = Field(description="The event was stored before; nothing was added.")
    ignored: list[str] = Field(
        default_factory=list,
        description="Fields that named another organisation or project; the key decides.",
    )


class RestatementOrder(Model):
    """Closed days to be restated: [from, to), UTC days."""

    from_: date = Field(alias="from", examples=["2025-11-01"])
    to: date = Field(description="Exclusive; at most the first day that is not closed.")
    factor_set: str = Field("", max_length=80, description="The one in use if left out.")
    method: str = Field(
        "", max_length=80, description="The organisation's or the set's own if left out."
    )
    reason: str = Field("", max_length=500, description="Why; reports print it.")
    requested_by: str = Field("", max_length=128)
    dry_run: bool = Field(False, description="Show the difference and keep nothing.")

    @model_validator(mode="after")
    def _has_a_reason(self) -> RestatementOrder:
        if not self.dry_run and not self.reason.strip():
            raise ValueError("a restatement that is kept needs a reason; reports print it")
        return self


class SqlStatement(Model):
    """One SELECT."""

    sql: str = Field(
        min_length=1,
        max_length=20_000,
        examples=["SELECT team, sum(calls) AS calls FROM usage_hourly GROUP BY team"],
    )


class SqlResult(Model):
    """Rows of a SELECT. Integers beyond 2^53 and times come as text."""

    columns: list[str]
    rows: list[list[str | int | float | bool | list[object] | dict[str, object] | None]]
    truncated: bool = Field(description="There were more rows than the answer holds.")


class BackupOrder(Model):
    """Where a backup is to be written."""

    directory: str = Field(
        min_length=1,
        max_length=4096,
        description="A new or empty directory on the server's machine, as a whole path.",
        examples=["/backups/ecomind-2026-11-29"],
    )


class BackupTaken(Model):
    """A backup that is whole."""

    directory: str
    as_of: datetime = Field(description="All that was acknowledged before is in it.")
    seconds: float
    files: int
    size_bytes: int
    calls: int = Field(description="Rows of single calls, corrections included.")
    closed_days: int
    not_included: dict[str, str] = Field(description="What is not in it, and where that is.")


class BackupLine(Model):
    """How far a backup is; the last line says `done` or `failed`."""

    step: str
    done_bytes: int = 0
    total_bytes: int = 0
    detail: str = Field(default="", description="Why it failed.")
    backup: BackupTaken | None = Field(default=None, description="What was taken.")


class ReceivedSpan(Model):
    """A span as it arrived and what became of it."""

    received_at: datetime
    trace_id: str
    span_id: str
    service: str
    scope: str
    model: str
    outcome: str
    reason: str = Field(description="Why it is not counted; empty for a counted call.")


class Received(Model):
    """The last spans received, newest first, and outcomes of the last 24 hours."""

    spans: list[ReceivedSpan]
    outcomes_24h: dict[str, int]


class Alive(Model):
    """The process answers."""

    status: str = "alive"


HIDDEN = "hidden"
"""Stands for a detail that the caller may not see."""


class Part(Model):
    """One thing that readiness depends on; who may not see the detail gets `hidden`."""

    ready: bool
    detail: str


class Readiness(Model):
    """Whether a durable write is possible, part by part."""

    ready: bool
    parts: dict[str, Part]


class Fault(Model):
    """One thing wrong with a request."""

    where: str
    message: str


class Problem(Model):
    """An error as RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str = ""
    errors: list[Fault] = Field(default_factory=list)

"""What the control store gives: plain frozen records, without a database behind them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from ecomind_receiver.api_keys import Kind
from ecomind_receiver.tenants import Scope


class Role(StrEnum):
    """What a member is in an organisation."""

    OWNER = "owner"
    ADMIN = "admin"
    ANALYST = "analyst"
    VIEWER = "viewer"
    BILLING = "billing"


@dataclass(frozen=True, slots=True)
class OrgRecord:
    """An organisation, its quota (None: the server's default) and what it has."""

    id: str
    name: str
    spans_per_second: float | None
    burst_spans: int | None
    created_at: datetime
    projects: int
    live_keys: int


@dataclass(frozen=True, slots=True)
class ProjectRecord:
    """A project of an organisation."""

    org_id: str
    id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class MemberRecord:
    """A user as a member of an organisation."""

    org_id: str
    user_id: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key as it is stored: everything about it but its secret. Times are UTC."""

    id: str
    org_id: str
    project_id: str | None
    name: str
    kind: Kind
    scopes: frozenset[Scope]
    digest: bytes = field(repr=False)
    pepper_version: int
    public: bool
    origins: tuple[str, ...]
    spans_per_second: float | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    replaced_by: str | None
    pepper_mark: str | None = None

    @property
    def shown(self) -> str:
        """The part of the key that may be shown."""
        return f"eco_{self.kind}_{self.id}…"

    def live(self, now: datetime) -> bool:
        """Whether the key opens anything at this moment."""
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Status(StrEnum):
    """Where a statement of an organisation stands."""

    PROPOSED = "proposed"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class OverrideRecord:
    """What an organisation states of a factor, who did and who agreed. Days and times are UTC."""

    id: str
    org_id: str
    kind: str
    body: dict[str, Any]
    status: Status
    valid_from: date
    valid_to: date | None
    proposed_by: str
    proposed_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    note: str

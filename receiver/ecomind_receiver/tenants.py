"""Who a request belongs to and what it may do.

It comes from the API key alone, never from a span, a body or another header. Without keys, every
request on loopback is the one local tenant.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple


class Scope(StrEnum):
    """What a key is good for; a key may have several, and none holds another."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


class Tenant(NamedTuple):
    """Where a call is stored: an organisation and one of its projects."""

    org_id: str
    project_id: str


class Reach(NamedTuple):
    """What a caller may read: an organisation, or one project of it only."""

    org_id: str
    project_id: str | None = None


class Caller(NamedTuple):
    """Who asks: a key's organisation, its project if it has one, and its scopes."""

    org_id: str
    project_id: str | None
    key_id: str
    scopes: frozenset[Scope]

    @property
    def reach(self) -> Reach:
        """What may be read."""
        return Reach(self.org_id, self.project_id)


LOCAL = Tenant("org_demo", "default")
ANYONE = Caller(LOCAL.org_id, None, "", frozenset({Scope.INGEST, Scope.READ}))
"""Whoever reaches a loopback port while no keys are asked for."""

_TENANT_HEADERS = (("x-scope-orgid", 0), ("x-ecomind-org", 0), ("x-ecomind-project", 1))
"""Headers by which senders name a tenant elsewhere, and the part of ours that they would name."""


def foreign_headers(tenant: Tenant, headers: Mapping[str, str]) -> int:
    """How many headers name another tenant than this one; they decide nothing."""
    return sum(
        name in headers and headers[name] not in ("", tenant[part])
        for name, part in _TENANT_HEADERS
    )

"""Who a request belongs to. Without keys, every request on loopback is the one local tenant."""

from __future__ import annotations

from typing import NamedTuple


class Tenant(NamedTuple):
    """An organisation and one of its projects; it never comes from a span or a body."""

    org_id: str
    project_id: str


LOCAL = Tenant("org_demo", "default")

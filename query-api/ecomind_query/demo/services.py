"""The demo's services and whose they are; light, for the launcher and the command read it too."""

from __future__ import annotations

from typing import NamedTuple


class Service(NamedTuple):
    """One service: its name, its team, and the resource attribute that says which team."""

    name: str
    team: str
    team_attribute: str


SERVICES = (
    Service("product-search", "search", "service.namespace"),
    Service("support-assistant", "support", "service.namespace"),
    Service("contract-review", "legal", "ecomind.team"),
    Service("campaign-writer", "growth", "ecomind.team"),
)

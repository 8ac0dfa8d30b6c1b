"""Statements of organisations in a control store, proposed and approved as people do it."""

from __future__ import annotations

from datetime import date
from typing import Any

from ecomind_receiver.control import orgs
from ecomind_receiver.control.overrides import OrgOverrides
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.records import OverrideRecord, Role
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.settings import Settings

JANUARY = date(2026, 1, 1)
DOCUMENT: dict[str, Any] = {
    "title": "Energy of our models",
    "reference": "docs/energy.pdf",
    "year": 2026,
}
ENERGY: dict[str, Any] = {"model": "gpt-4o", "wh_per_output_token": 0.001, "document": DOCUMENT}
CONTRACT: dict[str, Any] = {
    "provider": "openai", "co2e_g_per_kwh": 20, "instrument": "ppa", "document": DOCUMENT,
}  # fmt: skip
ANN, BOB = "user_ann", "user_bob"


def ensure(store: ControlStore, *org_ids: str) -> None:
    """Organisations with the members Ann and Bob."""
    with store.begin() as tx:
        for org_id in org_ids:
            if not orgs.exists(tx, org_id):
                orgs.create_org(tx, org_id)
            members = {member.user_id for member in Own(tx, org_id).members()}
            for user in {ANN, BOB} - members:
                orgs.ensure_user(tx, user)
                orgs.add_member(tx, org_id, user, Role.ADMIN)


def approve(
    store: ControlStore,
    org_id: str,
    kind: str,
    body: dict[str, Any],
    valid_from: date = JANUARY,
    valid_to: date | None = None,
) -> OverrideRecord:
    """A statement that Ann proposed and Bob approved."""
    ensure(store, org_id)
    with store.begin() as tx:
        own = OrgOverrides(tx, org_id)
        return own.approve(own.propose(kind, body, valid_from, valid_to, ANN).id, BOB)


def approve_in(settings: Settings, org_id: str, kind: str, body: dict[str, Any]) -> None:
    """The same in the control store of a data directory, which is made if it is not there."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    store = ControlStore(default_url(settings))
    try:
        store.migrate()
        approve(store, org_id, kind, body)
    finally:
        store.close()

"""An operator at the control store, as the commands are, beside a server that reads it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.control.keys import KeyRecord, OrgKeys
from ecomind_receiver.control.orgs import create_org, set_quota
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.store import ControlStore, default_url
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import Scope

BOTH = (Scope.INGEST, Scope.READ)


class Office:
    """Makes organisations and keys; each method is a transaction of its own."""

    def __init__(self, settings: Settings) -> None:
        self.store = ControlStore(default_url(settings))
        self.store.migrate()
        self.peppers = Peppers(Secrets(settings).peppers)

    def org(self, org_id: str, *projects: str) -> None:
        with self.store.begin() as tx:
            create_org(tx, org_id)
            for project in projects:
                Own(tx, org_id).create_project(project)

    def quota(self, org_id: str, spans_per_second: float, burst_spans: int) -> None:
        with self.store.begin() as tx:
            set_quota(tx, org_id, spans_per_second, burst_spans)

    def key(
        self, org_id: str, project: str | None, scopes: Iterable[Scope] = BOTH, **given: Any
    ) -> tuple[KeyRecord, str]:
        with self.store.begin() as tx:
            return OrgKeys(tx, org_id, self.peppers).create("test", project, scopes, **given)

    def revoke(self, org_id: str, key_id: str) -> None:
        with self.store.begin() as tx:
            OrgKeys(tx, org_id, self.peppers).revoke(key_id)

    def rotate(self, org_id: str, key_id: str, grace: timedelta) -> tuple[KeyRecord, str]:
        with self.store.begin() as tx:
            return OrgKeys(tx, org_id, self.peppers).rotate(key_id, grace)

    def keys(self, org_id: str) -> dict[str, KeyRecord]:
        with self.store.begin() as tx:
            return {key.id: key for key in OrgKeys(tx, org_id, self.peppers).list()}


def bearer(text: str) -> dict[str, str]:
    return {"authorization": f"Bearer {text}"}


def counts(metrics: str, name: str) -> dict[str, float]:
    """A counter by its one label of ours."""
    return {
        value: sample.value
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name == f"{name}_total"
        for label, value in sample.labels.items()
        if label.startswith("ecomind_")
    }

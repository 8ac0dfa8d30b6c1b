"""Organisations of a server that is measured with API keys: their quotas, and one key of each.

They are made before the server starts and always in its own data directory, whatever
ECOMIND_CONTROL_URL says: a benchmark never writes into a control store that somebody uses.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ecomind_query.bench.process import Server
from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.secrets import Secrets
from ecomind_receiver.settings import Settings
from ecomind_receiver.tenants import LOCAL, Scope

OPEN = {"ECOMIND_AUTH": "auto"}
"""Settings of a server that asks for no keys."""


class Organisation(NamedTuple):
    """What one organisation may send, and one key of it; without a rate there is no limit."""

    org_id: str
    spans_per_second: float | None = None
    burst_spans: int | None = None
    key_spans_per_second: float | None = None


def keyed_server(folder: Path, organisations: Sequence[Organisation]) -> tuple[Server, Path]:
    """A server that is not started yet, and the file of its organisations' keys, in their order.

    Raises ControlError or SecretError.
    """
    server = Server(folder)
    server.settings |= {"ECOMIND_AUTH": "keys"}
    keys = folder / "api_keys"
    texts = _made(server.control_url, _peppers(server), organisations)
    with os.fdopen(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(f"{text}\n" for text in texts)
    return server, keys


def _peppers(server: Server) -> Peppers:
    settings = Settings.model_validate({**server.folders, "control_url": None})
    return Peppers(Secrets(settings).peppers)


def _made(url: str, peppers: Peppers, organisations: Sequence[Organisation]) -> list[str]:
    from ecomind_receiver.control.keys import OrgKeys
    from ecomind_receiver.control.orgs import create_org, set_quota
    from ecomind_receiver.control.own import Own
    from ecomind_receiver.control.store import ControlStore

    store = ControlStore(url)
    try:
        store.migrate()
        with store.begin() as tx:
            texts = []
            for one in organisations:
                create_org(tx, one.org_id)
                set_quota(tx, one.org_id, one.spans_per_second, one.burst_spans)
                Own(tx, one.org_id).create_project(LOCAL.project_id)
                _, text = OrgKeys(tx, one.org_id, peppers).create(
                    "bench",
                    LOCAL.project_id,
                    (Scope.INGEST,),
                    spans_per_second=one.key_spans_per_second,
                )
                texts.append(text)
            return texts
    finally:
        store.close()

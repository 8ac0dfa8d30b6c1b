"""What a new installation starts from: one organisation with a project, an owner and a key.

Seeding again finds them and changes nothing. A key that somebody revoked stays revoked, however
often a container seeds at its start.
"""

from __future__ import annotations

from sqlalchemy import Connection

from ecomind_receiver.api_keys import Peppers
from ecomind_receiver.control import changes, orgs
from ecomind_receiver.control.ids import utc_now
from ecomind_receiver.control.keys import OrgKeys
from ecomind_receiver.control.own import Own
from ecomind_receiver.control.records import KeyRecord, Role
from ecomind_receiver.tenants import LOCAL, Scope

USER_ID, KEY_NAME = "user_alice", "seed"


def seed(tx: Connection, peppers: Peppers) -> tuple[KeyRecord, str | None]:
    """The seeded key, and its text if it was made now."""
    changes.lock(tx)
    if not orgs.exists(tx, LOCAL.org_id):
        orgs.create_org(tx, LOCAL.org_id, "Demo")
    own = Own(tx, LOCAL.org_id)
    if LOCAL.project_id not in {project.id for project in own.projects()}:
        own.create_project(LOCAL.project_id, "Default")
    orgs.ensure_user(tx, USER_ID, "Alice")
    if USER_ID not in {member.user_id for member in own.members()}:
        orgs.add_member(tx, LOCAL.org_id, USER_ID, Role.OWNER)
    return _key(OrgKeys(tx, LOCAL.org_id, peppers))


def _key(keys: OrgKeys) -> tuple[KeyRecord, str | None]:
    now = utc_now()
    seeded = [
        key for key in keys.list() if (key.name, key.project_id) == (KEY_NAME, LOCAL.project_id)
    ]
    if seeded:
        return max(seeded, key=lambda key: (key.live(now), key.created_at)), None
    return keys.create(KEY_NAME, LOCAL.project_id, (Scope.INGEST, Scope.READ))

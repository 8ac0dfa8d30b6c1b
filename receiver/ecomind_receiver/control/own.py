"""Everything about one organisation but its keys: projects, members, settings.

The organisation is bound once, in the constructor, and every statement goes through it: there is no
method that takes another's id, so what belongs to another is simply not found.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from ecomind_receiver.control import changes
from ecomind_receiver.control.errors import Conflict, NotFound
from ecomind_receiver.control.ids import checked_id, checked_name, utc_now
from ecomind_receiver.control.orgs import get_org
from ecomind_receiver.control.records import MemberRecord, ProjectRecord, Role
from ecomind_receiver.control.tables import memberships, projects, settings, users


class Own:
    """One organisation in one transaction."""

    def __init__(self, tx: Connection, org_id: str) -> None:
        """Raises NotFound if there is no such organisation."""
        get_org(tx, org_id)
        self._tx = tx
        self._org_id = org_id

    def create_project(self, project_id: str, name: str = "") -> ProjectRecord:
        """A new project, named as its id unless named otherwise. Raises Invalid, Conflict."""
        checked_id("project", project_id)
        row = {"id": project_id, "name": checked_name(name or project_id)}
        changes.lock(self._tx)
        if project_id in {project.id for project in self.projects()}:
            raise Conflict(f"There is a project {project_id} in {self._org_id} already.")
        more = {"org_id": self._org_id, "created_at": utc_now()}
        self._tx.execute(insert(projects).values(row | more))
        return self.project(project_id)

    def project(self, project_id: str) -> ProjectRecord:
        """One project. Raises NotFound."""
        for project in self.projects():
            if project.id == project_id:
                return project
        raise NotFound(f"There is no project {project_id[:80]!r} in {self._org_id}.")

    def projects(self) -> tuple[ProjectRecord, ...]:
        """Every project by id."""
        own = select(projects).where(projects.c.org_id == self._org_id).order_by(projects.c.id)
        return tuple(ProjectRecord(**row._mapping) for row in self._tx.execute(own))

    def member(self, user_id: str) -> MemberRecord:
        """One member. Raises NotFound, also for a user of other organisations only."""
        for member in self.members():
            if member.user_id == user_id:
                return member
        raise NotFound(f"There is no user {user_id[:80]!r} in {self._org_id}.")

    def members(self) -> tuple[MemberRecord, ...]:
        """Every member by user id."""
        own = (
            select(memberships, users.c.name)
            .join(users, users.c.id == memberships.c.user_id)
            .where(memberships.c.org_id == self._org_id)
            .order_by(memberships.c.user_id)
        )
        rows = (dict(row._mapping) for row in self._tx.execute(own))
        return tuple(MemberRecord(**row | {"role": Role(row["role"])}) for row in rows)

    def set_role(self, user_id: str, role: Role) -> MemberRecord:
        """Change what a member is. Raises NotFound; Conflict for the last owner."""
        changes.lock(self._tx)
        if role is not Role.OWNER:
            self._keep_an_owner(user_id)
        self.member(user_id)
        self._tx.execute(update(memberships).where(*self._is(user_id)).values(role=role.value))
        return self.member(user_id)

    def remove_member(self, user_id: str) -> None:
        """End a membership; the account stays. Raises NotFound; Conflict for the last owner."""
        changes.lock(self._tx)
        self._keep_an_owner(user_id)
        self._tx.execute(delete(memberships).where(*self._is(user_id)))

    def setting(self, name: str) -> Any:
        """A setting's JSON value. Raises NotFound where it was never set."""
        own = (settings.c.org_id == self._org_id, settings.c.name == name)
        row = self._tx.execute(select(settings.c.value).where(*own)).first()
        if row is None:
            raise NotFound(f"The setting {name[:80]!r} is not set in {self._org_id}.")
        return row.value

    def set_setting(self, name: str, value: Any) -> None:
        """Set a setting to a JSON value. Raises Invalid."""
        checked_id("setting", name)
        changes.lock(self._tx)
        own = (settings.c.org_id == self._org_id, settings.c.name == name)
        if self._tx.execute(update(settings).where(*own).values(value=value)).rowcount == 0:
            row = {"org_id": self._org_id, "name": name, "value": value}
            self._tx.execute(insert(settings).values(row))

    def _is(self, user_id: str) -> tuple[Any, Any]:
        return (memberships.c.org_id == self._org_id, memberships.c.user_id == user_id)

    def _keep_an_owner(self, user_id: str) -> None:
        owners = select(func.count()).where(
            memberships.c.org_id == self._org_id, memberships.c.role == Role.OWNER.value
        )
        if self.member(user_id).role is Role.OWNER and self._tx.execute(owners).scalar_one() == 1:
            raise Conflict(f"{user_id} is the last owner of {self._org_id}; name another first.")

"""The tables of the control store.

Whatever belongs to an organisation carries its id and refers to others by (org_id, id), so that the
database itself refuses a key of one organisation for a project of another. Accounts of people are
apart from their memberships: a person may be in several organisations.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from ecomind_receiver.control.columns import UtcDateTime, Words

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

orgs = Table(
    "orgs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("spans_per_second", Float),
    Column("burst_spans", Integer),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("spans_per_second > 0", name="rate"),
    CheckConstraint("burst_spans >= 1", name="burst"),
)

projects = Table(
    "projects",
    metadata,
    Column("org_id", Text, ForeignKey("orgs.id"), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

memberships = Table(
    "memberships",
    metadata,
    Column("org_id", Text, ForeignKey("orgs.id"), primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("role", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    CheckConstraint("role IN ('owner', 'admin', 'analyst', 'viewer', 'billing')", name="role"),
    Index(None, "user_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, ForeignKey("orgs.id"), nullable=False),
    Column("project_id", Text),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("scopes", Words, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("pepper_version", Integer, nullable=False),
    Column("pepper_mark", Text),
    Column("public", Boolean, nullable=False),
    Column("origins", Words, nullable=False),
    Column("spans_per_second", Float),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    Column("replaced_by", Text),
    CheckConstraint("kind IN ('live', 'test')", name="kind"),
    CheckConstraint("spans_per_second > 0", name="rate"),
    UniqueConstraint("org_id", "id"),
    ForeignKeyConstraint(["org_id", "project_id"], ["projects.org_id", "projects.id"]),
    ForeignKeyConstraint(["org_id", "replaced_by"], ["api_keys.org_id", "api_keys.id"]),
)

settings = Table(
    "settings",
    metadata,
    Column("org_id", Text, ForeignKey("orgs.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", JSON, nullable=False),
)

factor_overrides = Table(
    "factor_overrides",
    metadata,
    Column("id", Text, primary_key=True),
    Column("org_id", Text, ForeignKey("orgs.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", JSON, nullable=False),
    Column("status", Text, nullable=False),
    Column("valid_from", Date, nullable=False),
    Column("valid_to", Date),
    Column("proposed_by", Text, ForeignKey("users.id"), nullable=False),
    Column("proposed_at", UtcDateTime, nullable=False),
    Column("decided_by", Text, ForeignKey("users.id")),
    Column("decided_at", UtcDateTime),
    Column("note", Text, nullable=False),
    CheckConstraint("kind IN ('energy', 'contract', 'region', 'method')", name="kind"),
    CheckConstraint("status IN ('proposed', 'approved', 'rejected', 'withdrawn')", name="status"),
    CheckConstraint("valid_to > valid_from", name="days"),
    CheckConstraint("status = 'withdrawn' OR decided_by <> proposed_by", name="four_eyes"),
    CheckConstraint("(status = 'proposed') = (decided_by IS NULL)", name="decided"),
    Index(None, "org_id"),
)
"""What organisations state of factors. No row is changed once it has been decided on."""

changes = Table(
    "changes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("number", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
)
"""One row whose number grows with every change to keys, quotas and approved overrides."""

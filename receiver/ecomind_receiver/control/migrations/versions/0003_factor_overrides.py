"""What organisations state of emission factors, proposed by one person and approved by another."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "factor_overrides",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date()),
        sa.Column("proposed_by", sa.Text(), nullable=False),
        sa.Column("proposed_at", _MOMENT, nullable=False),
        sa.Column("decided_by", sa.Text()),
        sa.Column("decided_at", _MOMENT),
        sa.Column("note", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "kind IN ('energy', 'contract', 'region', 'method')",
            name=op.f("ck_factor_overrides_kind"),
        ),
        sa.CheckConstraint(
            "status IN ('proposed', 'approved', 'rejected', 'withdrawn')",
            name=op.f("ck_factor_overrides_status"),
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_factor_overrides_days")),
        sa.CheckConstraint(
            "status = 'withdrawn' OR decided_by <> proposed_by",
            name=op.f("ck_factor_overrides_four_eyes"),
        ),
        sa.CheckConstraint(
            "(status = 'proposed') = (decided_by IS NULL)",
            name=op.f("ck_factor_overrides_decided"),
        ),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_factor_overrides_org_id")),
        sa.ForeignKeyConstraint(
            ["proposed_by"], ["users.id"], name=op.f("fk_factor_overrides_proposed_by")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["users.id"], name=op.f("fk_factor_overrides_decided_by")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_factor_overrides")),
    )
    op.create_index(op.f("ix_factor_overrides_org_id"), "factor_overrides", ["org_id"])

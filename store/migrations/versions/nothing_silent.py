"""What release 0.3.0 changes: comparisons of inventory and engine, and queued messages that can be sent once more."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "reconciliations",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("workflow_id", sa.String, nullable=False),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("applied", sa.Boolean, nullable=False),
        sa.Column("living", sa.Integer, nullable=False),
        sa.Column("running", sa.Integer, nullable=False),
        sa.Column("counts", JSONB, nullable=False),
        sa.Column("differences", JSONB, nullable=False),
        sa.Column("held_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("reconciliations_by_time", "reconciliations", ["noted_at"])
    op.create_table(
        "streams_behind",
        sa.Column("stream", sa.String, primary_key=True),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    # NULL for what was queued by a release that did not keep it: a Courier of that release holds it.
    op.add_column("deliveries", sa.Column("message", JSONB, nullable=True))
    op.create_index("deliveries_that_wait", "deliveries", ["queued_at"], postgresql_where=sa.text("state = 'queued'"))

"""Each process writes that it lives: what the watcher reads without asking Temporal."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("serves", ARRAY(sa.String), primary_key=True),
        sa.Column("host", sa.String, primary_key=True),
        sa.Column("said_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("written_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("engine_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("polled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("engine", JSONB, nullable=True),
    )

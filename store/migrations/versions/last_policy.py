"""What release 0.3.0 keeps of policies: when each was last taken up, so that a start with a bad file finds the one."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("policies", sa.Column("in_force_at", sa.DateTime(timezone=True), nullable=True))
    # Release 0.2.0 kept the first time alone; of a policy that came back a second time nothing was written.
    op.execute("UPDATE policies SET in_force_at = at")
    op.alter_column("policies", "in_force_at", nullable=False)
    op.create_index("policies_by_force", "policies", ["in_force_at"])

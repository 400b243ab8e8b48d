"""What workers of 0.2.0 need to go on writing beside those of 0.3.0, for the length of an upgrade."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    # They insert a policy without it, and would else be told NOT NULL at every load.
    op.execute("ALTER TABLE policies ALTER COLUMN in_force_at SET DEFAULT now()")

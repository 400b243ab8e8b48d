"""What release 0.3.0 asks of tokens that decide: a person behind them, or a machine's own word that it may."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    # Until here the role alone set it, so that nobody can tell which of them somebody meant for a machine.
    op.execute("UPDATE tokens SET may_decide = false WHERE role = 'security-head'")

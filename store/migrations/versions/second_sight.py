"""What a comparison of any size needs: which is the newest whatever a clock says, and what it has seen before."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    # In the order in which they were noted: that of the rows on the disk may be any.
    op.execute("ALTER TABLE reconciliations ADD COLUMN number bigint")
    op.execute(
        "UPDATE reconciliations SET number = counted.number FROM "
        "(SELECT id, row_number() OVER (ORDER BY noted_at, id) AS number FROM reconciliations) AS counted "
        "WHERE counted.id = reconciliations.id"
    )
    op.execute("ALTER TABLE reconciliations ALTER COLUMN number SET NOT NULL")
    op.execute("ALTER TABLE reconciliations ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY")
    op.execute(
        "SELECT setval(pg_get_serial_sequence('reconciliations', 'number'), "
        "(SELECT coalesce(max(number), 0) + 1 FROM reconciliations), false)"
    )
    op.add_column("reconciliations", sa.Column("asked_by", sa.String, nullable=False, server_default=""))
    op.create_index("reconciliations_in_order", "reconciliations", ["number"], unique=True)
    op.create_table(
        "differences",
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("managed_id", sa.String, primary_key=True),
        sa.Column("comparison_id", sa.String, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
    )
    op.create_index("differences_by_certificate", "differences", ["managed_id"])
    op.create_index("notices_of_one", "notices", ["managed_id", "number"])
    op.create_index(
        "orders_by_event",
        "events",
        ["kind", "stream", "seq"],
        postgresql_where=sa.text("kind IN ('order_closed', 'order_revoked', 'certificate_issued')"),
    )

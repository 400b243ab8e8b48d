"""Every table as it stands, and the trigger that keeps events append-only.

Until the first release there is no database to carry over, so this revision reads ``store.tables`` itself; the release
freezes it, and every later change is a revision of its own.
"""

from alembic import op

from store.tables import metadata

revision = "0001"
down_revision = None

APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'events are append-only: % refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$
"""


def upgrade() -> None:
    # Trusted since PostgreSQL 13: the owner of the database may create it.
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    metadata.create_all(op.get_bind())
    op.execute(APPEND_ONLY)
    op.execute(
        "CREATE TRIGGER events_are_never_changed BEFORE UPDATE OR DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
    )
    op.execute(
        "CREATE TRIGGER events_are_never_emptied BEFORE TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
    )

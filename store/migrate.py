"""Brings a database to the schema of this release; safe to call at every start and from several processes."""

from collections.abc import Iterable
from pathlib import Path

import sqlalchemy
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from domain.errors import BadInput, NotReady
from store.engine import create_engine
from store.roles import become_owner, grant

# One migration at a time over all processes; the number is arbitrary and ours.
MIGRATION_LOCK = 0x45564C46


def revisions() -> set[str]:
    """Every migration that this release knows."""
    return {found.revision for found in ScriptDirectory.from_config(_config()).walk_revisions()}


def is_newer(stands: Iterable[str]) -> str:
    """What to say of a database at ``stands`` that this release cannot read; empty where it can."""
    unknown = sorted(set(stands) - revisions())
    if not unknown:
        return ""
    return f"the database is of a newer release: this one does not know its schema {', '.join(unknown)}"


def missing(stands: Iterable[str]) -> set[str]:
    """The migrations that ``upgrade`` has to run on a database at ``stands``, which this release knows."""
    script = ScriptDirectory.from_config(_config())
    return {found.revision for found in script.iterate_revisions("head", tuple(stands) or "base")}


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(database_url: str, revision: str = "head") -> None:
    """Run every migration that ``database_url`` lacks, up to ``revision``; then give each role what GRANTS says.

    Forward only.  Raises NotReady where the database does not answer, BadInput where a newer release has been there.
    """
    engine = create_engine(database_url, statement_timeout_seconds=0)
    try:
        with engine.begin() as connection:
            connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
            become_owner(connection)
            if newer := is_newer(MigrationContext.configure(connection).get_current_heads()):
                raise BadInput("EVERLEAF_DATABASE_URL", newer, "Run that release, or restore a backup of this one.")
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            if revision == "head":
                # What GRANTS says is of the newest schema.
                grant(connection)
    except sqlalchemy.exc.OperationalError as error:
        reason = str(error.orig).splitlines()[0]
        raise NotReady(f"The database does not answer: {reason}. Start it, or check EVERLEAF_DATABASE_URL.") from error
    finally:
        engine.dispose()
